// SPDX-License-Identifier: Apache-2.0
// The planning panel: three tabs in one card of the inspector.

import { h } from "../dom.js";
import { CheckTab } from "./check.js";
import { ListTab } from "./list.js";
import { MatrixTab } from "./matrix.js";
import { Spots } from "./spots.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {{body: HTMLElement, open: () => void, close: (how: "tab" | "tool" | "end") => void, render: () => void}} Tab
 */

const TABS = [
  { id: "check", zh: "画地体检", en: "Check a site" },
  { id: "matrix", zh: "差异矩阵", en: "Conflicts" },
  { id: "spots", zh: "图斑", en: "Spots" },
];

export class Panel {
  #app;
  #off;
  #isOpen = false;
  #tab = "";
  #bar = h("div", { class: "plan-tabs", role: "tablist" });
  #place = h("div", { class: "plan-tab", role: "tabpanel", id: "plan-panel", tabindex: -1 });
  #body = h("div", { class: "plan", "data-tool": "planning" }, this.#bar, this.#place);
  #spots;
  /** @type {Record<string, Tab>} */
  #tabs;

  /**
   * @param {App} app
   * @param {() => void} off Turns the tool off.
   */
  constructor(app, off) {
    this.#app = app;
    this.#off = off;
    this.#spots = new Spots(app);
    const show = (/** @type {string} */ id) => app.state.set("plan", id);
    this.#tabs = { check: new CheckTab(app), matrix: new MatrixTab(app, this.#spots, () => show("spots")),
      spots: new ListTab(app, this.#spots, () => show("matrix")) };
    this.#bar.addEventListener("keydown", (event) => this.#key(event));
    app.state.subscribe("plan", () => { if (this.#isOpen) this.#show(); });
    app.on("lang", () => {
      if (!this.#isOpen) return;
      this.#card();
      this.#show(true);
    });
  }

  /** Whether clicks on the map belong to the drawing. */
  draws() {
    return this.#isOpen && this.#tab === "check" && /** @type {CheckTab} */ (this.#tabs.check).draws();
  }

  open() {
    this.#isOpen = true;
    if (!TABS.some((tab) => tab.id === this.#app.state.get("plan"))) this.#app.state.set("plan", this.#tab || "check");
    this.#card();
    this.#show(true);
  }

  /** @param {boolean} forgotten Whether nothing of it is to stay; else another tool took its place. */
  close(forgotten) {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#tabs[this.#tab]?.close(forgotten ? "end" : "tool");
    if (forgotten) {
      /** @type {CheckTab} */ (this.#tabs.check).forget();
      this.#spots.forget();
    }
    this.#app.state.set("plan", null, { step: forgotten });
    this.#app.inspector.close("planning");
  }

  #card() {
    this.#app.inspector.show({ id: "planning", title: this.#app.t("规划", "Plans"), body: this.#body,
      onclose: () => this.#off() });
  }

  #show(again = false) {
    const asked = this.#app.state.get("plan") ?? "check";
    const id = asked in this.#tabs ? asked : "check";
    const { t } = this.#app;
    const had = this.#bar.contains(document.activeElement);
    this.#bar.setAttribute("aria-label", t("规划", "Plans"));
    this.#bar.replaceChildren(...TABS.map((tab) => h("button", { type: "button", role: "tab", id: `plan-tab-${tab.id}`,
      "data-tab": tab.id, "aria-selected": String(tab.id === id), "aria-controls": "plan-panel",
      tabindex: tab.id === id ? 0 : -1, onclick: () => this.#app.state.set("plan", tab.id) }, t(tab.zh, tab.en))));
    if (had) /** @type {HTMLElement} */ (this.#bar.querySelector("[aria-selected=true]")).focus();
    this.#place.setAttribute("aria-labelledby", `plan-tab-${id}`);
    if (id !== this.#tab || again) {
      if (id !== this.#tab) this.#tabs[this.#tab]?.close("tab");
      this.#tab = id;
      this.#place.replaceChildren(this.#tabs[id].body);
      this.#tabs[id].open();
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1 })[event.key];
    if (!step) return;
    event.preventDefault();
    const at = TABS.findIndex((tab) => tab.id === this.#tab);
    this.#app.state.set("plan", TABS[(at + step + TABS.length) % TABS.length].id);
  }
}
