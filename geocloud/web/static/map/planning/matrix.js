// SPDX-License-Identifier: Apache-2.0
// Second tab: plan by plan, how many places they disagree in and how large those are.

import { h, icon, ICONS } from "../dom.js";
import { copyable } from "../tools/kit.js";
import { emptyText, LAYER, pairKey, planTitle, sampleMark } from "./spots.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./spots.js").Totals} Totals
 */

export const COMMAND = "geocloud plans compare --record";

export class MatrixTab {
  body = h("div", { class: "plan-matrix" });
  #app;
  #spots;
  #list;
  #isOpen = false;
  #control = new AbortController();
  #top = h("div");
  #grid = h("div", { class: "matrix-scroll" });
  #foot = h("div");
  /** @type {Totals | null} */
  #totals = null;

  /**
   * @param {App} app
   * @param {import("./spots.js").Spots} spots
   * @param {() => void} list Goes to the list.
   */
  constructor(app, spots, list) {
    this.#app = app;
    this.#spots = spots;
    this.#list = list;
    this.body.append(this.#top, this.#grid, this.#foot);
    spots.on(() => { if (this.#isOpen) this.#load(); });
    this.#grid.addEventListener("keydown", (event) => this.#key(event));
  }

  open() {
    this.#isOpen = true;
    this.#spots.show();
    this.render();
    this.#load();
  }

  close() {
    this.#isOpen = false;
    this.#control.abort();
  }

  render() {
    if (!this.#top.contains(document.activeElement)) this.#top.replaceChildren(this.#spots.controls());
    this.#draw();
  }

  async #load() {
    const { t } = this.#app;
    this.#control.abort();
    this.#control = new AbortController();
    const { signal } = this.#control;
    this.#grid.setAttribute("aria-busy", "true");
    if (!this.#totals) this.#foot.replaceChildren(h("p", { class: "hint" }, t("正在读取…", "Reading …")));
    try {
      const totals = await this.#spots.totals(signal);
      const empty = totals.total.count === 0 && !(await this.#spots.any(signal));
      if (signal.aborted) return;
      this.#totals = totals;
      if (empty) this.#none();
      else this.render();
    } catch (error) {
      if (!signal.aborted) this.#foot.replaceChildren(h("p", { class: "wrong" }, /** @type {Error} */ (error).message));
    } finally {
      if (!signal.aborted) this.#grid.removeAttribute("aria-busy");
    }
  }

  #none() {
    this.#top.replaceChildren();
    this.#grid.replaceChildren(emptyText(this.#app, copyable(this.#app, COMMAND)));
    this.#foot.replaceChildren();
  }

  #draw() {
    const totals = this.#totals;
    if (!totals) return;
    const { t, words } = this.#app;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.closest?.("[data-cell]")?.getAttribute("data-cell");
    const plans = ordered(this.#app, totals);
    const has = (/** @type {string} */ a, /** @type {string} */ b) => totals.pairs.get(pairKey(a, b));
    const rows = plans.filter((row, i) => plans.some((column, j) => j < i && has(row, column)));
    const columns = plans.filter((column, j) => plans.some((row, i) => j < i && has(row, column)));
    const most = Math.max(...[...totals.pairs.values()].map((sum) => sum.area), 1);
    const chosen = this.#spots.cell && pairKey(...this.#spots.cell);
    const cell = (/** @type {string} */ row, /** @type {string} */ column) => {
      if (plans.indexOf(column) >= plans.indexOf(row)) return h("td", { class: "beyond" });
      const sum = has(row, column);
      if (!sum) return h("td", { class: "nothing", "aria-label": t("无", "none") }, "·");
      const key = pairKey(row, column);
      const say = t(`${planTitle(this.#app, row)}与${planTitle(this.#app, column)}：${this.#sum(sum)}`,
        `${planTitle(this.#app, row)} and ${planTitle(this.#app, column)}: ${this.#sum(sum)}`);
      const made = h("button", { type: "button", class: "cell", "data-cell": key, "data-count": sum.count, "data-area": sum.area,
        "aria-label": say, title: say, "aria-pressed": String(key === chosen), onclick: () => this.#pick([column, row], key === chosen) },
      h("b", {}, words.count(sum.count)), h("span", {}, words.figure(sum.area / 10_000)));
      made.style.setProperty("--share", `${Math.round(8 + 40 * Math.sqrt(sum.area / most))}%`);
      return h("td", {}, made);
    };
    const { total } = totals;
    const found = rows.length > 0;
    this.#grid.replaceChildren(found ? h("table", { class: "matrix" },
      h("caption", { class: "hint" }, t("每格：处数，下为面积（公顷）。颜色越重面积越大。", "Each cell: spots, and hectares below. The stronger the colour, the larger.")),
      h("thead", {}, h("tr", {}, h("td"), ...columns.map((id) => h("th", { scope: "col", title: planTitle(this.#app, id) }, h("span", {}, planTitle(this.#app, id)))))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, h("th", { scope: "row" }, planTitle(this.#app, row)), ...columns.map((column) => cell(row, column)))))) : "");
    if (focused) /** @type {HTMLElement | null} */ (this.#grid.querySelector(`[data-cell="${focused}"]`))?.focus();
    this.#foot.replaceChildren(
      ...(chosen && totals.pairs.has(chosen) ? [h("p", { class: "matrix-cell" },
        this.#spots.cell?.map((id) => planTitle(this.#app, id)).join(" × ") ?? "", h("br"),
        h("b", {}, this.#sum(/** @type {any} */ (totals.pairs.get(chosen)))))] : []),
      h("p", { class: "matrix-total", role: "status" }, found || total.count
        ? t(`共${totals.cut ? "超过 " : " "}${this.#sum(total)}`, `${totals.cut ? "More than" : "In all"} ${this.#sum(total)}`)
        : t("没有符合条件的图斑。可换部门或状态。", "No spot fits. Choose another bureau or state.")),
      ...sampleMark(this.#app, plans),
      h("div", { class: "tool-buttons" },
        h("button", { type: "button", "data-act": "list", disabled: !total.count, onclick: this.#list }, icon(ICONS.table),
          this.#spots.cell ? t("列出这一格的图斑", "List this cell") : t("列出图斑", "List the spots")),
        this.#spots.cell ? h("button", { type: "button", "data-act": "all", onclick: () => this.#pick(this.#spots.cell, true) }, t("看全部", "Show all")) : ""));
  }

  /** @param {import("./spots.js").Sum} sum */
  #sum(sum) {
    const { t, words } = this.#app;
    return t(`${words.count(sum.count)} 处，${words.area(sum.area)}`, `${words.count(sum.count)} spots, ${words.area(sum.area)}`);
  }

  /**
   * @param {[string, string] | null} cell
   * @param {boolean} off
   */
  #pick(cell, off) {
    const sum = cell && this.#totals?.pairs.get(pairKey(...cell));
    this.#spots.change({ cell: off ? null : cell });
    const box = off ? this.#totals?.total.box : sum?.box;
    if (box) this.#app.view.fit(box);
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = /** @type {Record<string, [number, number]>} */ ({ ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] })[event.key];
    const here = /** @type {HTMLElement} */ (event.target).closest("td");
    if (!step || !here) return;
    event.preventDefault();
    const table = /** @type {HTMLTableElement} */ (this.#grid.querySelector("table"));
    let [x, y] = [here.cellIndex + step[0], /** @type {HTMLTableRowElement} */ (here.parentElement).rowIndex + step[1]];
    for (; table.rows[y]?.cells[x]; x += step[0], y += step[1]) {
      const button = table.rows[y].cells[x].querySelector("button");
      if (button) {
        button.focus();
        return;
      }
    }
  }
}

/**
 * Plans in a row that leaves few empty columns: those that stand first in a comparison first, then as the catalogue has them.
 * @param {App} app
 * @param {Totals} totals
 */
function ordered(app, totals) {
  const pairs = [...totals.pairs.keys()].map((key) => key.split("*"));
  const plans = [...new Set(pairs.flat())];
  const partners = (/** @type {string} */ id) => new Set(pairs.filter((p) => p.includes(id)).flat()).size;
  const rank = new Map([...app.layers.keys()].map((id, i) => [id, i]));
  return plans.sort((a, b) => partners(b) - partners(a) || (rank.get(a) ?? 999) - (rank.get(b) ?? 999));
}
