// SPDX-License-Identifier: Apache-2.0
// A small chart of a series in time buckets, as SVG: gaps stay gaps, the band is from least to greatest.

import { valueText } from "./source.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {{start: string, mean: number | null, min: number | null, max: number | null, count: number, flagged: number}} Bucket
 */

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [320, 132, 44, 8, 8, 20];
const SVG = "http://www.w3.org/2000/svg";
const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];
/** Hours between times at the foot. */
const STEPS_H = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48];
const TICKS_MOST = 7.5;

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
function element(tag, attributes, text) {
  const found = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, String(value));
  if (text !== undefined) found.textContent = text;
  return found;
}

/**
 * Stretches of buckets with a value, one after the other.
 * @param {Bucket[]} buckets
 * @returns {number[][]} Places in the series.
 */
export function stretches(buckets) {
  /** @type {number[][]} */
  const found = [];
  buckets.forEach((b, i) => {
    if (b.mean === null) return;
    const last = found.at(-1);
    if (last && last.at(-1) === i - 1) last.push(i);
    else found.push([i]);
  });
  return found;
}

/** Two to four round numbers that hold the values. @param {number} low @param {number} high */
export function ticksOf(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 3;
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * ten).find((s) => s >= rough) ?? 10 * ten;
  const first = Math.floor(low / step) * step;
  const found = [];
  for (let v = first; v < high + step && found.length < 7; v += step) found.push(Number(v.toPrecision(12)));
  return found.length > 1 ? found : [first, first + step];
}

/**
 * @param {App} app
 * @param {Bucket[]} buckets From the first to the last, also those without a value.
 * @param {number} width Milliseconds of a bucket.
 * @param {string} unit
 * @param {string} title
 * @param {string} [none] What an interval is that has no value.
 * @returns {SVGElement}
 */
export function chartOf(app, buckets, width, unit, title, none = app.t("无读数", "without readings")) {
  const { t } = app;
  const known = buckets.filter((b) => b.mean !== null);
  const low = Math.min(...known.map((b) => Number(b.min)));
  const high = Math.max(...known.map((b) => Number(b.max)));
  const ticks = ticksOf(low, high);
  const [from, to] = [Date.parse(buckets[0].start), Date.parse(buckets[buckets.length - 1].start) + width];
  const x = (/** @type {number} */ ms) => LEFT + ((ms - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (/** @type {number} */ v) => HEIGHT - BOTTOM - ((v - ticks[0]) / (ticks[ticks.length - 1] - ticks[0])) * (HEIGHT - TOP - BOTTOM);
  const middle = (/** @type {number} */ i) => x(Date.parse(buckets[i].start) + width / 2);
  const gaps = buckets.length - known.length;
  const words = t(`${title}：最低 ${valueText(low, unit)}，最高 ${valueText(high, unit)}；${buckets.length} 个时段中 ${gaps} 个${none}`,
    `${title}: from ${valueText(low, unit)} to ${valueText(high, unit)}; ${gaps} of ${buckets.length} intervals ${none}`);
  const svg = /** @type {SVGElement} */ (element("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words }));
  svg.append(element("title", {}, words));
  for (const tick of ticks) {
    svg.append(element("line", { class: "chart-grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }),
      element("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, valueText(tick, "")));
  }
  for (const { at, text } of timeTicks(from, to)) {
    svg.append(element("line", { class: "chart-tick", x1: x(at), x2: x(at), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }),
      element("text", { x: x(at), y: HEIGHT - 4, "text-anchor": "middle" }, text));
  }
  for (const part of stretches(buckets)) {
    const p = (/** @type {number} */ i, /** @type {number} */ v) => `${middle(i).toFixed(1)} ${y(v).toFixed(1)}`;
    if (part.length === 1) {
      const [i] = part;
      svg.append(element("line", { class: "chart-band-line", x1: middle(i), x2: middle(i), y1: y(Number(buckets[i].min)), y2: y(Number(buckets[i].max)) }),
        element("circle", { class: "chart-dot", cx: middle(i), cy: y(Number(buckets[i].mean)), r: 2.5 }));
      continue;
    }
    const up = part.map((i) => p(i, Number(buckets[i].max)));
    const down = [...part].reverse().map((i) => p(i, Number(buckets[i].min)));
    svg.append(element("path", { class: "chart-band", d: `M${[...up, ...down].join("L")}Z` }),
      element("path", { class: "chart-line", d: `M${part.map((i) => p(i, Number(buckets[i].mean))).join("L")}` }));
  }
  buckets.forEach((b, i) => {
    if (b.flagged > 0 && b.mean !== null) svg.append(element("path", { class: "chart-flag", d: `M${middle(i)} ${TOP - 4}l4 7h-8z` }));
  });
  return svg;
}

/** Round times in Beijing, at most seven: midnights for a week, every six hours for a day. @param {number} from @param {number} to */
function timeTicks(from, to) {
  const shift = 8 * 3_600_000;
  const step = (STEPS_H.find((s) => (to - from) / (s * HOUR_MS) < TICKS_MOST) ?? 24 * Math.ceil((to - from) / DAY_MS / TICKS_MOST)) * HOUR_MS;
  const found = [];
  for (let at = Math.ceil((from + shift) / step) * step - shift; at <= to; at += step) {
    const local = new Date(at + shift).toISOString();
    const midnight = local.slice(11, 16) === "00:00";
    found.push({ at, text: midnight ? `${Number(local.slice(5, 7))}-${Number(local.slice(8, 10))}` : local.slice(11, 16) });
  }
  return found;
}
