// SPDX-License-Identifier: Apache-2.0
// One function of a sector: its form, the run in a job, and the answer in the panel and on the map.

import { boxOf } from "../cards.js";
import { h, icon, ICONS, quiet } from "../dom.js";
import { dismiss, ended, result, submit } from "../planning/job.js";
import { button } from "../tools/kit.js";
import { KEYS } from "./address.js";
import { answerHead, failureOf } from "./answer.js";
import { Drawing } from "./drawing.js";
import { Form } from "./form.js";
import { List } from "./list.js";
import { answerRows, placeRows } from "./rows.js";
import { seriesOf } from "./series.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./rows.js").Row} Row
 */

const WRITE_MS = 300;
const CLOSE = 15;
const NARROW = "(max-width: 720px)";

export class FunctionView {
  element = h("div", { class: "sector-view" });
  #app;
  #one;
  /** @type {any} */
  #process = null;
  /** @type {Form | null} */
  #form = null;
  #asked = h("details", { class: "sector-form", open: true });
  #outcome = h("div", { class: "sector-outcome", "aria-live": "polite" });
  #drawing;
  /** @type {List | null} */
  #list = null;
  #control = new AbortController();
  #job = "";
  #isOver = false;
  /** @type {string[]} Layers that were switched on for it. */
  #shown = [];
  #ends;

