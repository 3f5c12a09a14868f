// SPDX-License-Identifier: Apache-2.0
// Legends: what each layer is drawn with, from the service's own legend of its style.

import { h } from "./dom.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 * @typedef {{value: string | null, label: string, color: string, shape: string, image: string | null}} Entry
 */

/** @type {Map<string, Promise<Entry[]>>} */
const known = new Map();

/**
 * Entries of a layer's legend in the language and theme of the screen.
 * @param {App} app
 * @param {Layer} layer
 * @returns {Promise<Entry[]>}
 */
export function legendOf(app, layer) {
  const address = app.url(`${layer.legend}?lang=${app.lang}&dark=${app.dark}`);
  let found = known.get(address);
  if (!found) {
    found = app.fetchJSON(address).then((document) => entries(document, layer));
    found.catch(() => known.delete(address));
    known.set(address, found);
  }
  return found;
}

/**
 * A swatch: the shape of the geometry in its colour, hatched where the data is synthetic.
 * @param {Layer} layer
 * @param {Partial<Entry>} [entry]
 */
export function swatch(layer, entry = {}) {
  const shape = entry.shape ?? shapeOf(layer.geometry);
  const box = h("span", { class: `swatch ${shape}${layer.synthetic ? " hatched" : ""}`, "aria-hidden": "true" });
  box.style.setProperty("--colour", entry.color ?? layer.color);
  return box;
}

/** @param {string} geometry */
function shapeOf(geometry) {
  return geometry.includes("point") ? "point" : geometry.includes("line") ? "line" : "area";
}

/**
 * @param {any} document
 * @param {Layer} layer
 * @returns {Entry[]}
 */
function entries(document, layer) {
  const list = document.entries ?? document.classes ?? document.items ?? [];
  return list.map((/** @type {any} */ x) => ({
    value: x.value ?? x.code ?? null,
    label: x.label ?? x.title ?? String(x.value ?? ""),
    color: x.color ?? layer.color,
    shape: x.shape ?? shapeOf(x.geometry ?? layer.geometry),
    image: x.image ?? null,
  }));
}
