// SPDX-License-Identifier: Apache-2.0
// What differs between the two dates of a split view: drawn over both maps from tiles of changes, with counts and areas.

import { TOOL_PREFIX } from "../compose.js";
import { h } from "../dom.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {{from: string, to: string | null}} Span `to` null: now. */

/**
 * Kind, its words, colour by day and by night, dashes in line widths and a sign: no kind is told by colour alone.
 * @type {[string, string, string, string, string, number[] | null, string][]}
 */
const KINDS = [
  ["added", "新增", "Added", "#3d7f4f", "#6fbf85", null, "+"],
  ["removed", "消失", "Removed", "#b3372f", "#e58079", [3, 1.5], "\u2212"],
  ["moved", "移位", "Moved", "#1c6e8c", "#6cbcd8", null, "\u2192"],
  ["reshaped", "变形", "Reshaped", "#8a5a9e", "#c49ad6", [4, 1.2, 1, 1.2], "\u25c7"],
  ["attributes", "属性变更", "Attributes", "#9a6a10", "#e0ad4e", [1, 1], "="],
];
const PREFIX = `${TOOL_PREFIX}diff:`;
/** Layers compared at a time; more would hide each other. */
const MOST = 6;

/** Draws differences on maps and tells what they come to. */
export class Differences {
  #app;
  /** @type {any[]} */
  #maps = [];
  /** @type {Span | null} */
  #span = null;
  /** @type {string[]} */
  #ids = [];
  #turn = 0;
  #again = () => this.#maps.forEach((map) => this.#draw(map));
  list = h("ul", { class: "diff-legend" });

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
  }

  /**
   * Shows the differences of a span on maps; null takes them away.
   * @param {Span | null} span
   * @param {any[]} maps
   */
  show(span, maps) {
    const { app, ids } = { app: this.#app, ids: span ? this.#compared() : [] };
    const same = JSON.stringify([span, ids, app.lang, app.dark]) ===
      JSON.stringify([this.#span, this.#ids, this.#shown?.lang, this.#shown?.dark]);
    if (same && maps.every((m) => this.#maps.includes(m)) && maps.length === this.#maps.length) return;
    for (const map of this.#maps) {
      map.off("styledata", this.#again);
      this.#clear(map);
    }
    [this.#span, this.#ids, this.#maps, this.#shown] = [span, ids, span ? maps : [], { lang: app.lang, dark: app.dark }];
    for (const map of this.#maps) {
      // The second map is given its style anew with each change of the first.
      map.on("styledata", this.#again);
      this.#draw(map);
    }
    if (span) this.#tell();
    else this.list.replaceChildren();
  }

  /** @type {{lang: string, dark: boolean} | null} */
  #shown = null;

  #compared() {
    const { app } = { app: this.#app };
    return app.visible().filter((id) => app.layers.get(id)?.hasTime || app.view.movable(id)).slice(-MOST);
  }

  #query() {
    const { from, to } = /** @type {Span} */ (this.#span);
    return `from=${encodeURIComponent(from)}${to ? `&to=${encodeURIComponent(to)}` : ""}`;
  }

  /** @param {any} map */
  #draw(map) {
    if (!this.#span || !map.style?._loaded) return;
    const { app } = { app: this.#app };
    for (const id of this.#ids) {
      const source = PREFIX + id;
      if (map.getSource(source)) continue;
      const tiles = app.layers.get(id)?.tiles;
      const path = app.url(`/collections/${encodeURIComponent(id)}/changes/tiles/WebMercatorQuad`);
      map.addSource(source, { type: "vector", minzoom: tiles?.minZoom ?? 0, maxzoom: tiles?.maxZoom ?? 16,
        tiles: [`${window.location.origin}${path}/{z}/{y}/{x}?${this.#query()}`] });
      for (const layer of this.#layers(map, id)) map.addLayer({ ...layer, source, "source-layer": id });
    }
  }

  /**
   * @param {any} map
   * @param {string} id
   * @returns {any[]}
   */
  #layers(map, id) {
    const at = this.#app.dark ? 4 : 3;
    const halo = this.#app.dark ? "#0d1b21" : "#ffffff";
    const grey = this.#app.dark ? "#9fb0b8" : "#5b6a72";
    const color = ["match", ["get", "change"], ...KINDS.flatMap((k) => [k[0], k[at]]), grey];
    const sign = ["match", ["get", "change"], ...KINDS.flatMap((k) => [k[0], k[6]]), ""];
    const shape = (/** @type {string} */ type) => ["==", ["geometry-type"], type];
    const cluster = ["has", "overview"];
    const is = (/** @type {string} */ kind) => ["==", ["get", "change"], kind];
    const fonts = map.getStyle().layers.map((/** @type {any} */ x) => x.layout?.["text-font"]).filter(Array.isArray);
    const font = fonts.find((/** @type {string[]} */ x) => !/italic|oblique/i.test(x[0])) ?? fonts[0];
    const name = (/** @type {string} */ part) => `${PREFIX}${id}:${part}`;
    const found = [
      { id: name("area"), type: "fill", filter: ["all", shape("Polygon"), ["!", is("before")]],
        paint: { "fill-color": color, "fill-opacity": 0.22 } },
      { id: name("before"), type: "line", filter: ["all", ["!", shape("Point")], is("before")],
        paint: { "line-color": grey, "line-width": 1.5, "line-dasharray": [2, 2] } },
      ...KINDS.map((k) => ({ id: name(k[0]), type: "line", filter: ["all", ["!", shape("Point")], is(k[0])],
        layout: { "line-join": "round" },
        paint: { "line-color": k[at], "line-width": 2.4, ...(k[5] ? { "line-dasharray": k[5] } : {}) } })),
      { id: name("ring"), type: "circle", filter: ["all", shape("Point"), is("before")],
        paint: { "circle-radius": 5, "circle-opacity": 0, "circle-stroke-color": grey, "circle-stroke-width": 1.2 } },
      { id: name("point"), type: "circle", filter: ["all", shape("Point"), ["!", cluster], ["!", is("before")]],
        paint: { "circle-radius": 8, "circle-color": halo, "circle-stroke-color": color, "circle-stroke-width": 2 } },
      { id: name("cluster"), type: "circle", filter: cluster,
        paint: { "circle-radius": ["interpolate", ["linear"], ["ln", ["max", 1, ["get", "count"]]], 0, 14, 9, 28],
          "circle-color": halo, "circle-opacity": 0.92, "circle-stroke-color": color, "circle-stroke-width": 2.4 } },
    ];
    if (font) {
      const text = { "text-font": font, "text-allow-overlap": true, "text-ignore-placement": true };
      const paint = { "text-color": color, "text-halo-color": halo, "text-halo-width": 1.4 };
      found.push(
        /** @type {any} */ ({ id: name("sign"), type: "symbol", filter: ["all", ["!", cluster], ["!", is("before")]],
          layout: { ...text, "text-field": sign, "text-size": 15 }, paint }),
        /** @type {any} */ ({ id: name("count"), type: "symbol", filter: cluster,
          layout: { ...text, "text-field": ["concat", sign, " ", ["to-string", ["get", "count"]]], "text-size": 12 }, paint }),
      );
    }
    return found;
  }

  /** @param {any} map */
  #clear(map) {
    if (!map.style?._loaded) return;
    const { layers, sources } = map.getStyle();
    for (const layer of layers) if (layer.id.startsWith(PREFIX)) map.removeLayer(layer.id);
    for (const name of Object.keys(sources)) if (name.startsWith(PREFIX)) map.removeSource(name);
  }

  /** Legend with counts and areas of all compared layers together. */
  async #tell() {
    const { t, words, layers, lang, dark } = this.#app;
    const turn = ++this.#turn;
    const dated = this.#query();
    this.list.replaceChildren(h("li", { class: "hint" }, t("正在比较…", "Comparing …")));
    /** @type {any[]} */
    let found = [];
    try {
      found = await Promise.all(this.#ids.map((id) =>
        this.#app.fetchJSON(this.#app.url(`/collections/${encodeURIComponent(id)}/changes/summary?${dated}`))));
    } catch (error) {
      this.#app.problem(error, t("差异未能读取", "The differences could not be read"));
    }
    if (turn !== this.#turn || !this.#span) return;
    const sum = (/** @type {(x: any) => number} */ of) => found.reduce((all, x) => all + of(x), 0);
    const rows = KINDS.map((k) => h("li", { "data-kind": k[0] }, sample(k, dark),
      h("span", {}, lang === "zh" ? k[1] : k[2]), h("b", {}, words.count(sum((x) => x.kinds[k[0]])))));
    const areas = found.filter((x) => x.area_m2);
    const net = areas.reduce((all, x) => all + x.area_m2.net, 0);
    const made = found.some((x) => x.synthetic);
    this.list.replaceChildren(...rows,
      areas.length ? h("li", { class: "hint" }, t("面积净变化（椭球）", "Net area (ellipsoid)"),
        h("b", {}, `${net < 0 ? "\u2212" : net > 0 ? "+" : ""}${words.area(Math.abs(net))}`)) : "",
      h("li", { class: "hint" }, t("灰色虚线为变化前的位置或形状。", "Grey dashes: place or shape of before.")),
      this.#ids.length ? h("li", { class: "hint" }, this.#ids.map((id) => words.text(layers.get(id)?.title)).join(t("、", ", ")),
        made && h("span", { class: "badge" }, t("示例数据", "Sample"))) :
        h("li", { class: "hint" }, t("请先打开要比较的图层。", "Turn on a layer to compare.")));
  }
}

/**
 * @param {typeof KINDS[number]} kind
 * @param {boolean} dark
 */
function sample(kind, dark) {
  const color = kind[dark ? 4 : 3];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("width", "20");
  svg.setAttribute("height", "20");
  svg.setAttribute("aria-hidden", "true");
  const draw = (/** @type {string} */ tag, /** @type {Record<string, string | number>} */ attributes, text = "") => {
    const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [n, v] of Object.entries(attributes)) part.setAttribute(n, String(v));
    part.textContent = text;
    svg.append(part);
  };
  draw("rect", { x: 2, y: 2, width: 16, height: 16, rx: 2, fill: color, "fill-opacity": 0.22, stroke: color,
    "stroke-width": 2, "stroke-dasharray": (kind[5] ?? []).map((n) => n * 2).join(" ") || "none" });
  draw("text", { x: 10, y: 14, "text-anchor": "middle", "font-size": 12, fill: color }, kind[6]);
  return svg;
}
