// SPDX-License-Identifier: Apache-2.0
// The parts of an answer: legend, totals and the table of areas.

import { h, icon, ICONS } from "../dom.js";
import { columnOf, divisorOf, measureWords, unitOf } from "./choices.js";
import { classColour, zeroColour } from "./drawing.js";
import { classWords } from "./classes.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./choices.js").Choice} Choice
 * @typedef {import("./classes.js").Classes} Classes
 * @typedef {{zone: number | string | null, code: string | null, name: string | null, area_km2?: number | null, value: number | null}} Zone
 * @typedef {{by: "value" | "name", down: boolean}} Order
 */

/** The table shows as many areas; all are in the file. */
export const ROWS_MOST = 200;

const TRACE = 0.001;

/** The name of an area: cells and nameless areas have a code alone. @param {Zone} zone */
export const nameOf = (zone) => zone.name || zone.code || String(zone.zone);

/**
 * A figure in full: whole numbers as they are, others to a hundredth, small ones to three digits.
 * @param {number | null} v
 */
export function told(v) {
  if (v === null) return "–";
  if (Number.isInteger(v)) return v.toLocaleString("en-US");
  return v.toLocaleString("en-US", Math.abs(v) < 1 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 2 });
}

/** A limit of a class: it has few digits, and all are told. @param {number} v */
const limit = (v) => v.toLocaleString("en-US", { maximumSignificantDigits: 12 });

/** The measure with its unit. @param {App} app @param {Choice} c */
export function headingOf(app, c) {
  const unit = unitOf(app, c);
  return measureWords(app, c) + (unit ? app.t(`（${unit}）`, ` (${unit})`) : "");
}

/** @param {App} app @param {Choice} choice @param {Classes} of */
export function legendOf(app, choice, of) {
  const { t, dark, words } = app;
  const number = of.whole ? limit : (/** @type {number} */ v) => limit(Number(v.toPrecision(6)));
  /** @param {string} name @param {string} colour @param {string} text @param {number} zones */
  function line(name, colour, text, zones) {
    const n = words.count(zones);
    const swatch = h("span", { class: "summary-swatch", style: { background: colour }, "aria-hidden": "true" });
    return h("li", { class: name, "data-zones": zones }, swatch, h("span", {}, text),
      h("span", { class: "hint" }, t(`${n} 区`, `${n} ${zones === 1 ? "area" : "areas"}`)));
  }
  const { length } = of.classes;
  const rows = of.classes.map((c, i) => line("class", classColour(dark, i, length), classWords(of, i, number), c.zones));
  rows.reverse();
  if (of.zeros) rows.push(line("zero", zeroColour(dark), "0", of.zeros));
  if (of.missing) rows.push(line("missing", "", t("无数值", "No value"), of.missing));
  const ends = t("各级含下限，不含上限。", "A class includes its lower limit and not its upper one.");
  return h("figure", { class: "summary-legend" }, h("figcaption", {}, headingOf(app, choice)), h("ul", {}, ...rows),
    !of.whole && length > 1 && h("p", { class: "hint" }, ends));
}

/**
 * All features, those in the areas, those in none, and whether that closes.
 * @param {App} app @param {Choice} choice @param {any} answer
 */
export function totalsOf(app, choice, answer) {
  const { t } = app;
  const { totals } = answer;
  const own = columnOf(choice);
  const column = own in totals.features ? own : "count";
  const divisor = column === own ? divisorOf(choice) : 1;
  const of = column === own ? choice : { ...choice, kind: "count", field: "" };
  const unit = unitOf(app, of);
  const figure = (/** @type {string} */ part) => {
    const v = totals[part][column];
    // Slivers beyond the borders are something, and yet no figure.
    const shown = v / divisor;
    const text = v !== 0 && Math.abs(shown) < TRACE ? `< ${TRACE}` : told(shown);
    return text + (unit ? ` ${unit}` : "");
  };
  const closed = totals.difference[column] === 0;
  const without = totals.features[`without_value_${choice.field}`];
  const { withoutGeometry: shapeless, by } = answer;
  const notes = [
    by.overlapping && t("分区相互重叠，要素计入所在的每个分区，各区之和可大于总数。",
      "The areas overlap: a feature counts in each it lies in, and they may add up to more than all."),
    without > 0 && t(`${told(without)} 个要素的该字段为空，未计入。`,
      `${told(without)} features have no value in this field and are left out.`),
    shapeless > 0 && t(`${told(shapeless)} 个要素没有位置，未计入。`, `${told(shapeless)} features have no place and are left out.`),
    by.withoutArea > 0 && t(`${told(by.withoutArea)} 个分区只有点位、没有范围，未列入。`,
      `${told(by.withoutArea)} areas are known as a point only and are left out.`),
  ].filter(Boolean);
  return h("div", { class: "summary-totals", "data-closed": String(closed) },
    h("h3", {}, measureWords(app, of), of.kind === "sum" ? "" : t("合计", ", total")),
    h("dl", { class: "facts" },
      h("dt", {}, t("各区之和", "In the areas")), h("dd", { "data-total": "zones" }, figure("zones")),
      h("dt", {}, t("区外", "Outside all areas")), h("dd", { "data-total": "outside" }, figure("outside")),
      h("dt", {}, t("全部", "All")), h("dd", { "data-total": "features" }, h("b", {}, figure("features")))),
    h("p", { class: closed ? "hint" : "wrong" }, closed ? t("✓ 各区加区外等于全部", "✓ Areas and outside add up to all")
      : t(`各区加区外与全部相差 ${figure("difference")}`, `Areas and outside differ from all by ${figure("difference")}`)),
    ...notes.map((note) => h("p", { class: "hint" }, /** @type {string} */ (note))));
}

