// SPDX-License-Identifier: Apache-2.0
// The sectors' panel: a list of all functions, or one of them, in one card of the inspector.

import { h, icon, ICONS } from "../dom.js";
import { KEYS } from "./address.js";
import { FunctionView } from "./function.js";

/**
 * @typedef {import("../types.js").App} App
 */

const LIST = "-";

export class Panel {
  #app;
  #off;
  #isOpen = false;
  #body = h("div", { class: "sector", "data-tool": "sectors" });
  /** @type {any[] | null} */
  #sectors = null;
  /** @type {FunctionView | null} */
  #view = null;
  #shown = "";

  /**
   * @param {App} app
   * @param {() => void} off Turns the tool off.
   */
  constructor(app, off) {
    this.#app = app;
    this.#off = off;
    app.state.subscribe(KEYS.at, () => { if (this.#isOpen) this.#show(); });
    app.on("lang", () => {
      if (!this.#isOpen) return;
      this.#card();
      this.#show(true);
    });
    app.map.on("click", (/** @type {any} */ event) => { if (this.#isOpen) this.#view?.click(event); });
  }

  /** Whether clicks on the map belong to an input. */
  draws() {
    return this.#isOpen && Boolean(this.#view?.draws());
  }

  /** Whether a click is on the answer. @param {any} event */
  claims(event) {
    return this.#isOpen && Boolean(this.#view?.claims(event));
  }

  async open() {
    this.#isOpen = true;
    const { state } = this.#app;
    if (!state.get(KEYS.at)) state.set(KEYS.at, this.#shown || LIST);
    this.#card();
    await this.#show(true);
  }

  /** @param {boolean} forgotten Whether nothing of it is to stay; else another tool took its place. */
  close(forgotten) {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#leave();
    const { state } = this.#app;
    if (forgotten) {
      this.#shown = "";
      for (const key of [KEYS.inputs, KEYS.job]) state.set(key, null, { step: false });
    }
    state.set(KEYS.at, null, { step: forgotten });
    this.#app.inspector.close("sectors");
  }

  #card() {
    this.#app.inspector.show({ id: "sectors", title: this.#app.t("行业", "Sectors"), body: this.#body, onclose: () => this.#off() });
  }

  #leave() {
    this.#view?.end();
    this.#view = null;
  }

  async #show(again = false) {
    const { app } = this;
    const asked = app.state.get(KEYS.at) ?? LIST;
    if (asked === this.#shown && this.#view && !again) return;
    this.#shown = asked;
    this.#leave();
    try {
      this.#sectors ??= (await app.fetchJSON(app.url("/sectors"))).sectors;
    } catch (error) {
      this.#body.replaceChildren(h("p", { class: "wrong" }, /** @type {Error} */ (error).message));
      return;
    }
    if (!this.#isOpen || this.#shown !== asked) return;
    const [name, process] = asked.split("/");
    const sector = this.#sectors?.find((s) => s.name === name);
    const one = sector?.functions.find((/** @type {any} */ f) => f.process === process);
    if (!one) {
      this.#list();
      return;
    }
    this.#view = new FunctionView(app, sector, one);
    const back = h("button", { type: "button", class: "plain", "data-act": "all", onclick: () => this.#go(LIST) }, icon(ICONS.left), app.t("全部行业", "All sectors"));
    this.#body.replaceChildren(h("div", { class: "sector-path" }, back, h("span", { class: "hint" }, app.words.text(sector.title))), this.#view.element);
    await this.#view.start();
  }

  get app() {
    return this.#app;
  }

  /** Goes to a function, or to the list; what was asked of another is not asked of this one. @param {string} to */
  #go(to) {
    const { state } = this.#app;
    for (const key of [KEYS.inputs, KEYS.job]) state.set(key, null, { step: false });
    state.set(KEYS.at, to);
    /** @type {HTMLElement | null} */ (this.#body.querySelector(to === LIST ? ".sector-function" : "[data-act=all]"))?.focus();
  }

  #list() {
    const { t, words } = this.#app;
    const known = (this.#sectors ?? []).filter((s) => s.functions.length);
    this.#body.replaceChildren(...known.map((s) => h("section", { class: "sector-group", "data-sector": s.name }, h("h3", {}, words.text(s.title)),
      h("ul", {}, ...s.functions.map((/** @type {any} */ f) => h("li", {}, h("button", { type: "button", class: "sector-function", "data-process": f.process,
        onclick: () => this.#go(`${s.name}/${f.process}`) }, h("b", {}, words.text(f.title)), h("span", { class: "hint" }, words.text(f.description)))))))),
    known.length ? "" : h("p", { class: "tool-hint" }, t("没有带处理的行业模块。用 geocloud sector new 新建一个。", "No sector has processes. Begin one with geocloud sector new.")));
  }
}