  /** @param {App} app @param {any} _sector @param {any} one */
  constructor(app, _sector, one) {
    this.#app = app;
    this.#one = one;
    this.#drawing = new Drawing(app, (number) => this.#list?.mark(number));
    this.#ends = [app.state.subscribe(KEYS.job, () => this.#follow())];
    const missing = one.missing.map((/** @type {string} */ id) => h("code", {}, id));
    this.element.append(h("h3", {}, app.words.text(one.title)), h("p", { class: "hint" }, app.words.text(one.description)),
      missing.length ? h("p", { class: "tool-hint" }, app.t("此处未发布的图层：", "Layers not published here: "), ...missing) : "", this.#asked, this.#outcome);
  }

  draws() {
    return Boolean(this.#form?.draws());
  }

  /** @param {any} event */
  claims(event) {
    return !this.draws() && this.#drawing.hit(event.point) !== null;
  }

  /** @param {any} event */
  click(event) {
    if (!this.draws()) this.#drawing.click(event);
  }

  async start() {
    const { app } = this;
    this.#turnOn();
    try {
      this.#process = await app.fetchJSON(app.url(`/processes/${encodeURIComponent(this.#one.process)}?lang=${app.lang}`), { signal: this.#control.signal });
    } catch (error) {
      if (!this.#isOver) this.#outcome.replaceChildren(h("p", { class: "wrong" }, /** @type {Error} */ (error).message));
      return;
    }
    const given = this.#given();
    const form = new Form(app, this.#process, this.#one, () => this.#keep());
    this.#form = form;
    const example = Object.keys(this.#one.example ?? {}).length > 0;
    this.#asked.replaceChildren(h("summary", {}, icon(ICONS.right), app.t("条件", "Conditions")), form.element, h("div", { class: "tool-buttons" },
      button(app.t("运行", "Run"), () => this.#run(), { "data-act": "run", class: "tool-button primary" }),
      example ? button(app.t("填入示例", "Fill in an example"), () => this.#fill(this.#one.example), { "data-act": "example" }) : ""));
    if (given) form.write(given);
    this.#follow();
    if (!this.#job && !window.matchMedia(NARROW).matches) form.start();
  }

  get app() {
    return this.#app;
  }

  /** Takes everything away. */
  end() {
    this.#isOver = true;
    this.#control.abort();
    this.#form?.end();
    this.#drawing.show(null);
    this.#ends.forEach((end) => end());
    for (const id of this.#shown) this.#app.view.show(id, false);
  }

  #turnOn() {
    const { view } = this.#app;
    const before = new Set(view.visible());
    this.#shown = this.#one.layers.filter((/** @type {string} */ id) => this.#app.layers.has(id) && !before.has(id));
    for (const id of this.#shown) view.show(id, true);
  }

  /** Inputs the address names. @returns {Record<string, any> | null} */
  #given() {
    try {
      const read = JSON.parse(this.#app.state.get(KEYS.inputs) ?? "null");
      return read && typeof read === "object" && !Array.isArray(read) ? read : null;
    } catch {
      return null;
    }
  }

  #keep = quiet(() => {
    if (this.#isOver || !this.#form) return;
    const draft = this.#form.draft();
    this.#app.state.set(KEYS.inputs, Object.keys(draft).length ? JSON.stringify(draft) : null, { step: false });
  }, WRITE_MS);

  /** @param {Record<string, any>} inputs */
  #fill(inputs) {
    this.#form?.rest();
    this.#form?.write(inputs);
    this.#keep();
    const box = Object.values(inputs).map((v) => (v?.coordinates ? boxOf(v) : null)).find(Boolean);
    if (box) this.#app.view.goTo([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
  }

  /** A job the address names is watched, or forgotten. */
  #follow() {
    const job = this.#app.state.get(KEYS.job) ?? "";
    if (this.#isOver || job === this.#job || !this.#form) return;
    this.#begin(job);
    if (job) this.#attend(() => this.#wait(job));
    else this.#asked.setAttribute("open", "");
  }

  #begin(/** @type {string} */ job) {
    this.#control.abort();
    this.#control = new AbortController();
    this.#drawing.show(null);
    this.#list = null;
    this.#job = job;
    this.#outcome.replaceChildren();
  }

  #run() {
    const inputs = this.#form?.read();
    if (!inputs) return;
    this.#form?.rest();
    this.#begin("");
    this.#app.state.set(KEYS.inputs, JSON.stringify(inputs), { step: false });
    this.#attend(async () => {
      const id = await submit(this.#app, this.#one.process, inputs, this.#control.signal);
      this.#job = id;
      this.#app.state.set(KEYS.job, id);
      await this.#wait(id);
    });
  }

  /** @param {() => Promise<void>} work */
  async #attend(work) {
    const { t } = this.#app;
    const { signal } = this.#control;
    const bar = h("progress", { max: 100, "aria-label": t("进度", "Progress") });
    this.#outcome.replaceChildren(h("div", { class: "plan-running" }, bar, h("p", { class: "hint", role: "status" }, t("正在提交…", "Handing it in …")),
      button(t("取消", "Cancel"), () => this.#cancel(), { "data-act": "cancel" })));
    try {
      await work();
    } catch (error) {
      if (signal.aborted || /** @type {any} */ (error)?.name === "AbortError") return;
      const details = /** @type {any} */ (error)?.details ?? { detail: /** @type {any} */ (error)?.detail ?? /** @type {any} */ (error)?.message ?? String(error) };
      this.#asked.setAttribute("open", "");
      this.#outcome.replaceChildren(failureOf(this.#app, this.#process, details, (input, text) => Boolean(this.#form?.say(input, text))));
      /** @type {HTMLElement | null} */ (this.#outcome.querySelector(".verdict-word"))?.focus();
    }
  }

  /** @param {string} id */
  async #wait(id) {
    const { app } = this;
    const { signal } = this.#control;
    const last = await ended(app, id, (status) => this.#tell(status), signal);
    if (last.status === "dismissed") throw { detail: app.t("作业已取消。", "The job was called off.") };
    if (last.processID !== this.#one.process) throw { detail: app.t("该作业属于另一个处理。", "The job is of another process.") };
    const names = Object.keys(this.#process.outputs).filter((name) => this.#isRead(name));
    const read = await Promise.all(names.map((name) => result(app, id, name, signal).catch((error) => {
      if (last.status === "failed" || signal.aborted) throw error;
      return null;
    })));
    if (last.status === "failed") throw { detail: last.message };
    const outputs = Object.fromEntries(names.map((name, i) => [name, read[i]]));
    await this.#show(outputs, id, signal);
  }

  /** Which outputs are read here: what is JSON, and of declared ones those that are named. @param {string} name */
  #isRead(name) {
    const { rows, draws, figures } = this.#one;
    const media = String(this.#process.outputs[name].schema?.contentMediaType ?? "application/json");
    if (!/json/.test(media)) return false;
    const named = [rows, ...draws, ...figures.map((/** @type {any} */ f) => f.name)].filter(Boolean).map((p) => p.split("/")[0]);
    return !rows || named.includes(name);
  }

  /** @param {Record<string, any>} outputs @param {string} id @param {AbortSignal} signal */
  async #show(outputs, id, signal) {
    const { app } = this;
    const answer = answerRows(app, this.#one, outputs);
    if (this.#one.place) {
      await placeRows(app, this.#one.place, { ...this.#defaults(), ...(this.#given() ?? {}) }, answer, signal).catch((error) => {
        if (signal.aborted) throw error;
        app.problem(error, app.t("未能读取各行的位置", "The places of the rows could not be read"));
      });
    }
    if (this.#isOver || signal.aborted) return;
    this.#asked.removeAttribute("open");
    this.#drawing.show(answer);
    this.#list = new List(app, answer, { pick: (row) => this.#pick(row), only: (test) => this.#drawing.only(test) });
    const empty = answer.rows.length === 0 && Boolean(this.#one.rows);
    const chart = seriesOf(app, this.#one.chart, answer.rows);
    this.#outcome.replaceChildren(chart ?? "", answerHead(app, this.#one, this.#process, outputs, id),
      chart ? this.#folded(answer.rows.length) : (answer.rows.length ? this.#list.element : empty ? h("p", { class: "tool-hint" }, app.t("没有结果。可放宽条件再试。", "Nothing was found. Try wider conditions.")) : ""));
    const inputs = this.#given() ?? {};
    const asked = Object.values(inputs).filter((v) => v?.coordinates).map((geometry) => ({ geometry }));
    const drawn = [...answer.rows.map((r) => r.feature), ...answer.others, ...asked].filter(Boolean);
    const box = boxOfAll(drawn.length ? drawn : await this.#subjects(inputs, signal));
    if (this.#isOver || signal.aborted) return;
    if (box) this.#see(box);
    if (window.matchMedia(NARROW).matches) this.#outcome.scrollIntoView({ block: "start" });
    app.announce(app.t(`完成，共 ${answer.rows.length} 条`, `Done, ${answer.rows.length} in all`));
  }

  /** The list, folded below what is drawn of it. @param {number} rows */
  #folded(rows) {
    const { t, words } = this.#app;
    return h("details", { class: "sector-more sector-values" }, h("summary", {}, icon(ICONS.right), t(`各时段数值（${words.count(rows)}）`, `Values by time (${words.count(rows)})`)),
      this.#list?.element ?? "");
  }

  /**
   * Features that inputs name by their code, brought out: the place of an answer that has none.
   * @param {Record<string, any>} inputs
   * @param {AbortSignal} signal
   */
  async #subjects(inputs, signal) {
    const { app } = this;
    const found = await Promise.all(this.#one.asks.map(async (/** @type {any} */ ask) => {
      const layer = app.layers.get(ask.layer);
      const value = inputs[ask.input];
      if (!layer || typeof value !== "string") return [];
      const query = new URLSearchParams({ limit: "1", filter: `"${ask.field}" = '${value.replaceAll("'", "''")}'` });
      // The answer is there without its place.
      return app.fetchJSON(app.url(`${layer.items}?${query}`), { signal }).then((page) => page.features, () => []);
    }));
    if (!this.#isOver && !signal.aborted && found.flat().length) app.view.highlight(found.flat());
    return found.flat();
  }

  #defaults() {
    return Object.fromEntries(Object.entries(this.#process.inputs).filter(([, i]) => i.schema?.default !== undefined).map(([name, i]) => [name, i.schema.default]));
  }

  /** @param {any} status */
  #tell(status) {
    const bar = this.#outcome.querySelector("progress");
    const words = this.#outcome.querySelector("[role=status]");
    if (bar && status.progress) bar.value = status.progress;
    if (words) words.textContent = status.message || (status.status === "accepted" ? this.#app.t("排队等候…", "Waiting its turn …") : this.#app.t("正在计算…", "Calculating …"));
  }

  async #cancel() {
    const id = this.#job;
    this.#begin("");
    this.#app.state.set(KEYS.job, null);
    this.#asked.setAttribute("open", "");
    try {
      if (id) await dismiss(this.#app, id);
      this.#app.announce(this.#app.t("已取消", "Called off"));
    } catch (error) {
      this.#app.problem(error);
    }
    /** @type {HTMLElement | null} */ (this.#asked.querySelector("[data-act=run]"))?.focus();
  }

  /** @param {Row} row */
  #pick(row) {
    const { app } = this;
    this.#list?.mark(row.number);
    this.#drawing.bringOut(row.number);
    const box = row.feature && boxOf(row.feature.geometry);
    if (!box) {
      this.#drawing.closePopup();
      app.announce(app.t("该条没有位置", "It has no place"));
      return;
    }
    const middle = this.#see(box);
    // A popup would cover what is left of a phone's map, and says what the row does.
    if (window.matchMedia(NARROW).matches) this.#drawing.closePopup();
    else this.#drawing.popup(row.number, middle);
  }

  /** Brings a box into view, a point no closer than its surroundings say something. @param {number[]} box */
  #see(box) {
    const middle = /** @type {[number, number]} */ ([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
    if (box[0] === box[2] && box[1] === box[3]) this.#app.view.goTo(middle, CLOSE);
    else this.#app.view.fit(/** @type {[number, number, number, number]} */ (box));
    return middle;
  }
}

/** @param {any[]} features */
function boxOfAll(features) {
  const boxes = features.map((f) => f && boxOf(f.geometry)).filter((b) => b !== null && b !== undefined);
  if (!boxes.length) return null;
  return [Math.min(...boxes.map((b) => b[0])), Math.min(...boxes.map((b) => b[1])), Math.max(...boxes.map((b) => b[2])), Math.max(...boxes.map((b) => b[3]))];
}
