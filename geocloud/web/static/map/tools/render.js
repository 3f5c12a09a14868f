// SPDX-License-Identifier: Apache-2.0
// The map drawn again for paper: away from the screen, as many pixels as the printer has, and what was on it.

import { collectionOf } from "../compose.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {object} Frame What of the earth comes on paper.
 * @property {[number, number]} center
 * @property {number} zoom
 * @property {number} bearing
 * @property {number} width In CSS pixels, 96 to the inch.
 * @property {number} height
 *
 * @typedef {{codes: Set<string>, kinds: Set<string>}} Seen Codes of classes; kinds of aggregates, and `ring`.
 *
 * @typedef {object} Drawn
 * @property {HTMLCanvasElement} canvas
 * @property {Map<string, Seen>} seen What was drawn of each collection.
 * @property {(place: [number, number]) => {x: number, y: number}} project To CSS pixels of the frame.
 * @property {(point: [number, number]) => {lng: number, lat: number}} unproject
 */

/** Longest wait for tiles in milliseconds. */
const PATIENCE = 90_000;

/**
 * Draws this app's layers in a frame, `dense` pixels to a CSS pixel.
 * @param {App} app
 * @param {Frame} frame
 * @param {number} dense
 * @param {{layers?: string[], date?: string | null, style?: any}} [options] As of `app.styleFor`.
 * @returns {Promise<Drawn>}
 */
export async function render(app, frame, dense, options = {}) {
  const holder = document.createElement("div");
  holder.className = "print-holder";
  holder.style.width = `${frame.width}px`;
  holder.style.height = `${frame.height}px`;
  document.body.append(holder);
  const map = new app.maplibre.Map({
    container: holder, style: { version: 8, sources: {}, layers: [] }, center: frame.center, zoom: frame.zoom,
    bearing: frame.bearing, pixelRatio: dense, interactive: false, attributionControl: false, fadeDuration: 0,
    maxPitch: 0, maxZoom: 22, maxCanvasSize: [8192, 8192], canvasContextAttributes: { preserveDrawingBuffer: true, antialias: true },
    localIdeographFontFamily: app.map._localIdeographFontFamily ?? '"Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif',
  });
  /** @type {() => void} */
  let stop = () => {};
  try {
    stop = await app.styleFor(map, options);
    await settled(app, map);
    const gl = map.getCanvas();
    const canvas = document.createElement("canvas");
    canvas.width = gl.width;
    canvas.height = gl.height;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.drawImage(gl, 0, 0);
    const corners = [[0, 0], [frame.width, 0], [0, frame.height], [frame.width, frame.height]];
    const seen = classesOf(app, map);
    // The projection outlives the map as numbers: on a plane without tilt it is affine in Mercator.
    const project = affine(app, map, corners);
    return { canvas, seen, ...project };
  } finally {
    stop();
    map.remove();
    holder.remove();
  }
}

/**
 * @param {App} app
 * @param {any} map
 */
function settled(app, map) {
  return new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(app.t("地图数据长时间没有载完，请缩小范围或降低分辨率后重试。",
      "The map's data took too long; try a smaller area or a lower resolution."))), PATIENCE);
    const look = () => {
      if (!map.isStyleLoaded() || !map.areTilesLoaded() || !map.loaded() || Object.keys(map.getStyle().sources).length + map.getStyle().layers.length === 0) {
        return;
      }
      clearTimeout(late);
      map.off("idle", look);
      done(null);
    };
    map.on("idle", look);
    map.on("error", (/** @type {any} */ event) => {
      if (event.error?.name === "AbortError" || event.error?.status === 404) return;
      clearTimeout(late);
      fail(event.error);
    });
    look();
  });
}

/**
 * @param {App} app
 * @param {any} map
 * @returns {Map<string, Seen>}
 */
function classesOf(app, map) {
  /** @type {Map<string, Seen>} */
  const seen = new Map();
  for (const feature of map.queryRenderedFeatures()) {
    const id = collectionOf(feature.layer);
    const layer = id === null ? undefined : app.layers.get(id);
    if (!id || !layer) continue;
    const { codes, kinds } = seen.get(id) ?? { codes: new Set(), kinds: new Set() };
    seen.set(id, { codes, kinds });
    const { properties: p } = feature;
    const code = layer.colorBy ? p[layer.colorBy] : undefined;
    if (code !== undefined && code !== null) codes.add(String(code));
    if (p.overview) kinds.add(p.overview);
    if (feature.layer.id.includes("ring")) kinds.add("ring");
    if (p.mix) {
      try {
        Object.keys(JSON.parse(p.mix)).forEach((key) => codes.add(key));
      } catch {
        // A mix that cannot be read names no class.
      }
    }
  }
  return seen;
}

/**
 * @param {App} app
 * @param {any} map
 * @param {number[][]} corners
 * @returns {Pick<Drawn, "project" | "unproject">}
 */
function affine(app, map, corners) {
  const { MercatorCoordinate, LngLat } = app.maplibre;
  const flat = (/** @type {any} */ place) => MercatorCoordinate.fromLngLat(LngLat.convert(place));
  const [o, a, b] = corners.slice(0, 3).map((corner) => flat(map.unproject(corner)));
  const [width, height] = corners[3];
  const u = [(a.x - o.x) / width, (a.y - o.y) / width];
  const v = [(b.x - o.x) / height, (b.y - o.y) / height];
  const det = u[0] * v[1] - u[1] * v[0];
  return {
    project(place) {
      const m = flat(place);
      const [dx, dy] = [m.x - o.x, m.y - o.y];
      return { x: (dx * v[1] - dy * v[0]) / det, y: (dy * u[0] - dx * u[1]) / det };
    },
    unproject([x, y]) {
      return new MercatorCoordinate(o.x + u[0] * x + v[0] * y, o.y + u[1] * x + v[1] * y).toLngLat();
    },
  };
}
