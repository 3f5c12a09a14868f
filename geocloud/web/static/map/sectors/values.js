// SPDX-License-Identifier: Apache-2.0
// Values of an answer: found by their path, shown in the words and units of the screen.

import { h, icon } from "../dom.js";
import { wordOf } from "./fields.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {{name: string, title: {zh: string, en: string}, kind: string, unit?: string | {zh: string, en: string},
 *   none?: {zh: string, en: string}, codes?: string, words?: Record<string, any>,
 *   tones?: Record<string, string>}} Column
 */

const COLUMNS_MOST = 8;
const FIGURES_MOST = 9;
/** A share below this is told as such: what is left of rounding says nothing. */
const SHARE_LEAST = 1e-5;
/** A sign of its own for each tone, so that colour never speaks alone. @type {Record<string, string>} */
const SIGNS = {
  good: "M12 3a9 9 0 100 18 9 9 0 000-18zM8 12l3 3 5-6",
  warning: "M12 3l10 18H2zM12 10v5M12 17.8v.2",
  danger: "M8 3h8l5 5v8l-5 5H8l-5-5V8zM9 9l6 6M15 9l-6 6",
  note: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v6M12 7.5v.5",
  unknown: "M4 4h16v16H4zM9.5 9.5a2.5 2.5 0 113.6 2.3c-.8.4-1.1.9-1.1 1.7M12 16.8v.2",
};

/**
 * What lies at a path with slashes; `{lang}` in it is the language of the screen.
 * @param {any} value
 * @param {string} path
 * @param {string} [lang]
 */
export function at(value, path, lang = "zh") {
  return path === "" ? value : path.replaceAll("{lang}", lang).split("/").reduce((found, part) => found?.[part], value);
}

/** A bilingual text, or a plain one, in the language of the screen. @param {App} app @param {any} value */
export function said(app, value) {
  if (value && typeof value === "object" && "zh" in value && "en" in value) return app.words.text(value);
  return typeof value === "string" ? value : "";
}

/**
 * A value in words, empty where there is none.
 * @param {App} app
 * @param {Column} column
 * @param {any} value
 * @returns {string}
 */
export function valueWords(app, column, value) {
  const { t, words } = app;
  if (value === null || value === undefined || value === "") return column.none ? words.text(column.none) : "";
  if (Array.isArray(value)) return value.map((v) => valueWords(app, column, v)).filter(Boolean).join(t("、", ", "));
  if (typeof value === "object") return said(app, value);
  if (column.words?.[String(value)] || column.codes) return wordOf(app, column, value);
  if (typeof value === "boolean") return value ? t("是", "yes") : t("否", "no");
  if (column.kind === "time") return words.date(String(value));
  if (typeof value !== "number") return String(value);
  const unit = column.unit ? ` ${said(app, column.unit)}` : "";
  if (column.kind === "metres") return words.length(value);
  if (column.kind === "area_m2") return words.area(value);
  if (column.kind === "share" && value !== 0 && Math.abs(value) < SHARE_LEAST) return t("不足 0.001%", "under 0.001%");
  if (column.kind === "share") return `${words.figure(value * 100)}%`;
  if (column.kind === "count") return `${words.count(value)}${unit}`;
  if (column.kind === "minutes" || column.kind === "seconds") return minutes(app, column.kind === "seconds" ? value / 60 : value);
  if (column.kind === "code" || column.kind === "text") return `${value}${unit}`;
  return `${Math.abs(value) >= 1000 ? value.toLocaleString("en-US", { maximumFractionDigits: 1 }) : words.figure(value)}${unit}`;
}

/** @param {App} app @param {number} value */
function minutes(app, value) {
  const whole = Math.round(value);
  const [hours, rest] = [Math.floor(whole / 60), whole % 60];
  if (value < 1 && value > 0) return app.t("不足 1 分钟", "under 1 min");
  if (!hours) return app.t(`${rest} 分钟`, `${rest} min`);
  return app.t(`${hours} 小时${rest ? ` ${rest} 分钟` : ""}`, `${hours} h${rest ? ` ${rest} min` : ""}`);
}

