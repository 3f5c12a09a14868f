// SPDX-License-Identifier: Apache-2.0
// Third tab: the spots of the filter, the largest first, and how far the work on them is.

import { boxOf, valueText } from "../cards.js";
import { h, icon, ICONS } from "../dom.js";
import { copyable } from "../tools/kit.js";
import { burnLine } from "./burndown.js";
import { COMMAND } from "./matrix.js";
import { emptyText, ENDED, LAYER, planTitle, sampleMark } from "./spots.js";

/** @typedef {import("../types.js").App} App */

const PAGE = 50;
/** From found to done. */
const STATES = ["found", "reopened", "assigned", "coordinating", "proposed", "accepted", "settled"];

export class ListTab {
  body = h("div", { class: "plan-spots" });
  #app;
  #spots;
  #matrix;
  #isOpen = false;
  #control = new AbortController();
  #top = h("div");
  #chart = h("div");
  #over = h("div");
  #list = h("ol", { class: "spots" });
  #foot = h("div");

  /**
   * @param {App} app
   * @param {import("./spots.js").Spots} spots
   * @param {() => void} matrix Goes to the matrix.
   */
  constructor(app, spots, matrix) {
    this.#app = app;
    this.#spots = spots;
    this.#matrix = matrix;
    this.body.append(this.#top, this.#chart, this.#over, this.#list, this.#foot);
    spots.on(() => { if (this.#isOpen) this.#load(); });
    app.state.subscribe(`f.${LAYER}`, () => { if (this.#isOpen) this.#load(); });
    app.state.subscribe("sel", () => this.#mark());
  }

  open() {
    this.#isOpen = true;
    this.#spots.show();
    this.#load();
  }

  close() {
    this.#isOpen = false;
    this.#control.abort();
  }

  render() {
    const { t } = this.#app;
    const { cell } = this.#spots;
    if (this.#top.contains(document.activeElement)) return;
    this.#top.replaceChildren(this.#spots.controls(), cell ? h("p", { class: "spot-cell" },
      h("span", {}, `${planTitle(this.#app, cell[0])} × ${planTitle(this.#app, cell[1])}`),
      h("button", { type: "button", class: "plain small", "aria-label": t("不限规划", "Any plans"),
        onclick: () => this.#spots.change({ cell: null }) }, icon(ICONS.close))) : "");
  }

  async #load() {
    const { t } = this.#app;
    this.#control.abort();
    this.#control = new AbortController();
    const { signal } = this.#control;
    this.render();
    this.#list.setAttribute("aria-busy", "true");
    try {
      const filter = this.#app.state.get(`f.${LAYER}`) ?? "";
      const page = await this.#page(this.#first(filter), signal);
      if (signal.aborted) return;
      if (!page.features.length && !(await this.#spots.any(signal))) {
        this.#chart.replaceChildren(emptyText(this.#app, copyable(this.#app, COMMAND)));
        this.#over.replaceChildren();
        this.#list.replaceChildren();
        this.#foot.replaceChildren();
        return;
      }
      this.#list.replaceChildren(...page.features.map((/** @type {any} */ f) => this.#row(f)));
      this.#more(page);
      if (!page.features.length) this.#foot.replaceChildren(h("p", { class: "tool-hint" }, t("没有符合条件的图斑。可换部门或状态。", "No spot fits. Choose another bureau or state.")));
      this.#mark();
      await Promise.all([this.#progress(signal), this.#line(signal)]);
    } catch (error) {
      if (!signal.aborted) this.#foot.replaceChildren(h("p", { class: "wrong" }, /** @type {Error} */ (error).message));
    } finally {
      if (!signal.aborted) this.#list.removeAttribute("aria-busy");
    }
  }

  /** @param {string} filter */
  #first(filter) {
    return this.#app.url(`/collections/${LAYER}/items?${this.#spots.query({ limit: String(PAGE), sortby: "-tqmj" }, filter)}`);
  }

  /** @param {string} address @param {AbortSignal} signal */
  #page(address, signal) {
    return this.#app.fetchJSON(address, { signal });
  }

  /** @param {any} page */
  #more(page) {
    const { t, words } = this.#app;
    const shown = this.#list.childElementCount;
    const next = page.links?.find((/** @type {any} */ x) => x.rel === "next")?.href;
    const said = page.numberMatched === undefined ? "" : t(`，共 ${words.count(page.numberMatched)} 处`, ` of ${words.count(page.numberMatched)}`);
    const plans = page.features.flatMap((/** @type {any} */ f) => [f.properties.gh_a, f.properties.gh_b]);
    this.#foot.replaceChildren(...(shown ? sampleMark(this.#app, plans) : []), shown ? h("p", { class: "hint", role: "status" }, t(`列出 ${shown} 处${said}，面积大的在前`, `${shown}${said} shown, the largest first`)) : "",
      next ? h("button", { type: "button", "data-act": "more", onclick: async () => {
        const { signal } = this.#control;
        try {
          const url = new URL(next);
          const more = await this.#page(url.pathname + url.search, signal);
          this.#list.append(...more.features.map((/** @type {any} */ f) => this.#row(f)));
          this.#more(more);
        } catch (error) {
          this.#app.problem(error);
        }
      } }, t("再列一些", "More")) : "");
  }

  /** @param {any} feature */
  #row(feature) {
    const { t, words } = this.#app;
    const p = feature.properties;
    const layer = /** @type {import("../types.js").Layer} */ (this.#app.layers.get(LAYER));
    const value = (/** @type {string} */ name) => {
      const field = layer.fields.find((f) => f.name === name);
      return field ? valueText(this.#app, field, p[name]) : "";
    };
    const classOf = (/** @type {string} */ plan, /** @type {string | null} */ code) => {
      const lists = (this.#app.layers.get(plan)?.fields ?? []).flatMap((f) => (f.codes ? [this.#app.catalogue.codes[f.codes] ?? []] : []));
      const title = lists.flat().find((c) => c.code === code)?.title;
      return [title && words.text(title), code].filter(Boolean).join(" ");
    };
    const late = p.jzrq && p.jzrq < new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10) && !ENDED.includes(p.zt);
    const side = (/** @type {string} */ plan, /** @type {string | null} */ code) => h("span", { class: "spot-side" },
      h("span", {}, planTitle(this.#app, plan)), code && h("span", { class: "hint" }, classOf(plan, code)));
    const pick = h("button", { type: "button", class: "spot", "data-fid": feature.id, "aria-pressed": "false", onclick: () => {
      this.#app.state.set("sel", `${LAYER}/${feature.id}`);
      const box = boxOf(feature.geometry);
      if (box) this.#app.view.fit(box);
      pick.focus({ preventScroll: true });
    } },
    h("span", { class: "spot-head" }, h("b", {}, p.dkbh ?? p.bsm ?? String(feature.id)), h("b", { class: "num" }, words.area(p.tqmj ?? 0))),
    h("span", {}, value("cylxdm")),
    h("span", { class: "spot-sides" }, side(p.gh_a, p.dl_a), side(p.gh_b, p.dl_b)),
    h("span", { class: "spot-foot" }, h("span", { class: "spot-state", "data-state": p.zt ?? "found" }, value("zt") || t("已发现", "Found")),
      p.splx && p.splx !== "none" && h("span", {}, value("splx")), h("span", {}, value("zrbm")),
      p.jzrq && h("span", { class: late ? "late" : "" }, late ? t("逾期 ", "Overdue ") : t("期限 ", "Due "), words.date(p.jzrq))));
    return h("li", {}, pick);
  }

  /** Which spot the address selects. */
  #mark() {
    const selected = new Set((this.#app.state.get("sel") ?? "").split(","));
    for (const row of this.#list.querySelectorAll("[data-fid]")) {
      row.setAttribute("aria-pressed", String(selected.has(`${LAYER}/${/** @type {HTMLElement} */ (row).dataset.fid}`)));
    }
  }

  /** The line of open spots over time; a server without workers has none. @param {AbortSignal} signal */
  async #line(signal) {
    const line = await burnLine(this.#app, this.#spots.bureau, this.#spots.changes).catch(() => null);
    if (signal.aborted) return;
    this.#over.replaceChildren(line ?? "");
  }

  /** Spots of all states by state: how far the work is. @param {AbortSignal} signal */
  async #progress(signal) {
    const { t, words, catalogue } = this.#app;
    const sums = await this.#spots.byState(signal);
    if (signal.aborted) return;
    const total = [...sums.values()].reduce((all, n) => all + n, 0);
    if (!total) {
      this.#chart.replaceChildren();
      return;
    }
    const title = (/** @type {string} */ code) => words.text((catalogue.codes.spot_state ?? []).find((c) => c.code === code)?.title) || code;
    const known = [...STATES, ...[...sums.keys()].filter((s) => !STATES.includes(s))].filter((s) => sums.get(s));
    const done = ENDED.reduce((all, s) => all + (sums.get(s) ?? 0), 0);
    this.#chart.replaceChildren(h("figure", { class: "burn" },
      h("figcaption", {}, h("b", {}, t(`已办结 ${words.count(done)} / ${words.count(total)}`, `${words.count(done)} of ${words.count(total)} done`))),
      h("div", { class: "burn-bar", "aria-hidden": "true" }, ...known.map((s) => {
        const part = h("span", { "data-state": s, title: `${title(s)} ${words.count(sums.get(s) ?? 0)}` });
        part.style.flexGrow = String(sums.get(s));
        return part;
      })),
      h("ul", { class: "burn-key" }, ...known.map((s) => h("li", { "data-state": s }, h("i", { "data-state": s, "aria-hidden": "true" }), title(s), " ",
        h("b", {}, words.count(sums.get(s) ?? 0)))))));
  }
}