/**
 * @param {App} app @param {Zone[]} zones @param {Order} order
 */
export function sorted(app, zones, order) {
  const collator = new Intl.Collator(app.lang === "zh" ? "zh-CN" : "en", { numeric: true });
  const sign = order.down ? -1 : 1;
  const names = (/** @type {Zone} */ a, /** @type {Zone} */ b) => collator.compare(nameOf(a), nameOf(b));
  return [...zones].sort((a, b) => {
    if (order.by === "name") return sign * names(a, b);
    if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null) || names(a, b);
    return sign * (a.value - b.value) || names(a, b);
  });
}

/**
 * @param {App} app @param {Choice} choice @param {Zone[]} zones @param {number | null | undefined} outside
 * @param {{order: Order, zone: number | string | null, turn: (by: Order["by"]) => void, pick: (zone: Zone) => void}} on
 */
export function tableOf(app, choice, zones, outside, on) {
  const { t } = app;
  const rows = sorted(app, zones, on.order);
  const most = Math.max(0, ...zones.map((z) => z.value ?? 0));
  const head = (/** @type {Order["by"]} */ by, /** @type {string} */ text) => {
    const now = on.order.by === by;
    const [order, mark] = !now ? ["none", ""] : on.order.down ? ["descending", " ▼"] : ["ascending", " ▲"];
    return h("th", { scope: "col", class: by === "value" ? "num" : "", "aria-sort": order },
      h("button", { type: "button", class: "plain", "data-sort": by, onclick: () => on.turn(by) }, text, mark));
  };
  // The one that is chosen is shown, however far down it stands.
  const at = rows.findIndex((z) => z.zone === on.zone);
  const shown = [...rows.slice(0, ROWS_MOST), ...(at >= ROWS_MOST ? [rows[at]] : [])];
  return h("div", { class: "summary-table" },
    h("table", {},
      h("caption", { class: "off-screen" }, headingOf(app, choice)),
      h("thead", {}, h("tr", {}, head("name", t("分区", "Area")), head("value", headingOf(app, choice)))),
      h("tbody", {}, ...shown.map((z) => h("tr", { "data-zone": z.zone, class: z.zone === on.zone ? "selected" : "" },
        h("th", { scope: "row" }, h("button", { type: "button", class: "plain", "aria-pressed": String(z.zone === on.zone),
          onclick: () => on.pick(z) }, h("span", {}, nameOf(z)), z.name && z.code ? h("span", { class: "code-like hint" }, z.code) : "")),
        bar(told(z.value), most > 0 ? Math.max(0, z.value ?? 0) / most : 0)))),
      h("tfoot", {}, h("tr", { "data-zone": "outside" }, h("th", { scope: "row" }, t("区外", "Outside all areas")),
        h("td", { class: "num" }, told(outside ?? null))))),
    rows.length > shown.length && h("p", { class: "hint" }, t(`另有 ${rows.length - shown.length} 个分区，全部见 CSV。`,
      `${rows.length - shown.length} more areas; the CSV has all.`)));
}

/** A figure with a bar behind it. @param {string} text @param {number} share */
function bar(text, share) {
  const cell = h("td", { class: "num" }, text);
  cell.style.setProperty("--share", `${(100 * share).toFixed(1)}%`);
  return cell;
}

/** What is told of an area on the map. @param {App} app @param {Choice} choice @param {Zone} zone */
export function zoneWords(app, choice, zone) {
  const { t } = app;
  return h("div", { class: "summary-zone" }, h("b", {}, nameOf(zone)), h("dl", {},
    ...(zone.name && zone.code ? [h("dt", {}, t("代码", "Code")), h("dd", { class: "code-like" }, zone.code)] : []),
    h("dt", {}, headingOf(app, choice)), h("dd", {}, h("strong", {}, told(zone.value))),
    ...(zone.area_km2 ? [h("dt", {}, t("分区面积", "Its area")), h("dd", {}, `${app.words.figure(zone.area_km2)} ${t("平方公里", "km²")}`)] : [])));
}

/** @param {App} app @param {string} href */
export function csvLink(app, href) {
  return h("a", { class: "button", "data-act": "csv", href, download: "" }, icon(ICONS.download), app.t("下载 CSV", "Download CSV"));
}
