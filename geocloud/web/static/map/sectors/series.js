// SPDX-License-Identifier: Apache-2.0
// The rows of an answer as a line over time, where its sector says that they are one.

import { h } from "../dom.js";
import { chartOf } from "../readings/chart.js";
import { at, said } from "./values.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./rows.js").Row} Row
 */

/** @param {any} value */
const number = (value) => (typeof value === "number" ? value : null);

/**
 * The chart of a function's rows; null where it has none, or fewer than two of them have a value.
 * @param {App} app
 * @param {any} chart What the sector says of it.
 * @param {Row[]} rows
 */
export function seriesOf(app, chart, rows) {
  if (!chart) return null;
  const { t, words, lang } = app;
  const of = (/** @type {Row} */ row, /** @type {string | undefined} */ path) => (path ? number(at(row.values, path, lang)) : null);
  const buckets = rows.map((row) => {
    const mean = of(row, chart.value);
    return { start: String(at(row.values, chart.start, lang)), mean, min: of(row, chart.least) ?? mean, max: of(row, chart.most) ?? mean, count: 0, flagged: 0 };
  });
  const times = buckets.map((b) => Date.parse(b.start));
  const widths = times.slice(1).map((time, i) => time - times[i]);
  const known = buckets.filter((b) => b.mean !== null);
  if (known.length < 2 || widths.some((w) => !(w > 0))) return null;
  const unit = chart.unit ? said(app, chart.unit) : "";
  const gaps = buckets.length - known.length;
  const ends = [buckets[0], buckets[buckets.length - 1]].map((b) => words.date(b.start));
  const caption = [`${words.text(chart.title)}${unit ? t(`（${unit}）`, ` (${unit})`) : ""}`, chart.band && known.some((b) => b.min !== b.max) && words.text(chart.band),
    gaps > 0 && t(`断开处没有数值（${gaps} 个时段）`, `breaks are times without a value (${gaps})`)].filter(Boolean).join(t("；", "; "));
  return h("figure", { class: "sector-chart" },
    chartOf(app, buckets, Math.min(...widths), unit, t(`${words.text(chart.title)}，${ends[0]}至${ends[1]}`, `${words.text(chart.title)}, ${ends[0]} to ${ends[1]}`), t("没有数值", "without a value")),
    h("figcaption", { class: "hint" }, caption));
}
