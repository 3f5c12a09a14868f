// SPDX-License-Identifier: Apache-2.0
// The newest values of a layer as badges on the map, asked for again every so often.

import { quiet } from "../dom.js";
import { TOOL_PREFIX } from "../compose.js";
import { ageWords, isDoubtful, isStale, readLatest, unitText, valueText } from "./source.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./source.js").Measure} Measure
 */

const PREFIX = `${TOOL_PREFIX}readings:`;
const MOST = 300;
const [SOONEST_MS, LATEST_MS] = [15_000, 300_000];
const MOVED_MS = 300;
/** Zoom from which the age of every value stands below it; before, that of stale ones alone. */
const AGES_FROM = 13;
/** Ground, edge and ink of a badge by day and by night: fresh, stale, doubtful. @type {Record<string, [string, string, string][]>} */
const LOOKS = {
  fresh: [["#ffffff", "#1c6e8c", "#1f2a30"], ["#1a2327", "#6cbcd8", "#e4e9eb"]],
  stale: [["#eef0f1", "#9aa6ad", "#5b6a72"], ["#222b30", "#5f6e76", "#9db0b9"]],
  doubtful: [["#fbf1dc", "#c7891b", "#7a5208"], ["#3a3220", "#e0b04d", "#e8c273"]],
};

export class Badges {
  #app;
  #measures;
  /** @type {Map<string, {property: string, features: any[] | null, control: AbortController, timer: number}>} */
  #on = new Map();
  #again = () => this.#draw();
  #tell;

