// SPDX-License-Identifier: Apache-2.0
// What layers measure, and their newest values: asked of the service, in words of the screen.

/**
 * @typedef {import("../types.js").App} App
 * @typedef {{property: string, title: {zh: string, en: string}, unit: string, unitText: string, datastreams: number, interval_s: number | null,
 *   newest: string | null, synthetic: boolean}} Measure
 * @typedef {{datastream: number, value: number, unit: string, time: string, flags: string[], stale: boolean | null}} Latest
 */

/** Words of what speaks against a value. @type {Record<string, [string, string]>} */
const FLAGS = {
  below: ["低于合理范围", "below what is plausible"], above: ["高于合理范围", "above what is plausible"], zero: ["可疑零值", "a doubtful zero"],
  capped: ["已到量程上限", "at the end of its scale"], converted: ["已换算单位", "converted from another unit"],
};
/** Flags that make a value doubtful; a conversion does not. */
const DOUBTFUL = ["below", "above", "zero", "capped"];
/** A value nobody said an interval of is old after this. */
const OLD_S = 86_400;

/** @param {string[]} flags */
export const isDoubtful = (flags) => flags.some((f) => DOUBTFUL.includes(f));

/** @param {App} app @param {string[]} flags */
export const flagWords = (app, flags) => flags.map((f) => (FLAGS[f] ? app.t(FLAGS[f][0], FLAGS[f][1]) : f)).join(app.t("、", ", "));

/** Seconds since an instant. @param {string} time */
export const ageOf = (time) => (Date.now() - Date.parse(time)) / 1000;

/** Whether a value is too old to be of now. @param {Latest} latest */
export const isStale = (latest) => latest.stale ?? ageOf(latest.time) > OLD_S;

/** How old, in the largest unit that says something. @param {App} app @param {string} time */
export function ageWords(app, time) {
  const s = ageOf(time);
  const { t } = app;
  if (s < 0) return app.words.date(time);
  if (s < 90) return t("刚刚", "just now");
  if (s < 5400) return t(`${Math.round(s / 60)} 分钟前`, `${Math.round(s / 60)} min ago`);
  if (s < 129_600) return t(`${Math.round(s / 3600)} 小时前`, `${Math.round(s / 3600)} h ago`);
  return t(`${Math.round(s / 86_400)} 天前`, `${Math.round(s / 86_400)} days ago`);
}

/** A value with its unit. @param {number} value @param {string} unit */
export function valueText(value, unit) {
  const digits = Math.abs(value) >= 1000 ? value.toLocaleString("en-US", { maximumFractionDigits: 1 }) : String(Number(value.toPrecision(4)));
  return unit ? `${digits} ${unit}` : digits;
}

/** Unit as people write it. @param {Measure[]} measures @param {string} property @param {string} unit */
export const unitText = (measures, property, unit) => measures.find((m) => m.property === property && m.unit === unit)?.unitText ?? (unit === "1" ? "" : unit);

/**
 * Measures by layer, of layers the map knows.
 * @param {App} app
 * @returns {Promise<Map<string, Measure[]>>}
 */
export async function readMeasures(app) {
  const document = await app.fetchJSON(app.url("/sensing/layers"));
  return new Map(document.layers.filter((/** @type {any} */ x) => app.layers.has(x.collection)).map((/** @type {any} */ x) => [x.collection, x.measures]));
}

/**
 * The newest values of a layer's features in a box; null where there are more than `most`.
 * @param {App} app
 * @param {string} id
 * @param {string} property
 * @param {string} bbox
 * @param {number} most
 * @param {AbortSignal} signal
 */
export async function readLatest(app, id, property, bbox, most, signal) {
  const query = new URLSearchParams({ bbox, property, limit: String(most) });
  const page = await app.fetchJSON(app.url(`/collections/${encodeURIComponent(id)}/latest?${query}`), { signal });
  return page.links.some((/** @type {any} */ x) => x.rel === "next") ? null : page.features;
}

/**
 * The newest values of one feature, by property; null where it has none.
 * @param {App} app
 * @param {string} id
 * @param {string} fid
 * @param {AbortSignal} [signal]
 * @returns {Promise<Record<string, Latest> | null>}
 */
export async function latestOf(app, id, fid, signal) {
  // The page of one that begins after the feature before it.
  const page = await app.fetchJSON(app.url(`/collections/${encodeURIComponent(id)}/latest?limit=1&after=${Number(fid) - 1}`), { signal });
  const found = page.features[0];
  return found && String(found.id) === fid ? found.properties.latest : null;
}
