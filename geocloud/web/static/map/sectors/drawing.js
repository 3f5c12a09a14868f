// SPDX-License-Identifier: Apache-2.0
// An answer on the map: its rows and what else is GeoJSON, a popup for each, the chosen one brought out.

import { TOOL_PREFIX } from "../compose.js";
import { h } from "../dom.js";
import { at, valueElement, valueWords } from "./values.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./rows.js").Answer} Answer
 */

const PREFIX = `${TOOL_PREFIX}sector:`;
const [ROWS, OTHERS] = [`${PREFIX}rows`, `${PREFIX}others`];
/** Tone by day and by night. @type {Record<string, [string, string]>} */
const TONES = { good: ["#3d7f4f", "#83c99a"], warning: ["#b07914", "#e0b04d"], danger: ["#b3372f", "#f0938b"], note: ["#1c6e8c", "#6cbcd8"], unknown: ["#5b6a72", "#9db0b9"] };
const PLAIN = /** @type {[string, string]} */ (["#1c6e8c", "#6cbcd8"]);
/** How areas of a tone are hatched besides, for who cannot tell red from green. @type {Record<string, string[]>} */
const HATCHES = { danger: ["M-1 7L7 -1M5 13L13 5"], unknown: ["M5 -1L13 7M-1 5L7 13"] };
const REACH = 6;
const MOST = 12;
/** With more rows their labels give way to each other. */
const CROWD = 30;

export class Drawing {
  #app;
  /** @type {Answer | null} */
  #answer = null;
  /** @type {any} */
  #popup = null;
  #picked;
  #number = -1;
  #shown = (/** @type {any} */ _row) => true;
  #again = () => this.#draw();

