// SPDX-License-Identifier: Apache-2.0
// The versions of a feature in its card, read when they are opened; each shows the map as of its first day.

import { h, icon, ICONS } from "./dom.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 */

// More than a feature of a city has; the page of versions lists them all.
const MOST = 50;

/**
 * @param {App} app
 * @param {Layer} layer
 * @param {string} fid
 */
export function lifeOf(app, layer, fid) {
  const { t } = app;
  const list = h("ol", { class: "life" });
  const box = h("details", { class: "versions" }, h("summary", {}, icon(ICONS.right), t("各版本", "Versions")), list);
  let asked = false;
  box.addEventListener("toggle", async () => {
    if (asked) return;
    asked = true;
    list.replaceChildren(h("li", { class: "hint" }, t("正在读取…", "Reading …")));
    const address = `${layer.items}/${fid}/versions?limit=${MOST}&properties=${encodeURIComponent(layer.key[0])}`;
    try {
      const found = await app.fetchJSON(app.url(address));
      list.replaceChildren(...found.features.map((/** @type {any} */ f) => line(app, f.version)).reverse());
    } catch (error) {
      asked = false;
      list.replaceChildren(h("li", { class: "wrong" }, /** @type {any} */ (error).message));
    }
  });
  return box;
}

/** @param {App} app @param {any} version */
function line(app, version) {
  const { t } = app;
  const [from, to] = [version.validFrom, version.validTo].map((x) => (x ? dayOf(x) : null));
  const words = t(`${from ? app.words.date(from) : "最早"} 至 ${to ? app.words.date(to) : "今"}`,
    `${from ? app.words.date(from) : "Ever"} to ${to ? app.words.date(to) : "now"}`);
  const show = h("button", { type: "button", class: "plain", title: t("在地图上显示这一天", "Show that day on the map") }, words);
  show.addEventListener("click", () => app.state.set("date", to === null ? null : from ?? dayBefore(to)));
  return h("li", {}, show, version.by && h("span", { class: "hint" }, version.by));
}

/** The day in Beijing of an instant. @param {string} text */
function dayOf(text) {
  return new Date(new Date(text).getTime() + 8 * 3_600_000).toISOString().slice(0, 10);
}

/** @param {string} day */
function dayBefore(day) {
  return new Date(Date.parse(day) - 86_400_000).toISOString().slice(0, 10);
}
