// SPDX-License-Identifier: Apache-2.0
// How many spots were open at each date: a small line, from the process that reads the layer's past.

import { h } from "../dom.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {{date: string, open: number, overdue: number}} Point
 */

const PROCESS = "spot-burndown";
const [WIDTH, HEIGHT] = [320, 56];
/** @type {{changes: number, answer: Promise<any>} | null} */
let asked = null;

/**
 * The table of the process; read again once spots have changed.
 * @param {App} app
 * @param {number} changes
 */
function table(app, changes) {
  if (asked?.changes !== changes) {
    const answer = app.fetchJSON(app.url(`/processes/${PROCESS}/execution`), {
      method: "POST",
      headers: { "content-type": "application/json", prefer: "wait=20" },
      body: JSON.stringify({ inputs: {}, outputs: { table: {} }, response: "raw" }),
    });
    asked = { changes, answer };
    answer.catch(() => { asked = null; });
  }
  return asked.answer;
}

/**
 * Open and overdue spots over the last months, of one bureau or all; null when there is nothing to draw.
 * @param {App} app
 * @param {string} bureau
 * @param {number} changes How often spots have changed since the page was opened.
 * @returns {Promise<HTMLElement | null>}
 */
export async function burnLine(app, bureau, changes) {
  const found = await table(app, changes);
  /** @type {Point[]} */
  const points = found.totals.map((/** @type {Point} */ total) => {
    if (!bureau) return total;
    const rows = found.rows.filter((/** @type {any} */ r) => r.date === total.date && r.bureau === bureau);
    const sum = (/** @type {"open" | "overdue"} */ name) => rows.reduce((/** @type {number} */ all, /** @type {any} */ r) => all + r[name], 0);
    return { date: total.date, open: sum("open"), overdue: sum("overdue") };
  });
  const most = Math.max(...points.map((p) => p.open));
  if (points.length < 2 || most === 0) return null;
  const { t, words } = app;
  const [first, last] = [points[0], points[points.length - 1]];
  const line = path(points.map((p) => p.open), most);
  const late = points.some((p) => p.overdue > 0);
  const say = t(`未办结图斑：${words.date(first.date)} ${first.open} 处，${words.date(last.date)} ${last.open} 处，其中逾期 ${last.overdue} 处`,
    `Open spots: ${first.open} on ${words.date(first.date)}, ${last.open} on ${words.date(last.date)}, ${last.overdue} of them overdue`);
  return h("div", { class: "burn-chart", role: "img", "aria-label": say, title: say },
    h("p", { class: "hint", "aria-hidden": "true" }, t("未办结图斑数", "Open spots")),
    drawing([["under", `${line}V${HEIGHT}H0Z`], ["open", line], ...(late ? [["overdue", path(points.map((p) => p.overdue), most)]] : [])]),
    h("p", { class: "burn-ends", "aria-hidden": "true" },
      h("span", {}, words.date(first.date), " ", h("b", {}, words.count(first.open))),
      late && h("span", { class: "late" }, t(`逾期 ${words.count(last.overdue)}`, `${words.count(last.overdue)} overdue`)),
      h("span", {}, t("现在 ", "Now "), h("b", {}, words.count(last.open)))));
}

/**
 * Steps, as a count keeps until it changes.
 * @param {number[]} values
 * @param {number} most
 */
function path(values, most) {
  const x = (/** @type {number} */ i) => ((i * WIDTH) / (values.length - 1)).toFixed(1);
  const y = (/** @type {number} */ v) => (HEIGHT - 2 - (v / most) * (HEIGHT - 4)).toFixed(1);
  return values.map((v, i) => (i === 0 ? `M0 ${y(v)}` : `H${x(i)}V${y(v)}`)).join("");
}

/** @param {string[][]} paths Class and data of each. */
function drawing(paths) {
  const SVG = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "burn-line");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, data] of paths) {
    const one = document.createElementNS(SVG, "path");
    one.setAttribute("class", name);
    one.setAttribute("d", data);
    svg.append(one);
  }
  return svg;
}
