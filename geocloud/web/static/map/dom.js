// SPDX-License-Identifier: Apache-2.0
// Elements, icons and copying: the few things every panel needs.

/**
 * An element with attributes, listeners (`onclick`) and children; null, false and "" as a child are left out.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | number | null | false | undefined)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "style") Object.assign(element.style, value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") {
      /** @type {any} */ (element)[name] = value;
    } else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(.../** @type {(Node | string)[]} */ (
    children.filter((c) => c !== null && c !== undefined && c !== false && c !== "").map((c) =>
      (typeof c === "number" ? String(c) : c))
  ));
  return element;
}

const blank = document.createElement("template");
blank.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true" class="icon"><path></path></svg>';

/**
 * An icon of 20 by 20 drawn with strokes, from SVG path data on a 24 by 24 grid.
 * @param {string} path
 * @returns {SVGSVGElement}
 */
export function icon(path) {
  const svg = /** @type {SVGSVGElement} */ (/** @type {Element} */ (blank.content.firstElementChild).cloneNode(true));
  /** @type {Element} */ (svg.firstElementChild).setAttribute("d", path);
  return svg;
}

/** Path data of the icons the core uses. */
export const ICONS = {
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  right: "M9 6l6 6-6 6",
  left: "M15 6l-6 6 6 6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  home: "M4 11l8-7 8 7M6 10v9h12v-9",
  north: "M12 3l5 16-5-4-5 4z",
  filter: "M4 5h16l-6 8v6l-4-2v-4z",
  table: "M4 5h16v14H4zM4 10h16M4 14.5h16M10 10v9",
  sum: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 16.5h7M16.5 13v7",
  target: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v4M12 18v4M2 12h4M18 12h4",
  layers: "M12 3l9 5-9 5-9-5zM3 13l9 5 9-5",
  up: "M6 15l6-6 6 6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  moon: "M19 14.5A7.5 7.5 0 019.5 5a7.5 7.5 0 109.5 9.5z",
  search: "M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5",
  info: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v6M12 7.5v.5",
};

/**
 * Puts a text on the clipboard; true when that worked.
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https the clipboard interface is missing; the old way still works.
    const area = h("textarea", { class: "off-screen", value: text });
    document.body.append(area);
    /** @type {HTMLTextAreaElement} */ (area).select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/**
 * `fn` once things have been quiet for some milliseconds.
 * @template {unknown[]} A
 * @param {(...args: A) => void} fn
 * @param {number} ms
 * @returns {(...args: A) => void}
 */
export function quiet(fn, ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => fn(...args), ms);
  };
}
