// SPDX-License-Identifier: Apache-2.0
// The tool strip and the zoom buttons; one tool is on at a time.

import { h, icon, ICONS } from "./dom.js";

/** @typedef {import("./types.js").Tool} Tool */

const MOST = 6;

/** @param {import("./types.js").App} app */
export function installStrip(app) {
  const box = /** @type {HTMLElement} */ (document.getElementById("strip"));
  /** @type {Map<string, {tool: Tool, button: HTMLButtonElement}>} */
  const tools = new Map();
  /** @type {((event: any) => boolean)[]} */
  const keepers = [];
  /** @type {string | null} */
  let active = null;

  function turn(/** @type {string | null} */ id) {
    if (id === active) return;
    const before = active === null ? null : tools.get(active);
    active = id;
    if (before) {
      before.button.setAttribute("aria-pressed", "false");
      before.tool.toggle(false);
    }
    const now = id === null ? null : tools.get(id);
    if (now) {
      now.button.setAttribute("aria-pressed", "true");
      now.tool.toggle(true);
    }
  }

  function name(/** @type {{tool: Tool, button: HTMLButtonElement}} */ entry) {
    const words = entry.tool.label();
    entry.button.setAttribute("aria-label", words);
    const tip = entry.button.querySelector(".tip");
    if (tip) tip.textContent = words;
    else entry.button.title = words;
  }

  app.strip = {
    add(tool) {
      const top = tool.place === "top";
      if (!top && box.childElementCount >= MOST) throw new Error(`the strip holds ${MOST} tools`);
      const button = /** @type {HTMLButtonElement} */ (
        h("button", { type: "button", class: top ? "plain" : null, "data-tool": tool.id, "aria-pressed": "false",
          onclick: () => turn(active === tool.id ? null : tool.id) }, icon(tool.icon), !top && h("span", { class: "tip" })));
      const entry = { tool, button };
      tools.set(tool.id, entry);
      name(entry);
      if (top) document.querySelector(".switches")?.prepend(button);
      else box.append(button);
      return { on: () => turn(tool.id), off: () => { if (active === tool.id) turn(null); }, button };
    },
    active: () => active,
    off: () => turn(null),
    takesClicks: (event) => {
      const tool = active === null ? null : tools.get(active)?.tool;
      return Boolean(tool && (tool.clicks !== false || (event && tool.claims?.(event)))) || app.strip.kept(event);
    },
    keep: (fn) => { keepers.push(fn); },
    kept: (event) => Boolean(event) && keepers.some((fn) => fn(event)),
  };
  app.on("lang", () => tools.forEach(name));
  installZooms(app);
}

/** @param {import("./types.js").App} app */
function installZooms(app) {
  const box = /** @type {HTMLElement} */ (document.getElementById("zooms"));
  const buttons = [
    { id: "in", path: ICONS.plus, zh: "放大", en: "Zoom in", act: () => app.map.zoomIn() },
    { id: "out", path: ICONS.minus, zh: "缩小", en: "Zoom out", act: () => app.map.zoomOut() },
    { id: "home", path: ICONS.home, zh: "全市", en: "Whole city", act: () => app.view.home() },
    { id: "north", path: ICONS.north, zh: "指北", en: "Face north",
      act: () => app.map.easeTo({ bearing: 0, pitch: 0 }) },
  ];
  for (const { id, path, zh, en, act } of buttons) {
    box.append(h("button", { type: "button", id: `zoom-${id}`, "data-zh": zh, "data-en": en,
      "data-for": "aria-label title", onclick: act }, icon(path)));
  }
  const north = /** @type {HTMLElement} */ (document.getElementById("zoom-north"));
  const turnNeedle = () => {
    const bearing = app.map.getBearing();
    north.hidden = Math.abs(bearing) < 0.5 && app.map.getPitch() < 0.5;
    /** @type {SVGElement} */ (north.querySelector("svg")).style.transform = `rotate(${-bearing}deg)`;
  };
  app.map.on("rotate", turnNeedle);
  app.map.on("pitch", turnNeedle);
  turnNeedle();
}
