// SPDX-License-Identifier: Apache-2.0
// The card of one layer in the answer of "draw and ask": number, classes, land or metres, list, downloads.

import { h, icon, ICONS } from "../dom.js";
import { boxOf } from "../cards.js";
import { download } from "../download.js";
import { swatch } from "../legend.js";
import { exact } from "./kit.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("../types.js").Layer} Layer
 */

/** Classes shown before the rest is folded. */
const SHOWN = 8;
const LISTED = 20;

/**
 * @param {App} app
 * @param {Layer} layer
 * @param {any} answer Of `/collections/{id}/summary`.
 * @param {URLSearchParams} query What lists the same features.
 */
export function insideCard(app, layer, answer, query) {
  const { t, words } = app;
  const amount = amountOf(app, answer);
  const list = h("div", { class: "inside-list" });
  const lists = h("details", {}, h("summary", {}, icon(ICONS.right), t("列出要素", "List them")), list);
  lists.addEventListener("toggle", () => {
    if (/** @type {HTMLDetailsElement} */ (lists).open && !list.childElementCount) fill(app, layer, query, list);
  });
  const status = h("span", { class: "hint", role: "status" });
  const get = (/** @type {"csv" | "json"} */ format) => download(app, layer, new URLSearchParams(query), format, answer.count,
    (text) => { status.textContent = text; }).catch((error) => app.problem(error, t("下载未完成", "The download did not finish")));
  return h("article", { class: "card", "data-count": answer.count },
    h("h3", {}, swatch(layer), words.text(layer.title),
      layer.synthetic && h("span", { class: "badge" }, t("示例数据", "Sample"))),
    h("p", { class: "figure" }, t(`${words.count(answer.count)} 个`, `${words.count(answer.count)}`),
      amount && h("span", { class: "inside-amount", title: amount.exact, "data-amount": amount.value }, ` · ${amount.text}`)),
    answer.classes && classes(app, layer, answer),
    lists,
    h("div", { class: "actions" },
      h("button", { type: "button", class: "plain", "data-download": "csv", onclick: () => get("csv"),
        "aria-label": t("下载 CSV", "Download CSV") }, icon(ICONS.download), "CSV"),
      h("button", { type: "button", class: "plain", "data-download": "json", onclick: () => get("json"),
        "aria-label": t("下载 GeoJSON", "Download GeoJSON") }, icon(ICONS.download), "GeoJSON"), status));
}

/**
 * @param {App} app
 * @param {any} of
 */
function amountOf(app, of) {
  if (of.area_m2 !== undefined) {
    return { text: app.t(`范围内 ${app.words.area(of.area_m2)}`, `${app.words.area(of.area_m2)} inside`),
      exact: `${exact(of.area_m2, 2)} m²`, value: of.area_m2 };
  }
  if (of.length_m !== undefined) {
    return { text: app.t(`范围内 ${app.words.length(of.length_m)}`, `${app.words.length(of.length_m)} inside`),
      exact: `${exact(of.length_m, 2)} m`, value: of.length_m };
  }
  return null;
}

/**
 * @param {App} app
 * @param {Layer} layer
 * @param {any} answer
 */
function classes(app, layer, answer) {
  const { t, words } = app;
  const most = Math.max(...answer.classes.map((/** @type {any} */ c) => c.count), 1);
  const rows = answer.classes.map((/** @type {any} */ c) => {
    const bar = h("span", { class: "bar" });
    bar.style.width = `${Math.max(2, (c.count / most) * 100)}%`;
    const amount = amountOf(app, c);
    return h("li", { "data-code": c.code ?? "", "data-count": c.count, title: amount ? `${amount.text} (${amount.exact})` : null },
      h("span", { class: "name" }, c.title), h("span", { class: "track" }, bar), h("span", { class: "num" }, words.count(c.count)));
  });
  if (answer.others) {
    const { others } = answer;
    rows.push(h("li", { "data-count": others.count }, h("span", { class: "name" }, t(`其余 ${others.classes} 类`, `${others.classes} more classes`)),
      h("span", { class: "track" }), h("span", { class: "num" }, words.count(others.count))));
  }
  const label = { "aria-label": answer.by.title };
  if (rows.length <= SHOWN + 1) return h("ul", { class: "mix", ...label }, ...rows);
  return h("div", {}, h("ul", { class: "mix", ...label }, ...rows.slice(0, SHOWN)),
    h("details", {}, h("summary", {}, icon(ICONS.right), t(`其余 ${rows.length - SHOWN} 类`, `${rows.length - SHOWN} more`)),
      h("ul", { class: "mix" }, ...rows.slice(SHOWN))));
}

/**
 * @param {App} app
 * @param {Layer} layer
 * @param {URLSearchParams} query
 * @param {HTMLElement} list
 */
async function fill(app, layer, query, list) {
  const { t, words } = app;
  list.replaceChildren(h("p", { class: "hint" }, t("正在读取…", "Reading …")));
  const asked = new URLSearchParams(query);
  asked.set("limit", String(LISTED));
  try {
    const page = await app.fetchJSON(app.url(`${layer.items}?${asked}`));
    const entries = page.features.map((/** @type {any} */ f) => {
      const name = layer.label && f.properties[layer.label] ? String(f.properties[layer.label]) : `${words.text(layer.title)} ${f.id}`;
      return h("li", {}, h("button", { type: "button", class: "plain link", onclick: () => {
        app.state.set("sel", `${layer.id}/${f.id}`);
        const box = boxOf(f.geometry);
        if (box) app.view.fit(box);
      } }, name), " ", h("a", { href: `${app.url(layer.items)}/${f.id}?f=html&lang=${app.lang}`, target: "_blank",
        "aria-label": t(`${name} 的网页`, `Page of ${name}`) }, t("网页", "page")));
    });
    const more = (page.numberMatched ?? Infinity) > entries.length;
    asked.delete("limit");
    list.replaceChildren(h("ol", {}, ...entries), ...(more ? [h("p", { class: "hint" }, t(`前 ${entries.length} 个；`, `The first ${entries.length}; `),
      h("a", { href: `${app.url(layer.items)}?${asked}&f=html&lang=${app.lang}`, target: "_blank" }, t("全部列表", "all of them")))] : []));
  } catch (error) {
    list.replaceChildren(h("p", { class: "wrong" }, /** @type {Error} */ (error).message));
  }
}
