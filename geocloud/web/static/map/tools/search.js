// SPDX-License-Identifier: Apache-2.0
// The one search box: places, addresses, codes and coordinates, as the service reads them.

import { h, icon, ICONS, quiet } from "../dom.js";
import { overlayOf } from "./overlay.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {object} Result
 * @property {"place" | "coordinate"} kind
 * @property {string} title
 * @property {string} [subtitle]
 * @property {string} [collection]
 * @property {number} [fid]
 * @property {number} lon
 * @property {number} lat
 * @property {number[]} [bbox]
 * @property {string} [crs]
 */

const MOST = 8;
const CLOSE = 15;

/**
 * The search box; what was found is in the address as `find=lon,lat/title`, or `lon,lat,w,s,e,n/title` with its cell.
 * @param {App} app
 */
export default function install(app) {
  const { t } = app;
  const input = /** @type {HTMLInputElement} */ (h("input", { id: "search-input", type: "search", role: "combobox",
    autocomplete: "off", spellcheck: "false", enterkeyhint: "search", maxlength: 200, "aria-expanded": "false",
    "aria-controls": "search-results", "aria-autocomplete": "list", "aria-keyshortcuts": "/" }));
  const list = h("ul", { id: "search-results", role: "listbox", hidden: true });
  const clear = h("button", { type: "button", class: "plain small search-clear", hidden: true, onclick: forget }, icon(ICONS.close));
  app.slots.search.append(icon(ICONS.search), input, h("kbd", { "aria-hidden": "true" }, "/"), clear, list);

  /** @type {Result[]} */
  let results = [];
  let chosen = -1;
  let asked = "";
  /** @type {Promise<void>} */
  let answered = Promise.resolve();
  let asking = new AbortController();

  function name() {
    const words = t("查找地点、地址、编码或坐标", "Find a place, address, code or coordinate");
    input.placeholder = words;
    input.setAttribute("aria-label", words);
    list.setAttribute("aria-label", t("查找结果", "Results"));
    clear.setAttribute("aria-label", t("清除", "Clear"));
  }

  async function ask() {
    const q = input.value.trim();
    if (q === asked) return;
    asked = q;
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    if (!q) {
      results = [];
      close();
      return;
    }
    const { lng, lat } = app.map.getCenter();
    const query = new URLSearchParams({ q, limit: String(MOST), lang: app.lang, near: `${lng.toFixed(4)},${lat.toFixed(4)}` });
    try {
      const answer = await app.fetchJSON(app.url(`/search?${query}`), { signal });
      results = answer.results;
      open();
    } catch (error) {
      if (signal.aborted) return;
      results = [];
      open(/** @type {Error} */ (error).message);
    }
  }
  const soon = quiet(() => { answered = ask(); }, 150);

  function open(wrong = "") {
    chosen = -1;
    const several = results.filter((r) => r.kind === "coordinate").length > 1;
    const rows = results.map((r, i) => h("li", { role: "option", id: `search-${i}`, "aria-selected": "false", "data-kind": r.kind,
      onpointerdown: (/** @type {Event} */ e) => e.preventDefault(), onclick: () => pick(i) },
    icon(r.kind === "coordinate" ? ICONS.target : PIN_ICON),
    h("span", { class: "found" }, h("span", { class: "name" }, r.title), h("span", { class: "hint" }, r.subtitle ?? "")),
    tag(r) && h("span", { class: "badge" }, tag(r))));
    if (several) {
      rows.unshift(h("li", { role: "presentation", class: "hint head" }, t("这组数字可按多种坐标系解读，请选择:", "These numbers can be read in several systems; choose:")));
    }
    if (!rows.length) {
      rows.push(h("li", { role: "presentation", class: wrong ? "wrong" : "hint empty" }, wrong ||
        t("没有找到。可试试更短的名称、拼音首字母、编码或坐标(如 115.98,36.45)。",
          "Nothing found. Try a shorter name, pinyin initials, a code, or a coordinate such as 115.98,36.45.")));
    }
    list.replaceChildren(...rows);
    list.hidden = document.activeElement !== input;
    input.setAttribute("aria-expanded", String(!list.hidden));
    input.removeAttribute("aria-activedescendant");
    if (!list.hidden) app.announce(results.length ? t(`${results.length} 个结果`, `${results.length} results`) : t("没有结果", "No results"));
  }

  function tag(/** @type {Result} */ r) {
    if (r.kind === "coordinate") return r.crs ?? "";
    const layer = app.layers.get(r.collection ?? "");
    return layer ? app.words.text(layer.title) : "";
  }

  function close() {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark(/** @type {number} */ i) {
    const options = list.querySelectorAll("[role=option]");
    if (!options.length) return;
    chosen = (i + options.length) % options.length;
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === chosen)));
    options[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[chosen].id);
  }

  function pick(/** @type {number} */ i) {
    const result = results[i];
    if (!result) return;
    input.value = result.title;
    asked = result.title;
    close();
    // The box of a grid cell is part of what was found; the box around a county would say nothing.
    const place = [result.lon, result.lat, ...((result.kind === "coordinate" && result.bbox) || [])].map((n) => Math.round(n * 1e7) / 1e7);
    app.state.set("find", `${place.join(",")}/${[result.title, result.kind === "coordinate" && result.crs].filter(Boolean).join(" · ")}`);
    go(result.lon, result.lat, result.bbox);
    if (result.collection && result.fid !== undefined) app.state.set("sel", `${result.collection}/${result.fid}`, { step: false });
    app.announce(t(`已定位到 ${result.title}`, `The map shows ${result.title}`));
    input.blur();
  }

  function go(/** @type {number} */ lon, /** @type {number} */ lat, /** @type {number[] | undefined} */ bbox) {
    const wide = bbox && (bbox[2] > bbox[0] || bbox[3] > bbox[1]);
    if (wide && bbox[2] - bbox[0] < 0.002) {
      // A grid cell may be a metre wide: as near as the map goes.
      app.map.fitBounds([[bbox[0], bbox[1]], [bbox[2], bbox[3]]], { padding: 120, maxZoom: 19.5 });
    } else if (wide) app.view.fit(bbox);
    else app.map.easeTo({ center: [lon, lat], zoom: Math.max(app.map.getZoom(), CLOSE), padding: { top: 0, left: 0, right: 0, bottom: 0 } });
  }

  function forget() {
    input.value = "";
    asked = "";
    results = [];
    close();
    app.state.set("find", null);
    input.focus();
  }

  /** The mark on the map is what the address says. */
  function follow(/** @type {boolean} */ first) {
    const found = readFind(app.state.get("find"));
    const overlay = overlayOf(app);
    overlay.set("find", found && { type: "point", places: [[found.lon, found.lat]], label: found.title });
    const [w, s, e, n] = found?.bbox ?? [];
    overlay.set("find:cell", found?.bbox ? { type: "frame", places: [[w, s], [e, s], [e, n], [w, n]] } : null);
    clear.hidden = !found && !input.value;
    if (found && !input.value) input.value = found.title;
    if (!found && !first && document.activeElement !== input) input.value = "";
    if (found && first && app.state.get("at") === null) go(found.lon, found.lat, found.bbox);
  }

  input.addEventListener("input", () => {
    clear.hidden = !input.value;
    soon();
  });
  input.addEventListener("focus", () => {
    input.select();
    if (results.length && asked === input.value.trim()) open();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", async (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) open();
      mark(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (chosen < 0) {
        await answered;
        await ask();
      }
      pick(chosen < 0 ? 0 : chosen);
    } else if (event.key === "Escape" && (!list.hidden || input.value)) {
      event.preventDefault();
      if (list.hidden) forget();
      else close();
    }
  });
  app.state.subscribe("find", () => follow(false));
  app.on("lang", () => {
    name();
    asked = "";
    if (!list.hidden) ask();
  });
  name();
  follow(true);
}

const PIN_ICON = "M12 21c-2-5-6-7-6-11a6 6 0 1112 0c0 4-4 6-6 11zM12 8a2 2 0 100 4 2 2 0 000-4z";

/**
 * What an address says was found; null when it says nothing that can be read.
 * @param {string | null} text
 */
export function readFind(text) {
  const [numbers, ...title] = (text ?? "").split("/");
  const values = numbers.split(",").map(Number);
  if (!text || ![2, 6].includes(values.length) || !values.every(Number.isFinite)) return null;
  const [lon, lat, ...box] = values;
  if (Math.abs(lon) > 180 || Math.abs(lat) > 90) return null;
  return { lon, lat, title: title.join("/"), bbox: box.length ? box : undefined };
}
