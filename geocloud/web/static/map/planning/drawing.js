// SPDX-License-Identifier: Apache-2.0
// What a check draws on the map: the site, and where each rule hits, told apart by colour, dashes and the rule's number.

import { TOOL_PREFIX } from "../compose.js";

/** @typedef {import("../types.js").App} App */

/** Verdict, colour by day and by night, dashes in line widths, how full its areas are while no rule is brought out:
 * rules lie on top of each other. @type {[string, string, string, number[] | null, number][]} */
const LOOKS = [
  ["note", "#1c6e8c", "#6cbcd8", [1, 1.2], 0],
  ["consent", "#b07914", "#e0b04d", [3, 1.5], 0.08],
  ["refuse", "#b3372f", "#f0938b", null, 0.18],
];
const PREFIX = `${TOOL_PREFIX}planning:`;
const [SITE, HITS] = [`${PREFIX}site`, `${PREFIX}hits`];

export class Drawing {
  #app;
  /** @type {any} */
  #site = null;
  /** @type {any} */
  #hits = null;
  /** @type {string | null} */
  #rule = null;
  #again = () => this.#draw();

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    app.on("theme", () => { if (this.#site) this.show(this.#site, this.#hits); });
  }

  /**
   * Draws a site and its overlaps; null takes both away.
   * @param {any} site GeoJSON geometry.
   * @param {any} [hits] GeoJSON FeatureCollection.
   */
  show(site, hits = null) {
    this.#clear();
    [this.#site, this.#hits] = [site, hits];
    this.#app.map.off("styledata", this.#again);
    if (!site) return;
    this.#app.map.on("styledata", this.#again);
    this.#draw();
  }

  /**
   * Brings out one rule; null: all alike.
   * @param {string | null} rule
   */
  bringOut(rule) {
    this.#rule = rule;
    const { map } = this.#app;
    if (!map.getLayer(`${HITS}:area`)) return;
    map.setPaintProperty(`${HITS}:area`, "fill-opacity", this.#filled());
    for (const [verdict] of LOOKS) map.setPaintProperty(`${HITS}:${verdict}`, "line-opacity", this.#strength());
    if (map.getLayer(`${HITS}:number`)) map.setFilter(`${HITS}:number`, this.#named());
  }

  #filled() {
    return this.#rule === null ? ["match", ["get", "verdict"], ...LOOKS.flatMap((look) => [look[0], look[4]]), 0]
      : ["case", this.#isOut(), 0.45, 0];
  }

  #strength() {
    return this.#rule === null ? 1 : ["case", this.#isOut(), 1, 0];
  }

  #isOut() {
    return ["==", ["get", "rule"], this.#rule];
  }

  #named() {
    return this.#rule === null ? ["has", "rule"] : this.#isOut();
  }

  #clear() {
    const { map } = this.#app;
    if (!map.style?._loaded) return;
    for (const layer of map.getStyle().layers) if (layer.id.startsWith(PREFIX)) map.removeLayer(layer.id);
    for (const name of [SITE, HITS]) if (map.getSource(name)) map.removeSource(name);
  }

  #draw() {
    const { map, dark } = this.#app;
    if (!this.#site || !map.style?._loaded || map.getSource(SITE)) return;
    const at = dark ? 2 : 1;
    const [ink, halo] = dark ? ["#e4e9eb", "#0d1b21"] : ["#1f2a30", "#ffffff"];
    const color = ["match", ["get", "verdict"], ...LOOKS.flatMap((look) => [look[0], look[at]]), ink];
    const bends = { "line-join": "round" };
    map.addSource(SITE, { type: "geojson", data: { type: "Feature", properties: {}, geometry: this.#site } });
    map.addSource(HITS, { type: "geojson", data: this.#hits ?? { type: "FeatureCollection", features: [] } });
    const layers = [
      { id: `${HITS}:area`, type: "fill", source: HITS, paint: { "fill-color": color, "fill-opacity": this.#filled() } },
      ...LOOKS.map((look) => ({ id: `${HITS}:${look[0]}`, type: "line", source: HITS, layout: bends,
        filter: ["==", ["get", "verdict"], look[0]], paint: { "line-color": look[at], "line-width": 2,
          "line-opacity": this.#strength(), ...(look[3] ? { "line-dasharray": look[3] } : {}) } })),
      { id: `${SITE}:halo`, type: "line", source: SITE, layout: bends,
        paint: { "line-color": halo, "line-width": 6, "line-opacity": 0.85 } },
      { id: `${SITE}:line`, type: "line", source: SITE, layout: bends, paint: { "line-color": ink, "line-width": 2.5 } },
    ];
    for (const layer of layers) map.addLayer(layer);
    const fonts = map.getStyle().layers.map((/** @type {any} */ x) => x.layout?.["text-font"]).filter(Array.isArray);
    const font = fonts.find((/** @type {string[]} */ x) => !/italic|oblique/i.test(x[0])) ?? fonts[0];
    if (!font) return;
    map.addLayer({ id: `${HITS}:number`, type: "symbol", source: HITS, filter: this.#named(),
      layout: { "text-font": font, "text-field": ["get", "rule"], "text-size": 13 },
      paint: { "text-color": ink, "text-halo-color": halo, "text-halo-width": 1.6 } });
  }
}