  /**
   * @param {App} app
   * @param {Map<string, Measure[]>} measures
   * @param {(id: string) => void} tell A layer's values are there, or are too many.
   */
  constructor(app, measures, tell) {
    this.#app = app;
    this.#measures = measures;
    this.#tell = tell;
    app.map.on("styledata", this.#again);
    app.map.on("moveend", quiet(() => this.#readAll(), MOVED_MS));
    app.on("theme", () => this.#redraw());
    app.on("lang", () => this.#readAll());
    app.on("layers", () => this.follow());
    app.state.subscribe("date", () => this.follow());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#readAll(); });
  }

  /** Features with their values as they are shown, null while they are too many. @param {string} id */
  shown(id) {
    return this.#on.get(id)?.features ?? null;
  }

  /** Shows what the address asks for: readings are of now, so a map of another date has none. */
  follow() {
    const { state } = this.#app;
    const visible = new Set(state.get("date") ? [] : this.#app.visible());
    for (const [id, measures] of this.#measures) {
      const asked = state.get(`read.${id}`) ?? measures[0].property;
      const property = visible.has(id) && measures.some((m) => m.property === asked) ? asked : null;
      const now = this.#on.get(id);
      if (now && now.property !== property) {
        now.control.abort();
        window.clearTimeout(now.timer);
        this.#on.delete(id);
        this.#remove(id);
      }
      if (property && !this.#on.has(id)) {
        this.#on.set(id, { property, features: null, control: new AbortController(), timer: 0 });
        this.#read(id);
      }
    }
  }

  #readAll() {
    for (const id of this.#on.keys()) this.#read(id);
  }

  /** @param {string} id */
  async #read(id) {
    const one = this.#on.get(id);
    const layer = this.#app.layers.get(id);
    if (!one || !layer || document.hidden) return;
    window.clearTimeout(one.timer);
    one.control.abort();
    one.control = new AbortController();
    const { signal } = one.control;
    const every = Math.min(...(this.#measures.get(id) ?? []).filter((m) => m.property === one.property).map((m) => m.interval_s ?? 600)) * 500;
    const { minZoom, overview, overviewBelow } = layer.tiles;
    // Where a point stands for many, one value says nothing.
    if (this.#app.map.getZoom() < (overview === "none" ? minZoom : overviewBelow)) this.#set(id, null);
    else {
      const bounds = this.#app.map.getBounds();
      const box = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()].map((v) => v.toFixed(6)).join(",");
      try {
        const features = await readLatest(this.#app, id, one.property, box, MOST, signal);
        if (!signal.aborted) this.#set(id, features);
      } catch (error) {
        // What is on screen keeps its age; the next turn asks again.
        if (signal.aborted) return;
      }
    }
    one.timer = window.setTimeout(() => this.#read(id), Math.min(LATEST_MS, Math.max(SOONEST_MS, every)));
  }

  /** @param {string} id @param {any[] | null} features */
  #set(id, features) {
    const one = this.#on.get(id);
    if (!one) return;
    one.features = features;
    this.#app.map.getSource(`${PREFIX}${id}`)?.setData(this.#data(id));
    this.#draw();
    this.#tell(id);
  }

  /** @param {string} id */
  #data(id) {
    const one = this.#on.get(id);
    const measures = this.#measures.get(id) ?? [];
    const features = (one?.features ?? []).flatMap((f) => {
      const latest = f.properties.latest?.[one?.property ?? ""];
      const place = f.geometry && pointOf(f.geometry);
      if (!latest || !place) return [];
      const look = isStale(latest) ? "stale" : isDoubtful(latest.flags) ? "doubtful" : "fresh";
      const text = `${isDoubtful(latest.flags) ? "⚠ " : ""}${valueText(latest.value, unitText(measures, one?.property ?? "", latest.unit))}`;
      return [{ type: "Feature", geometry: { type: "Point", coordinates: place },
        properties: { fid: f.id, look, text, age: ageWords(this.#app, latest.time), value: latest.value } }];
    });
    return { type: "FeatureCollection", features };
  }

  /** @param {string} id */
  #remove(id) {
    const { map } = this.#app;
    if (!map.style?._loaded) return;
    if (map.getLayer(`${PREFIX}${id}`)) map.removeLayer(`${PREFIX}${id}`);
    if (map.getSource(`${PREFIX}${id}`)) map.removeSource(`${PREFIX}${id}`);
  }

  #redraw() {
    for (const id of this.#on.keys()) this.#remove(id);
    this.#draw();
  }

  #draw() {
    const { map, dark } = this.#app;
    if (!map.style?._loaded) return;
    const night = dark ? 1 : 0;
    // A new image is told of at once, and then all of this runs within: nothing may be half done meanwhile.
    if (this.#on.size) for (const look of Object.keys(LOOKS)) this.#image(look, night);
    for (const id of this.#on.keys()) {
      const name = `${PREFIX}${id}`;
      if (map.getSource(name)) continue;
      const fonts = map.getStyle().layers.map((/** @type {any} */ x) => x.layout?.["text-font"]).filter(Array.isArray);
      const font = fonts.find((/** @type {string[]} */ x) => !/italic|oblique/i.test(x[0])) ?? fonts[0];
      if (!font) return;
      const age = ["concat", "\n", ["get", "age"]];
      const said = (/** @type {any} */ below) => ["format", ["get", "text"], {}, below, { "font-scale": 0.83 }];
      const ink = ["match", ["get", "look"], "stale", LOOKS.stale[night][2], "doubtful", LOOKS.doubtful[night][2], LOOKS.fresh[night][2]];
      map.addSource(name, { type: "geojson", data: this.#data(id) });
      map.addLayer({ id: name, type: "symbol", source: name,
        layout: { "text-font": font, "text-size": 12, "text-anchor": "bottom", "text-offset": [0, -1.4], "text-justify": "center", "text-max-width": 60,
          "text-field": ["step", ["zoom"], said(["case", ["==", ["get", "look"], "stale"], age, ""]), AGES_FROM, said(age)],
          "icon-image": ["concat", PREFIX, ["get", "look"], `:${night}`], "icon-text-fit": "both", "icon-text-fit-padding": [1, 4, 1, 4],
          // Values of now come before old ones where both have no room.
          "symbol-sort-key": ["match", ["get", "look"], "doubtful", 0, "fresh", 1, 2] },
        paint: { "text-color": ink } });
    }
  }

  /** A badge that stretches with its text. @param {string} look @param {number} night */
  #image(look, night) {
    const { map } = this.#app;
    const name = `${PREFIX}${look}:${night}`;
    if (map.hasImage(name)) return;
    const pen = Object.assign(document.createElement("canvas"), { width: 32, height: 32 }).getContext("2d");
    if (!pen) return;
    const [ground, edge] = LOOKS[look][night];
    Object.assign(pen, { fillStyle: ground, strokeStyle: edge, lineWidth: 2.5 });
    pen.beginPath();
    pen.roundRect(2, 2, 28, 28, 8);
    pen.fill();
    if (look === "stale") pen.setLineDash([4, 3]);
    pen.stroke();
    map.addImage(name, pen.getImageData(0, 0, 32, 32), { pixelRatio: 2, stretchX: [[12, 20]], stretchY: [[12, 20]], content: [4, 4, 28, 28] });
  }
}

/** A place for a badge: the point itself, of other shapes the middle of their box. @param {any} geometry */
function pointOf(geometry) {
  if (geometry.type === "Point") return geometry.coordinates.slice(0, 2);
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (/** @type {any} */ c) => {
    if (typeof c[0] !== "number") return c.forEach(walk);
    [box[0], box[1], box[2], box[3]] = [Math.min(box[0], c[0]), Math.min(box[1], c[1]), Math.max(box[2], c[0]), Math.max(box[3], c[1])];
  };
  if (geometry.coordinates) walk(geometry.coordinates);
  return Number.isFinite(box[0]) ? [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] : null;
}
