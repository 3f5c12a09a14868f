// SPDX-License-Identifier: Apache-2.0
// The readings of a feature in its card: newest values with age and flags, and the series of one of them.

import { h, icon, ICONS } from "../dom.js";
import { choice } from "../tools/kit.js";
import { chartOf } from "./chart.js";
import { ageWords, flagWords, isDoubtful, isStale, latestOf, unitText, valueText } from "./source.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./source.js").Measure} Measure
 * @typedef {import("./source.js").Latest} Latest
 */

const HOUR_MS = 3_600_000;
/** How far back, and how wide the buckets are for devices that report at least hourly, or less often. */
const SPANS = /** @type {Record<string, {ms: number, zh: string, en: string, quick: string, slow: string}>} */ ({
  day: { ms: 24 * HOUR_MS, zh: "24 小时", en: "24 h", quick: "10m", slow: "1h" },
  week: { ms: 168 * HOUR_MS, zh: "7 天", en: "7 days", quick: "1h", slow: "3h" },
});
const WIDTHS = /** @type {Record<string, number>} */ ({ "10m": HOUR_MS / 6, "1h": HOUR_MS, "3h": 3 * HOUR_MS });
const QUICK_S = 1800;

/**
 * @param {App} app
 * @param {string} id
 * @param {string} fid
 * @param {Measure[]} measures
 */
export function readingsCard(app, id, fid, measures) {
  const { t } = app;
  const rows = h("div", { class: "reading-rows" }, h("p", { class: "hint" }, t("正在读取…", "Reading …")));
  const figure = h("figure", { class: "reading-chart" });
  const box = h("section", { class: "readings", "data-readings": `${id}/${fid}` }, h("h4", {}, t("实时读数", "Readings")), rows, figure);
  /** @type {Record<string, Latest> | null} */
  let latest = null;
  let property = "";
  let span = "day";
  let turn = 0;

  async function load() {
    try {
      latest = await latestOf(app, id, fid);
    } catch (error) {
      rows.replaceChildren(h("p", { class: "wrong" }, /** @type {Error} */ (error).message));
      return;
    }
    const known = latest;
    if (!known) {
      box.hidden = true;
      return;
    }
    const order = [...new Set([...measures.map((m) => m.property), ...Object.keys(known)])].filter((p) => known[p]);
    if (!known[property]) property = order[0];
    rows.replaceChildren(...order.map((p) => row(p, known[p])));
    await draw();
  }

  function row(/** @type {string} */ name, /** @type {Latest} */ one) {
    const stale = isStale(one);
    const doubt = isDoubtful(one.flags);
    const title = measures.find((m) => m.property === name)?.title;
    return h("button", { type: "button", class: `reading${stale ? " stale" : ""}`, "data-property": name, "data-value": one.value, "data-stale": String(stale),
      "aria-pressed": String(name === property), title: app.words.date(one.time), onclick: () => {
        property = name;
        for (const other of rows.children) other.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (other).dataset.property === name));
        draw();
      } },
    h("span", { class: "reading-name" }, title ? app.words.text(title) : name, title && title.en !== name && h("code", {}, name)),
    h("b", {}, valueText(one.value, unitText(measures, name, one.unit))),
    h("span", { class: "hint reading-age" }, ageWords(app, one.time), stale && t("，已过时", ", out of date")),
    one.flags.length > 0 && h("span", { class: doubt ? "reading-flag" : "hint" }, doubt ? "⚠ " : "", flagWords(app, one.flags)));
  }

  async function draw() {
    const one = latest?.[property];
    if (!one) return;
    const mine = ++turn;
    const { ms, quick, slow } = SPANS[span];
    const measure = measures.find((m) => m.property === property && m.unit === one.unit);
    const bucket = (measure?.interval_s ?? 3600) <= QUICK_S ? quick : slow;
    // What has stopped is shown as it last was, and that is said.
    const newest = Date.parse(one.time);
    const ended = Date.now() - newest > ms;
    const to = ended ? newest + 1000 : Date.now();
    const between = `${new Date(to - ms).toISOString()}/${new Date(to).toISOString()}`;
    const address = app.url(`/sensing/datastreams/${one.datastream}/observations?datetime=${encodeURIComponent(between)}&bucket=${bucket}`);
    const controls = choice(t("时段", "Span"), Object.entries(SPANS).map(([value, s]) => ({ value, text: t(s.zh, s.en) })), span, (value) => { span = value; draw(); });
    try {
      const found = await app.fetchJSON(address);
      if (mine !== turn) return;
      const unit = unitText(measures, property, one.unit);
      const title = measure ? app.words.text(measure.title) : property;
      const some = found.buckets.some((/** @type {any} */ b) => b.mean !== null);
      const gaps = found.buckets.filter((/** @type {any} */ b) => b.mean === null).length;
      figure.replaceChildren(controls, some ? chartOf(app, found.buckets, WIDTHS[bucket], unit, title) : h("p", { class: "hint" }, t("这段时间没有读数。", "There are no readings in this time.")),
        h("figcaption", { class: "hint" }, `${title}${unit ? ` (${unit})` : ""} · `, ended ? t(`截至最近一次读数 ${app.words.date(one.time)}`, `Until the last reading, ${app.words.date(one.time)}`) : t("截至现在", "Until now"),
          some && gaps > 0 && t(`；断开处无读数（${gaps} 个时段）`, `; breaks are times without readings (${gaps} intervals)`)),
        h("div", { class: "actions" }, h("a", { class: "button plain", href: `${address}&f=csv`, download: `${id}-${fid}-${property}.csv` }, icon(ICONS.download), "CSV")));
    } catch (error) {
      if (mine === turn) figure.replaceChildren(controls, h("p", { class: "wrong" }, /** @type {Error} */ (error).message));
    }
  }

  load();
  // As long as it is on screen it stays of now.
  const timer = window.setInterval(() => {
    if (!box.isConnected) window.clearInterval(timer);
    else if (!document.hidden && !box.contains(document.activeElement)) load();
  }, 60_000);
  return box;
}
