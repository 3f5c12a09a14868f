// SPDX-License-Identifier: Apache-2.0
// Legends: what each layer is drawn with, from the service's own legend of the city's style.

import { h } from "./dom.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 * @typedef {{label: string, symbol: string, color?: string, outline?: string, icon?: string, width?: number,
 *   dashes?: number[], casing?: string, gap?: string, minzoom?: number, maxzoom?: number, codes?: string[]}} Entry
 * @typedef {{entries: Map<string, Entry[]>, images: Record<string, any>, sheet: string}} Legend
 */

/** @type {Map<string, Promise<Legend>>} */
const known = new Map();

/**
 * The legend in the language and theme of the screen.
 * @param {App} app
 * @returns {Promise<Legend>}
 */
export function legend(app) {
  const theme = app.dark ? "dark" : "light";
  const address = app.url(`/styles/city/legend?lang=${app.lang}&dark=${app.dark}`);
  let found = known.get(address);
  if (!found) {
    const sheet = app.url(`/sprites/${theme}${window.devicePixelRatio > 1 ? "@2x" : ""}`);
    found = Promise.all([app.fetchJSON(address), app.fetchJSON(`${sheet}.json`).catch(() => ({}))]).then(
      ([document, images]) => ({ entries: byCollection(document), images, sheet: `${sheet}.png` }));
    found.catch(() => known.delete(address));
    known.set(address, found);
  }
  return found;
}

/**
 * One layer's entries; `value` is the first of the codes an entry stands for, `shape` the kind of its symbol.
 * @param {App} app
 * @param {Layer} layer
 * @returns {Promise<(Entry & {value: string | null, shape: "point" | "line" | "area"})[]>}
 */
export async function legendOf(app, layer) {
  const entries = (await legend(app)).entries.get(layer.id) ?? [];
  return entries.map((entry) => {
    const shape = entry.symbol === "line" || entry.symbol === "railway" ? "line"
      : entry.symbol === "area" || entry.symbol === "cells" ? "area" : "point";
    return { ...entry, value: entry.codes?.[0] ?? null, shape };
  });
}

/** @param {any} document */
function byCollection(document) {
  /** @type {Map<string, Entry[]>} */
  const found = new Map();
  for (const layer of document.layers) found.set(layer.collection, layer.entries);
  return found;
}

/**
 * A swatch: the shape of what is drawn in its colour, hatched where the data is synthetic. The classes within a
 * layer's legend are not hatched again.
 * @param {Layer} layer
 * @param {Entry} [entry]
 * @param {Legend} [from]
 * @param {boolean} [hatched]
 */
export function swatch(layer, entry, from, hatched = layer.synthetic) {
  const symbol = entry?.symbol ?? shapeOf(layer.geometry);
  const box = h("span", { class: `swatch ${symbol}${hatched ? " hatched" : ""}`, "aria-hidden": "true" });
  paint(box, layer, entry, from);
  return box;
}

/**
 * @param {HTMLElement} box
 * @param {Layer} layer
 * @param {Entry} [entry]
 * @param {Legend} [from]
 */
function paint(box, layer, entry, from) {
  const set = (/** @type {string} */ name, /** @type {string | undefined} */ value) => {
    if (value) box.style.setProperty(name, value);
  };
  set("--colour", entry?.color ?? layer.color);
  set("--edge", entry?.outline ?? entry?.casing ?? entry?.gap);
  if (entry?.width) set("--width", `${Math.max(1.5, Math.min(6, entry.width))}px`);
  if (entry?.dashes) box.classList.add("dashed");
  const image = entry?.icon ? from?.images[entry.icon] : null;
  if (!image || !from) return;
  const ratio = image.pixelRatio ?? 1;
  const scale = Math.min(1, 20 / (image.width / ratio)) / ratio;
  box.classList.add("pictured");
  const picture = h("span", { class: "picture" });
  Object.assign(picture.style, { width: `${image.width}px`, height: `${image.height}px`,
    backgroundImage: `url("${from.sheet}")`, backgroundPosition: `-${image.x}px -${image.y}px`,
    transform: `translate(-50%, -50%) scale(${scale})` });
  box.append(picture);
}

/** @param {string} geometry */
function shapeOf(geometry) {
  return geometry.includes("point") ? "marker" : geometry.includes("line") ? "line" : "area";
}
