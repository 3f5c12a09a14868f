// SPDX-License-Identifier: Apache-2.0
// The form of a process: what its sector asks for first, everything else folded away.

import { h, icon, ICONS } from "../dom.js";
import { fieldOf } from "./fields.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./fields.js").Field} Field
 */

export class Form {
  element = h("div", { class: "tool-form" });
  /** @type {Map<string, {field: Field, required: boolean, usual: string, row: HTMLElement, wrong: HTMLElement, folded: boolean}>} */
  #rows = new Map();
  #app;
  #more = h("details", { class: "sector-more" });

  /**
   * @param {App} app
   * @param {any} process Its description.
   * @param {any} one The function: `asks` are the inputs that stand open.
   * @param {() => void} changed
   */
  constructor(app, process, one, changed) {
    this.#app = app;
    const { t, words } = app;
    const names = Object.keys(process.inputs);
    const asked = one.asks.map((/** @type {any} */ a) => a.input).filter((/** @type {string} */ n) => names.includes(n));
    const needed = names.filter((n) => process.inputs[n].minOccurs > 0 && !asked.includes(n));
    const first = asked.length ? [...needed, ...asked] : names;
    for (const name of [...first, ...names.filter((n) => !first.includes(n))]) {
      const input = process.inputs[name];
      const ask = one.asks.find((/** @type {any} */ a) => a.input === name) ?? null;
      const required = input.minOccurs > 0;
      const title = ask?.title ? words.text(ask.title) : input.title ?? name;
      const field = fieldOf({ app, name, title: required ? `${title} *` : title, plain: title, schema: input.schema ?? {}, ask, required,
        changed: () => { this.#renew(name); changed(); }, other: (n) => this.#quietly(n), alone: () => this.rest() });
      const wrong = h("p", { class: "wrong", role: "alert", hidden: true });
      const row = h("div", { class: "sector-input", "data-field": name }, field.element,
        input.description && h("p", { class: "hint" }, input.description), wrong);
      this.#rows.set(name, { field, required, usual: JSON.stringify(input.schema?.default), row, wrong, folded: !first.includes(name) });
    }
    const folded = [...this.#rows.values()].filter((r) => r.folded);
    this.#more.append(h("summary", {}, icon(ICONS.right), t(`更多条件（${folded.length}）`, `More conditions (${folded.length})`)),
      h("div", { class: "tool-form" }, ...folded.map((r) => r.row)));
    this.element.append(...[...this.#rows.values()].filter((r) => !r.folded).map((r) => r.row));
    if (folded.length) this.element.append(this.#more);
  }

  /** Whether clicks on the map belong to it. */
  draws() {
    return [...this.#rows.values()].some((r) => r.field.draws?.());
  }

  /** The first place that is needed and not given takes clicks at once. */
  start() {
    const first = [...this.#rows.values()].find((r) => r.required && r.field.start && this.#valueOf(r.field) === undefined);
    first?.field.start?.();
  }

  /** Leaves the map to others. */
  rest() {
    for (const { field } of this.#rows.values()) field.rest?.();
  }

  /** Takes what was drawn from the map. */
  end() {
    for (const { field } of this.#rows.values()) field.end?.();
  }

  /** @param {Record<string, any>} inputs */
  write(inputs) {
    for (const [name, { field }] of this.#rows) if (name in inputs) field.write(inputs[name]);
    for (const name of this.#rows.keys()) this.#renew(name);
  }

  /** Inputs as they are now, without those that are wrong. */
  draft() {
    /** @type {Record<string, any>} */
    const found = {};
    for (const [name, { usual }] of this.#rows) {
      const value = this.#quietly(name);
      if (value !== undefined && JSON.stringify(value) !== usual) found[name] = value;
    }
    return found;
  }

  /** Inputs to be sent, without those that are as usual; null where one is wrong, which is said beside it. */
  read() {
    /** @type {Record<string, any>} */
    const found = {};
    let wrong = 0;
    for (const [name, { field, required, usual }] of this.#rows) {
      this.say(name, "");
      try {
        const value = field.read();
        if (value !== undefined && JSON.stringify(value) !== usual) found[name] = value;
        else if (value === undefined && required) throw new Error(this.#app.t("请给出此项。", "This is needed."));
      } catch (error) {
        wrong += 1;
        this.say(name, /** @type {Error} */ (error).message);
      }
    }
    if (wrong) /** @type {HTMLElement | null} */ (this.element.querySelector(".sector-input.is-wrong :is(input, select, textarea, button)"))?.focus();
    return wrong ? null : found;
  }

  /** Says beside an input what is wrong with it; whether there is such an input. @param {string} name @param {string} text */
  say(name, text) {
    const row = this.#rows.get(name);
    if (!row) return false;
    row.wrong.textContent = text;
    row.wrong.hidden = !text;
    row.row.classList.toggle("is-wrong", Boolean(text));
    if (text && row.folded) /** @type {HTMLDetailsElement} */ (this.#more).open = true;
    return true;
  }

  /** @param {string} changed */
  #renew(changed) {
    for (const [name, { field }] of this.#rows) if (name !== changed) field.renew?.();
  }

  /** @param {string} name */
  #quietly(name) {
    const row = this.#rows.get(name);
    return row ? this.#valueOf(row.field) : undefined;
  }

  /** @param {Field} field */
  #valueOf(field) {
    try {
      return field.read();
    } catch {
      return undefined;
    }
  }
}
