// SPDX-License-Identifier: Apache-2.0
// Areas on the map, coloured by their figures: from tiles of the service, so that many of them weigh little.

import { collectionOf, TOOL_PREFIX } from "../compose.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./classes.js").Classes} Classes
 * @typedef {object} Picture What is drawn.
 * @property {string} tiles Path of the tiles, with their query.
 * @property {string} layer Of the tiles: the collection that was added up.
 * @property {string} column
 * @property {number} divisor
 * @property {Classes} classes
 * @property {number} zones
 * @property {boolean} byId Whether areas are told apart by the id of a feature; cells are by their code.
 */

const NAME = `${TOOL_PREFIX}summary`;
/** One hue, even steps: less is nearer to the ground, by day and by night. Not one of the base map's hues. */
const RAMPS = [
  ["#e8dafa", "#c7b1e4", "#a888cd", "#8a5fb6", "#6c359e", "#491a70"],
  ["#3e2b52", "#614480", "#865eb0", "#a980d6", "#c8a9ed", "#e7d5ff"],
];
const ZERO = ["#f6f5f1", "#20292d"];
const MISSING = ["#8c9399", "#6d7f88"];
/** More areas than this in a tile are asked for closer up only. */
const TILE_MOST = 4000;
/** At this zoom a tile holds about the whole city. */
const CITY_ZOOM = 8;
const TILES_TO = 14;

/** The colour of a class. @param {boolean} dark @param {number} i @param {number} of */
export function classColour(dark, i, of) {
  const ramp = RAMPS[dark ? 1 : 0];
  return ramp[of < 2 ? 3 : Math.round((i * (ramp.length - 1)) / (of - 1))];
}

/** The colour of areas in which nothing is. @param {boolean} dark */
export const zeroColour = (dark) => ZERO[dark ? 1 : 0];

/** From which zoom so many areas are drawn. @param {number} zones */
export function drawnFrom(zones) {
  return zones <= TILE_MOST ? 0 : CITY_ZOOM + Math.ceil(Math.log(zones / TILE_MOST) / Math.log(4));
}

export class Drawing {
  #app;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {string | number | null} */
  #zone = null;
  #again = () => this.#draw();

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    app.on("theme", () => { if (this.#picture) this.show(this.#picture); });
  }

  /** @param {Picture | null} picture */
  show(picture) {
    this.#clear();
    this.#picture = picture;
    this.#app.map.off("styledata", this.#again);
    if (!picture) return;
    this.#app.map.on("styledata", this.#again);
    this.#draw();
  }

  /** Brings out one area. @param {string | number | null} zone */
  bringOut(zone) {
    this.#zone = zone;
    const { map } = this.#app;
    for (const part of ["halo", "out"]) if (map.getLayer(`${NAME}:${part}`)) map.setFilter(`${NAME}:${part}`, this.#only());
  }

  /**
   * The area at a pixel, unless something of the layer itself is there, which is smaller.
   * @param {{x: number, y: number}} point
   */
  hit(point) {
    const { map, view } = this.#app;
    if (!this.#picture || !map.getLayer(`${NAME}:area`)) return null;
    const own = map.getStyle().layers.filter((/** @type {any} */ x) => collectionOf(x) === this.#picture?.layer).map((/** @type {any} */ x) => x.id);
    if (view.visible().includes(this.#picture.layer) && own.length) {
      const found = map.queryRenderedFeatures([[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]], { layers: own });
      if (found.some((/** @type {any} */ f) => f.geometry.type === "Point")) return null;
    }
    const feature = map.queryRenderedFeatures(point, { layers: [`${NAME}:area`] })[0];
    return feature ? { zone: this.#picture.byId ? feature.id : feature.properties.code } : null;
  }

  #only() {
    return this.#picture?.byId ? ["==", ["id"], this.#zone ?? -1] : ["==", ["get", "code"], this.#zone ?? ""];
  }

  #clear() {
    const { map } = this.#app;
    if (!map.style?._loaded) return;
    for (const layer of map.getStyle().layers) if (layer.id.startsWith(NAME)) map.removeLayer(layer.id);
    if (map.getSource(NAME)) map.removeSource(NAME);
  }

  /** Lines across areas without a value. @param {string} colour */
  #hatch(colour) {
    const { map, dark } = this.#app;
    const name = `${NAME}:none:${dark ? 1 : 0}`;
    if (map.hasImage(name)) return name;
    const pen = /** @type {CanvasRenderingContext2D} */ (
      Object.assign(document.createElement("canvas"), { width: 12, height: 12 }).getContext("2d"));
    Object.assign(pen, { strokeStyle: colour, lineWidth: 1 });
    pen.stroke(new Path2D("M-1 7L7 -1M5 13L13 5"));
    map.addImage(name, pen.getImageData(0, 0, 12, 12));
    return name;
  }

  #draw() {
    const { map, dark, url } = this.#app;
    const picture = this.#picture;
    if (!picture || !map.style?._loaded || map.getSource(NAME)) return;
    const night = dark ? 1 : 0;
    const { classes } = picture.classes;
    const value = ["get", picture.column];
    const limits = classes.slice(1).flatMap((c, i) => [c.from * picture.divisor, classColour(dark, i + 1, classes.length)]);
    const first = classes.length ? classColour(dark, 0, classes.length) : zeroColour(dark);
    const ramp = limits.length ? ["step", value, first, ...limits] : first;
    const colour = picture.classes.zeros ? ["case", ["==", value, 0], zeroColour(dark), ramp] : ramp;
    const known = ["has", picture.column];
    map.addSource(NAME, { type: "vector", tiles: [window.location.origin + url(picture.tiles)], minzoom: drawnFrom(picture.zones), maxzoom: TILES_TO });
    const from = { source: NAME, "source-layer": picture.layer };
    // Names and marks stay readable above the colours.
    const words = map.getStyle().layers.find((/** @type {any} */ x) => x.type === "symbol")?.id;
    const metadata = { "geocloud:under": "words" };
    const small = picture.zones > TILE_MOST / 4;
    map.addLayer({ id: `${NAME}:area`, type: "fill", ...from, metadata, filter: known,
      paint: { "fill-color": colour, "fill-opacity": 0.85, "fill-antialias": false } }, words);
    map.addLayer({ id: `${NAME}:none`, type: "fill", ...from, metadata, filter: ["!", known],
      paint: { "fill-pattern": this.#hatch(MISSING[night]), "fill-opacity": 0.4 } }, words);
    map.addLayer({ id: `${NAME}:line`, type: "line", ...from, metadata, layout: { "line-join": "round" },
      paint: { "line-color": dark ? "#0d1b21" : "#ffffff",
        "line-width": ["interpolate", ["linear"], ["zoom"], 8, small ? 0 : 0.8, 13, 1.4] } }, words);
    const bends = { "line-join": "round", "line-cap": "round" };
    map.addLayer({ id: `${NAME}:halo`, type: "line", ...from, filter: this.#only(), layout: bends,
      paint: { "line-color": dark ? "#0d1b21" : "#ffffff", "line-width": 6 } });
    map.addLayer({ id: `${NAME}:out`, type: "line", ...from, filter: this.#only(), layout: bends,
      paint: { "line-color": dark ? "#ffd166" : "#1f2a30", "line-width": 3 } });
  }
}