  /** @param {App} app @param {(number: number) => void} picked A row was clicked on the map. */
  constructor(app, picked) {
    this.#app = app;
    this.#picked = picked;
    app.on("theme", () => { if (this.#answer) this.show(this.#answer); });
  }

  /** @param {Answer | null} answer */
  show(answer) {
    this.#clear();
    this.#answer = answer;
    this.#number = -1;
    this.#app.map.off("styledata", this.#again);
    if (!answer) return;
    this.#app.map.on("styledata", this.#again);
    this.#draw();
  }

  /** Draws only the rows for which `test` is true. @param {(row: any) => boolean} test */
  only(test) {
    this.#shown = test;
    this.#app.map.getSource(ROWS)?.setData(this.#rows());
  }

  /** Brings out one row, -1 none. @param {number} number */
  bringOut(number) {
    this.#number = number;
    const { map } = this.#app;
    for (const kind of ["point", "line"]) if (map.getLayer(`${ROWS}:${kind}:out`)) map.setFilter(`${ROWS}:${kind}:out`, this.#outFilter(kind));
  }

  /** The row or other feature that is drawn at a pixel. @param {{x: number, y: number}} point */
  hit({ x, y }) {
    const { map } = this.#app;
    const layers = [`${ROWS}:point`, `${ROWS}:line`, `${ROWS}:area`, `${OTHERS}:point`, `${OTHERS}:line`].filter((id) => map.getLayer(id));
    if (!layers.length) return null;
    return map.queryRenderedFeatures([[x - REACH, y - REACH], [x + REACH, y + REACH]], { layers })[0] ?? null;
  }

  /** A click on the map: the popup of what is there. @param {any} event */
  click(event) {
    const found = this.hit(event.point);
    if (!found) return;
    const number = found.properties.number;
    if (number === undefined) this.#open(event.lngLat, this.#othersWords(this.#answer?.others[found.properties.other]?.properties ?? {}));
    else {
      this.bringOut(number);
      this.popup(number, event.lngLat);
      this.#picked(number);
    }
  }

  /** Opens the popup of a row. @param {number} number @param {any} lngLat */
  popup(number, lngLat) {
    const row = this.#answer?.rows[number];
    if (!row || !this.#answer) return;
    const [first, ...rest] = this.#answer.columns;
    const { lang, words } = this.#app;
    this.#open(lngLat, h("div", {}, first && h("b", {}, valueWords(this.#app, first, at(row.values, first.name, lang)) || "—"),
      h("dl", {}, ...rest.flatMap((c) => {
        const value = at(row.values, c.name, lang);
        return valueWords(this.#app, c, value) ? [h("dt", {}, words.text(c.title)), h("dd", {}, valueElement(this.#app, c, value))] : [];
      }))));
  }

  closePopup() {
    this.#popup?.remove();
    this.#popup = null;
  }

  /** @param {Record<string, any>} properties */
  #othersWords(properties) {
    const shown = Object.entries(properties).filter(([, v]) => v !== null && typeof v !== "object").slice(0, MOST);
    return h("dl", {}, ...shown.flatMap(([name, v]) => [h("dt", {}, name), h("dd", {}, String(v))]));
  }

  /** @param {any} lngLat @param {HTMLElement} body */
  #open(lngLat, body) {
    this.closePopup();
    if (!body.textContent) return;
    const close = this.#app.t("关闭", "Close");
    this.#popup = new this.#app.maplibre.Popup({ maxWidth: "280px", focusAfterOpen: false, closeOnClick: false, className: "sector-popup" })
      .setLngLat(lngLat).setDOMContent(body).addTo(this.#app.map);
    this.#popup.getElement().querySelector(".maplibregl-popup-close-button")?.setAttribute("aria-label", close);
  }

  #rows() {
    const { verdict, tone, label } = /** @type {Answer} */ (this.#answer);
    const { lang } = this.#app;
    const features = /** @type {Answer} */ (this.#answer).rows.filter((r) => r.feature && this.#shown(r)).map((r) => ({
      ...r.feature, properties: { number: r.number, text: label ? valueWords(this.#app, label, at(r.values, label.name, lang)) : "", tone: tone?.tones?.[String(r.values[tone.name])] ?? verdict?.tones?.[String(r.values[verdict.name])] ?? "" } }));
    return { type: "FeatureCollection", features };
  }

  #others() {
    return { type: "FeatureCollection", features: /** @type {Answer} */ (this.#answer).others.map((f, other) => ({ ...f, properties: { other } })) };
  }

  /** @param {string} kind */
  #outFilter(kind) {
    const type = ["==", ["geometry-type"], "Point"];
    return ["all", kind === "point" ? type : ["!", type], ["==", ["get", "number"], this.#number]];
  }

  #clear() {
    this.closePopup();
    const { map } = this.#app;
    if (!map.style?._loaded) return;
    for (const layer of map.getStyle().layers) if (layer.id.startsWith(PREFIX)) map.removeLayer(layer.id);
    for (const name of [ROWS, OTHERS]) if (map.getSource(name)) map.removeSource(name);
  }

  /** Puts a pattern of lines among the map's images. @param {string} tone @param {string} color */
  #hatch(tone, color) {
    const { map, dark } = this.#app;
    const name = `${PREFIX}${tone}:${dark ? 1 : 0}`;
    if (map.hasImage(name)) return true;
    const pen = Object.assign(document.createElement("canvas"), { width: 12, height: 12 }).getContext("2d");
    if (!pen) return false;
    Object.assign(pen, { strokeStyle: color, lineWidth: tone === "danger" ? 1.6 : 1 });
    for (const path of HATCHES[tone]) pen.stroke(new Path2D(path));
    map.addImage(name, pen.getImageData(0, 0, 12, 12));
    return true;
  }

  #draw() {
    const { map, dark } = this.#app;
    if (!this.#answer || !map.style?._loaded || map.getSource(ROWS)) return;
    const night = dark ? 1 : 0;
    const halo = dark ? "#0d1b21" : "#ffffff";
    const color = ["match", ["get", "tone"], ...Object.entries(TONES).flatMap(([tone, c]) => [tone, c[night]]), PLAIN[night]];
    const accent = dark ? "#ffd166" : "#1f2a30";
    const point = ["==", ["geometry-type"], "Point"];
    const area = ["==", ["geometry-type"], "Polygon"];
    const bends = { "line-join": "round", "line-cap": "round" };
    map.addSource(OTHERS, { type: "geojson", data: this.#others() });
    map.addSource(ROWS, { type: "geojson", data: this.#rows() });
    const line = (/** @type {string} */ source) => [
      { id: `${source}:halo`, type: "line", source, filter: ["!", point], layout: bends, paint: { "line-color": halo, "line-width": ["match", ["geometry-type"], "Polygon", 2.5, 6], "line-opacity": 0.8 } },
      { id: `${source}:line`, type: "line", source, filter: ["!", point], layout: bends, paint: { "line-color": color, "line-width": ["match", ["geometry-type"], "Polygon", 1.2, 3] } }];
    const circle = { "circle-radius": ["interpolate", ["linear"], ["zoom"], 8, 6, 12, 8], "circle-color": color, "circle-stroke-color": halo, "circle-stroke-width": 2 };
    const layers = [
      { id: `${OTHERS}:area`, type: "fill", source: OTHERS, filter: area, paint: { "fill-color": color, "fill-opacity": 0.1 } },
      { id: `${ROWS}:area`, type: "fill", source: ROWS, filter: area, paint: { "fill-color": color, "fill-opacity": 0.3 } },
      ...Object.keys(HATCHES).filter((tone) => this.#hatch(tone, TONES[tone][night])).map((tone) => ({ id: `${ROWS}:hatch:${tone}`, type: "fill", source: ROWS,
        filter: ["all", area, ["==", ["get", "tone"], tone]], paint: { "fill-pattern": `${PREFIX}${tone}:${night}`, "fill-opacity": 0.5 } })),
      ...line(OTHERS), ...line(ROWS),
      { id: `${OTHERS}:point`, type: "circle", source: OTHERS, filter: point, paint: { ...circle, "circle-color": halo, "circle-stroke-color": color, "circle-stroke-width": 2.5 } },
      { id: `${ROWS}:point`, type: "circle", source: ROWS, filter: point, paint: circle },
      { id: `${ROWS}:line:out`, type: "line", source: ROWS, filter: this.#outFilter("line"), layout: bends, paint: { "line-color": accent, "line-width": 4 } },
      { id: `${ROWS}:point:out`, type: "circle", source: ROWS, filter: this.#outFilter("point"), paint: { "circle-radius": 12, "circle-opacity": 0, "circle-stroke-color": accent, "circle-stroke-width": 3 } },
    ];
    for (const layer of layers) map.addLayer(layer);
    const fonts = map.getStyle().layers.map((/** @type {any} */ x) => x.layout?.["text-font"]).filter(Array.isArray);
    const font = fonts.find((/** @type {string[]} */ x) => !/italic|oblique/i.test(x[0])) ?? fonts[0];
    if (!font || !this.#answer.label) return;
    map.addLayer({ id: `${ROWS}:text`, type: "symbol", source: ROWS, filter: ["!=", ["get", "text"], ""],
      layout: { "text-font": font, "text-field": ["get", "text"], "text-size": 13, "text-anchor": "bottom", "text-offset": [0, -0.7], "text-allow-overlap": this.#answer.rows.length <= CROWD },
      paint: { "text-color": dark ? "#e4e9eb" : "#1f2a30", "text-halo-color": halo, "text-halo-width": 2 } });
  }
}
