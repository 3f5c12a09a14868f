// SPDX-License-Identifier: Apache-2.0
// The rows of an answer: their values, the feature each is on the map, and what they come to by verdict.

import { at, columnsOf, featuresOf, rowsPath } from "./values.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./values.js").Column} Column
 * @typedef {{values: any, feature: any | null, number: number}} Row
 * @typedef {{rows: Row[], columns: Column[], verdict: Column | null, tone: Column | null, label: Column | null, others: any[], unplaced: number}} Answer
 */

const PLACES_MOST = 5000;
const PAGE = 1000;

/**
 * @param {App} app
 * @param {any} one The function.
 * @param {Record<string, any>} outputs
 * @returns {Answer}
 */
export function answerRows(app, one, outputs) {
  const path = one.rows || rowsPath(outputs);
  const found = path ? at(outputs, path) : null;
  const features = found?.type === "FeatureCollection";
  const list = features ? found.features : Array.isArray(found) ? found : [];
  /** @type {Row[]} */
  const rows = list.map((/** @type {any} */ x, /** @type {number} */ number) => {
    const values = features ? x.properties ?? {} : x;
    const geometry = features ? x.geometry : geometryOf(x);
    return { values, number, feature: geometry ? { type: "Feature", geometry, properties: {} } : null };
  });
  const columns = one.columns.length ? one.columns : columnsOf(app, rows.map((r) => r.values), one.layers);
  const verdict = columns.find((/** @type {Column} */ c) => c.name === one.verdict) ?? null;
  const others = one.draws.filter((/** @type {string} */ p) => p !== path).flatMap((/** @type {string} */ p) => featuresOf(at(outputs, p)));
  const tone = columns.find((/** @type {Column} */ c) => c.name === one.tone) ?? null;
  const label = columns.find((/** @type {Column} */ c) => c.name === one.label) ?? null;
  return { rows, columns, verdict, tone, label, others, unplaced: rows.filter((r) => !r.feature).length };
}

/** A row may carry GeoJSON, or a pair of numbers as its place. @param {any} row */
function geometryOf(row) {
  const own = row.geometry ?? row.geom ?? row.point ?? row.place ?? row.coordinates ?? row.position;
  if (own?.type && (own.coordinates || own.geometries)) return own;
  if (Array.isArray(own) && own.length === 2 && own.every((v) => typeof v === "number")) return { type: "Point", coordinates: own };
  const [lon, lat] = [row.lon ?? row.longitude, row.lat ?? row.latitude];
  return typeof lon === "number" && typeof lat === "number" ? { type: "Point", coordinates: [lon, lat] } : null;
}

/**
 * Gives rows without a geometry that of the layer's feature they name; the number that has none still.
 * @param {App} app
 * @param {{layer: string, field: string}} place
 * @param {Record<string, any>} inputs
 * @param {Answer} answer
 * @param {AbortSignal} signal
 */
export async function placeRows(app, place, inputs, answer, signal) {
  const id = place.layer.startsWith("{") ? inputs[place.layer.slice(1, -1)] : place.layer;
  const layer = app.layers.get(id);
  const [field, member] = place.field.includes("=") ? place.field.split("=") : [place.field, place.field];
  if (!layer || !answer.unplaced) return answer.unplaced;
  /** @type {Map<string, import("./rows.js").Row[]>} */
  const waiting = new Map();
  for (const row of answer.rows.filter((r) => !r.feature)) {
    const key = String(row.values[member]);
    waiting.set(key, [...(waiting.get(key) ?? []), row]);
  }
  const query = new URLSearchParams({ limit: String(PAGE), properties: field });
  if (waiting.size <= 100) query.set("filter", `"${field}" IN (${[...waiting.keys()].map((k) => `'${k.replaceAll("'", "''")}'`).join(",")})`);
  let next = app.url(`${layer.items}?${query}`);
  for (let read = 0; next && read < PLACES_MOST; read += PAGE) {
    const page = await app.fetchJSON(next, { signal });
    for (const feature of page.features) {
      for (const row of waiting.get(String(feature.properties[field])) ?? []) {
        row.feature = feature.geometry && { type: "Feature", geometry: feature.geometry, properties: {} };
      }
    }
    const link = page.links?.find((/** @type {any} */ x) => x.rel === "next")?.href;
    next = link ? new URL(link).pathname + new URL(link).search : "";
  }
  answer.unplaced = answer.rows.filter((r) => !r.feature).length;
  return answer.unplaced;
}

/**
 * Rows in an order: numbers and times by size, words as the language has them; what has no value comes last.
 * @param {Row[]} rows
 * @param {string} name Of a member, "" for the order of the answer.
 * @param {boolean} down
 * @param {string} lang
 */
export function sorted(rows, name, down, lang) {
  if (!name) return down ? [...rows].reverse() : rows;
  const collator = new Intl.Collator(lang === "zh" ? "zh-CN" : "en", { numeric: true });
  const value = (/** @type {Row} */ r) => at(r.values, name, lang);
  const none = (/** @type {any} */ v) => v === null || v === undefined || v === "";
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (none(x) || none(y)) return Number(none(x)) - Number(none(y)) || a.number - b.number;
    const order = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(String(x), String(y));
    return (down ? -order : order) || a.number - b.number;
  });
}