/** @param {string | undefined} tone */
export function signOf(tone) {
  return tone && SIGNS[tone] ? h("span", { class: `sign tone-${tone}`, "aria-hidden": "true" }, icon(SIGNS[tone])) : null;
}

/** @param {App} app @param {Column} column @param {any} value @returns {HTMLElement} */
export function valueElement(app, column, value) {
  const tone = column.tones?.[String(value)];
  const text = valueWords(app, column, value);
  return h("span", { class: [column.kind === "code" ? "code-like" : "", tone ? `toned tone-${tone}` : ""].join(" ").trim() || null }, signOf(tone), text);
}

/** How a member is shown of which nothing is said. @param {string} name @param {any} value */
function kindOf(name, value) {
  if (typeof value === "number") return /_m2$|area/.test(name) ? "area_m2" : /_m$|distance/.test(name) ? "metres" : /^(share|ratio)/.test(name) ? "share" : /_min$|minutes/.test(name) ? "minutes" : "number";
  return typeof value === "string" && /^\d{4}-\d\d-\d\d(T|$)/.test(value) ? "time" : /(^|_)(code|key|id)$/.test(name) ? "code" : "text";
}

/** @param {any} value */
const plain = (value) => value === null || ["string", "number", "boolean"].includes(typeof value);

/**
 * Columns of rows of which nothing is said: their plain members, as they are named; words come from the fields of the
 * layers shown, where one has a field of that name.
 * @param {App} app
 * @param {any[]} rows
 * @param {string[]} layers
 * @returns {Column[]}
 */
export function columnsOf(app, rows, layers) {
  const names = [...new Set(rows.slice(0, 50).flatMap((row) => Object.keys(row).filter((k) => plain(row[k]) && row[k] !== null)))];
  const fields = layers.flatMap((id) => app.layers.get(id)?.fields ?? []);
  return names.slice(0, COLUMNS_MOST).map((name) => {
    const field = fields.find((f) => f.name === name);
    const value = rows.find((row) => row[name] !== null && row[name] !== undefined)?.[name];
    return { name, title: field?.title ?? { zh: name, en: name }, kind: kindOf(name, value), codes: field?.codes, unit: field?.unit };
  });
}

/**
 * Single values of outputs of which nothing is said.
 * @param {Record<string, any>} outputs
 * @returns {Column[]}
 */
export function figuresOf(outputs) {
  return Object.entries(outputs).flatMap(([output, document]) => Object.entries(document && !Array.isArray(document) ? document : {})
    .filter(([name, value]) => plain(value) && value !== null && !["type", "synthetic", "kind"].includes(name) && String(value).length < 80)
    .map(([name, value]) => ({ name: `${output}/${name}`, title: { zh: name, en: name }, kind: kindOf(name, value) }))).slice(0, FIGURES_MOST);
}

/**
 * Where the list of an answer is: the first features, else the first array of objects.
 * @param {Record<string, any>} outputs
 * @returns {string}
 */
export function rowsPath(outputs) {
  const isCollection = (/** @type {any} */ v) => v?.type === "FeatureCollection" && Array.isArray(v.features);
  const isRows = (/** @type {any} */ v) => Array.isArray(v) && v.length > 0 && v.every((x) => x && typeof x === "object" && !Array.isArray(x));
  for (const test of [isCollection, isRows]) {
    for (const [name, value] of Object.entries(outputs)) {
      if (test(value)) return name;
      for (const [member, inner] of Object.entries(value && typeof value === "object" ? value : {})) {
        if (member !== "links" && test(inner)) return `${name}/${member}`;
      }
    }
  }
  return "";
}

/**
 * Features of GeoJSON of any kind.
 * @param {any} value
 * @returns {any[]}
 */
export function featuresOf(value) {
  if (!value || typeof value !== "object") return [];
  if (Array.isArray(value)) return value.flatMap(featuresOf);
  if (value.type === "FeatureCollection") return value.features ?? [];
  if (value.type === "Feature") return [value];
  return value.coordinates || value.geometries ? [{ type: "Feature", properties: {}, geometry: value }] : [];
}
