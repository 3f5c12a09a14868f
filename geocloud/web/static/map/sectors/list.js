// SPDX-License-Identifier: Apache-2.0
// The rows of an answer as a list: counted and filtered by verdict, sorted, a page at a time.

import { h, icon } from "../dom.js";
import { button, select } from "../tools/kit.js";
import { sorted } from "./rows.js";
import { at, signOf, valueElement, valueWords } from "./values.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./rows.js").Answer} Answer
 * @typedef {import("./rows.js").Row} Row
 */

const PAGE = 50;
const FACTS = 6;
const ARROWS = { up: "M12 19V5M6 11l6-6 6 6", down: "M12 5v14M6 13l6 6 6-6" };

export class List {
  element = h("div", { class: "sector-list" });
  #app;
  #answer;
  #does;
  #sort = "";
  #down = false;
  /** @type {string | null} The verdict that is shown alone. */
  #only = null;
  #shown = PAGE;
  #number = -1;

  /**
   * @param {App} app
   * @param {Answer} answer
   * @param {{pick: (row: Row) => void, only: (test: (row: Row) => boolean) => void}} does
   */
  constructor(app, answer, does) {
    this.#app = app;
    this.#answer = answer;
    this.#does = does;
    this.#draw();
  }

  /** Marks a row that was picked on the map, and brings it into view. @param {number} number */
  mark(number) {
    this.#number = number;
    const place = this.#rows().findIndex((r) => r.number === number);
    if (place >= this.#shown) {
      this.#shown = Math.ceil((place + 1) / PAGE) * PAGE;
      this.#draw();
    }
    for (const row of this.element.querySelectorAll("[data-number]")) {
      const on = /** @type {HTMLElement} */ (row).dataset.number === String(number);
      row.setAttribute("aria-pressed", String(on));
      if (on) row.scrollIntoView({ block: "nearest" });
    }
  }

  /** @param {Row} row */
  #of(row) {
    const { verdict } = this.#answer;
    return verdict ? String(row.values[verdict.name]) : "";
  }

  #rows() {
    const rows = this.#answer.rows.filter((r) => this.#only === null || this.#of(r) === this.#only);
    return sorted(rows, this.#sort, this.#down, this.#app.lang);
  }

  /** How many there are of each verdict; pressing one shows it alone. */
  #tally() {
    const { verdict, rows } = this.#answer;
    if (!verdict || rows.length === 0) return null;
    /** @type {Map<string, number>} */
    const sums = new Map(Object.keys(verdict.words ?? {}).map((word) => [word, 0]));
    for (const row of rows) sums.set(this.#of(row), (sums.get(this.#of(row)) ?? 0) + 1);
    return h("div", { class: "sector-tally", role: "group", "aria-label": this.#app.words.text(verdict.title) }, ...[...sums].map(([word, n]) =>
      h("button", { type: "button", "data-verdict": word, "data-count": n, "aria-pressed": String(this.#only === word), disabled: n === 0, onclick: () => {
        this.#only = this.#only === word ? null : word;
        this.#shown = PAGE;
        this.#does.only((row) => this.#only === null || this.#of(row) === this.#only);
        this.#draw(`[data-verdict="${CSS.escape(word)}"]`);
      } }, signOf(verdict.tones?.[word]), valueWords(this.#app, verdict, word) || this.#app.t("未说明", "Not said"), h("b", {}, this.#app.words.count(n)))));
  }

  /** @param {string} [focus] What has the focus afterwards. */
  #draw(focus) {
    const { t, words } = this.#app;
    const { columns, rows } = this.#answer;
    const found = this.#rows();
    const turn = h("button", { type: "button", class: "small", "data-act": "turn", title: this.#down ? t("从大到小", "Descending") : t("从小到大", "Ascending"),
      "aria-label": this.#down ? t("从大到小", "Descending") : t("从小到大", "Ascending"), onclick: () => { this.#down = !this.#down; this.#draw("[data-act=turn]"); } },
    icon(this.#down ? ARROWS.down : ARROWS.up));
    const order = select([{ value: "", text: t("按结果次序", "In the answer's order") }, ...columns.map((c) => ({ value: c.name, text: t(`按${c.title.zh}`, `By ${c.title.en}`) }))],
      this.#sort, (name) => { this.#sort = name; this.#down = false; this.#draw("[data-act=sort]"); }, { "data-act": "sort", "aria-label": t("排序", "Order") });
    this.element.replaceChildren(
      this.#tally() ?? "",
      rows.length > 1 ? h("div", { class: "sector-order" }, order, turn) : "",
      h("ol", { class: "sector-rows" }, ...found.slice(0, this.#shown).map((row) => this.#row(row))),
      h("p", { class: "hint", role: "status" }, found.length > this.#shown ? t(`列出 ${words.count(this.#shown)} 条，共 ${words.count(found.length)} 条`, `${words.count(this.#shown)} of ${words.count(found.length)}`)
        : t(`共 ${words.count(found.length)} 条`, `${words.count(found.length)} in all`)),
      found.length > this.#shown ? button(t("再列一些", "More"), () => { this.#shown += PAGE; this.#draw("[data-act=more]"); }, { "data-act": "more" }) : "");
    if (focus) /** @type {HTMLElement | null} */ (this.element.querySelector(focus))?.focus();
  }

  /** @param {Row} row */
  #row(row) {
    const { t, lang, words } = this.#app;
    const [first, ...rest] = this.#answer.columns;
    const facts = rest.map((c) => ({ column: c, value: at(row.values, c.name, lang) })).filter(({ column, value }) => valueWords(this.#app, column, value)).slice(0, FACTS);
    const name = first ? valueWords(this.#app, first, at(row.values, first.name, lang)) : "";
    const shown = { class: "sector-row", "data-number": row.number };
    // What has no place has nothing to be pressed for.
    const made = !row.feature ? { ...shown, title: t("没有位置", "It has no place") } : { ...shown, type: "button", "aria-pressed": String(row.number === this.#number),
      title: t("在地图上显示", "Show on the map"), onclick: () => this.#does.pick(row) };
    return h("li", {}, h(row.feature ? "button" : "div", made,
    h("span", { class: "sector-row-name" }, first && name ? valueElement(this.#app, first, at(row.values, first.name, lang)) : `${row.number + 1}`, !row.feature && this.#answer.unplaced < this.#answer.rows.length && h("span", { class: "hint" }, t(" 无位置", " no place"))),
    h("span", { class: "sector-facts" }, ...facts.map(({ column, value }) => h("span", { "data-column": column.name, class: /\n/.test(valueWords(this.#app, column, value)) ? "lines" : null },
      h("span", { class: "hint" }, `${words.text(column.title)} `), valueElement(this.#app, column, value))))));
  }
}
