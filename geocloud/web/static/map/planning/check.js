// SPDX-License-Identifier: Apache-2.0
// First tab: a site drawn or from a file, checked against the plans in a job, and the answer.

import { boxOf } from "../cards.js";
import { h } from "../dom.js";
import { button, choice, drawButtons, labelled } from "../tools/kit.js";
import { overlayOf } from "../tools/overlay.js";
import { readSketch, Sketch } from "../tools/sketch.js";
import { answerOf, refusalOf, verdictText } from "./answer.js";
import { Drawing } from "./drawing.js";
import { dismiss, ended, result, submit } from "./job.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {{phase: "asking" | "running" | "done" | "failed", job?: string, report?: any, hits?: any, problem?: any}} Now
 */

const FILES = ".zip,.dxf,.geojson,.json,.kml,.gpkg,.txt,.csv";
const LARGEST_MB = 20;

export class CheckTab {
  body = h("div", { class: "plan-check" });
  #app;
  #form = h("div", { class: "tool-form" });
  #outcome = h("div", { class: "plan-outcome", "aria-live": "polite" });
  #isOpen = false;
  #way = "draw";
  #subject = "";
  /** @type {string | null} A system that was named because it could not be found. */
  #crs = null;
  /** @type {{name: string, value: string, bytes: number} | null} */
  #file = null;
  /** @type {Now | null} A check under way or ended; null while the site is chosen. */
  #now = null;
  #control = new AbortController();
  /** @type {string | null} The layer that was turned on for a rule. */
  #shown = null;
  #sketch;
  #drawing;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#drawing = new Drawing(app);
    this.#sketch = new Sketch(app, "planning", "area", () => this.#drawn());
    this.body.append(this.#form, this.#outcome);
    app.state.subscribe("site", () => { if (this.#isOpen) this.#follow(); });
    app.state.subscribe("job", () => { if (this.#isOpen) this.#follow(); });
    app.state.subscribe("date", () => { if (this.#isOpen) this.#showForm(); });
  }

  /** Whether clicks on the map add corners. */
  draws() {
    return this.#way === "draw" && !this.#now;
  }

  open() {
    this.#isOpen = true;
    this.#follow();
    this.render();
    if (this.draws()) this.#sketch.start();
    this.#draw();
  }

  /** @param {"tab" | "tool" | "end"} how Another tool leaves the drawing on the map, to measure or print it. */
  close(how) {
    this.#isOpen = false;
    this.#sketch.stop();
    if (how === "tool") return;
    this.#drawing.show(null);
    overlayOf(this.#app).set("planning", null);
    overlayOf(this.#app).set("planning:place", null);
    this.#turnOn(null);
  }

  /** Takes everything away: the panel was closed. */
  forget() {
    this.#again();
    this.#file = null;
    this.#sketch.load("area", []);
    for (const key of ["site", "job"]) this.#app.state.set(key, null, { step: false });
  }

  render() {
    this.#showForm();
    this.#showOutcome();
  }

  /** What the address says is taken over. */
  #follow() {
    const { state } = this.#app;
    const job = state.get("job");
    const text = state.get("site");
    if (text !== (this.#sketch.text() || null)) {
      const given = readSketch(text, ["area"]);
      this.#sketch.load("area", given?.places ?? []);
    }
    if (job !== (this.#now?.job ?? null)) {
      if (job) this.#watch(job);
      else this.#again();
    }
  }

  /** The drawing changed. */
  #drawn() {
    if (!this.#isOpen) return;
    this.#app.state.set("site", this.#sketch.text() || null);
    if (this.#sketch.done) this.#way = "draw";
    this.#showForm();
  }

  #showForm() {
    const { t, words, state } = this.#app;
    const focused = /** @type {HTMLElement | null} */ (this.#form.contains(document.activeElement) ? document.activeElement : null);
    const key = focused?.dataset.act ?? focused?.dataset.value;
    const date = state.get("date");
    if (this.#now) {
      this.#form.replaceChildren(...(this.#now.phase === "done" || this.#now.phase === "failed"
        ? [h("div", { class: "tool-buttons" },
          button(this.#file ? t("换一个文件", "Another file") : t("修改范围", "Change the site"), () => this.#edit(), { "data-act": "edit" }),
          button(t("另选一块地", "Another site"), () => this.#anew(), { "data-act": "anew" })), ...this.#otherDate()] : []));
    } else {
      const site = this.#way === "draw"
        ? [...(this.#sketch.done ? [] : [h("p", { class: "tool-hint" },
          t("在地图上点出用地各角，双击或回车结束。", "Click the corners of the site; a double click or Enter ends."))]),
        drawButtons(this.#app, this.#sketch)]
        : [this.#fileField()];
      const subject = h("input", { type: "text", maxlength: 200, value: this.#subject, "data-act": "subject",
        placeholder: t("可不填，写入报告", "If wanted, for the report"),
        oninput: (/** @type {any} */ e) => { this.#subject = e.target.value; } });
      this.#form.replaceChildren(
        choice(t("用地范围", "Site"), [{ value: "draw", text: t("在地图上画", "Draw it") }, { value: "file", text: t("上传文件", "From a file") }],
          this.#way, (way) => this.#choose(way)),
        ...site,
        labelled(t("项目名称", "Name of the project"), subject),
        h("p", { class: "hint" }, date ? t(`按地图日期 ${words.date(date)} 的规划`, `By the plans of the map's date, ${words.date(date)}`)
          : t("按今天的规划；其他日期用地图的时间条选择", "By today's plans; the map's time bar sets another date")),
        button(t("开始体检", "Check it"), () => this.#run(), { "data-act": "run", class: "tool-button primary", disabled: !this.#ready() }));
    }
    if (key) /** @type {HTMLElement | null} */ (this.#form.querySelector(`[data-act="${key}"], [data-value="${key}"]`))?.focus();
  }

  /** An answer is of its own date; once the map has another one that is said. */
  #otherDate() {
    const { t, words, state } = this.#app;
    const date = state.get("date")?.slice(0, 10);
    const of = this.#now?.report?.date;
    if (!of || !date || date === of) return [];
    return [h("div", { class: "tool-hint" }, h("p", {}, t(`地图日期已是${words.date(date)}，以下结论仍按${words.date(of)}的规划。`,
      `The map's date is now ${words.date(date)}; this answer is by the plans of ${words.date(of)}.`)),
    this.#ready() ? button(t("按地图日期再查", "Check at the map's date"), () => this.#run(), { "data-act": "again" }) : "")];
  }

  /** A button in the page's language in place of the browser's own; a file may also be dropped on it. */
  #fileField() {
    const { t, words } = this.#app;
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "file", accept: FILES, hidden: true, "data-act": "file-input",
      onchange: () => this.#read(input.files?.[0]) }));
    const box = h("div", { class: "file-box" }, input,
      button(this.#file ? t("换一个文件", "Another file") : t("选择文件…", "Choose a file …"), () => input.click(), { "data-act": "file" }),
      h("span", { class: this.#file ? "file-name" : "hint" }, this.#file ? `${this.#file.name} · ${words.figure(this.#file.bytes / 1024)} kB`
        : t("或拖到这里", "or drop it here")),
      h("p", { class: "hint" }, t("SHP（zip）、DXF、GeoJSON、KML、GPKG，或界址点 TXT、CSV",
        "SHP (zip), DXF, GeoJSON, KML, GPKG, or boundary points as TXT or CSV")));
    box.addEventListener("dragover", (event) => event.preventDefault());
    box.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#read(event.dataTransfer?.files[0]);
    });
    return box;
  }

  #ready() {
    return this.#way === "draw" ? this.#sketch.done : this.#file !== null;
  }

  #showOutcome() {
    const { t } = this.#app;
    const now = this.#now;
    if (!now) this.#outcome.replaceChildren();
    else if (now.phase === "done") {
      this.#drawing.bringOut(null);
      this.#outcome.replaceChildren(answerOf(this.#app, now.report, String(now.job), { pick: (rule) => this.#pick(rule) }));
    } else if (now.phase === "failed") {
      this.#outcome.replaceChildren(refusalOf(this.#app, now.problem, {
        show: (place) => this.#app.view.goTo(place, 15),
        name: (crs) => { this.#crs = crs; this.#run(); } }));
    } else if (!this.#outcome.querySelector(".plan-running")) {
      const bar = h("progress", { max: 100, "aria-label": t("进度", "Progress") });
      this.#outcome.replaceChildren(h("div", { class: "plan-running" }, bar,
        h("p", { class: "hint", role: "status" }, t("正在提交…", "Handing it in …")),
        button(t("取消", "Cancel"), () => this.#cancel(), { "data-act": "cancel" })));
    }
  }

  #choose(/** @type {string} */ way) {
    this.#way = way;
    if (this.draws()) this.#sketch.start();
    else this.#sketch.stop();
    this.#showForm();
    /** @type {HTMLElement | null} */ (this.#form.querySelector(`[data-value="${way}"]`))?.focus();
  }

  async #read(/** @type {File | undefined} */ file) {
    const { t } = this.#app;
    this.#crs = null;
    this.#file = null;
    if (file && file.size > LARGEST_MB << 20) {
      this.#app.problem({ detail: t(`文件大于 ${LARGEST_MB} MB。`, `The file is over ${LARGEST_MB} MB.`),
        todo: t("请只留下用地范围的图形。", "Keep the outline of the site alone.") });
    } else if (file) {
      const url = await new Promise((done, fail) => {
        const reader = new FileReader();
        reader.onload = () => done(String(reader.result));
        reader.onerror = () => fail(reader.error);
        reader.readAsDataURL(file);
      });
      this.#file = { name: file.name, value: /** @type {string} */ (url).split(",")[1] ?? "", bytes: file.size };
    }
    this.#showForm();
  }

  async #run() {
    const { state } = this.#app;
    this.#sketch.stop();
    this.#begin({ phase: "asking" });
    const signal = this.#control.signal;
    try {
      const id = await submit(this.#app, "compliance-check", {
        site: this.#way === "draw" ? this.#sketch.geometry() : { name: this.#file?.name, value: this.#file?.value },
        language: this.#app.lang, ...(this.#subject ? { subject: this.#subject } : {}),
        ...(state.get("date") ? { datetime: state.get("date") } : {}), ...(this.#crs ? { crs: this.#crs } : {}) }, signal);
      this.#now = { phase: "running", job: id };
      if (this.#way === "file") state.set("site", null, { step: false });
      state.set("job", id);
      await this.#wait(id, signal);
    } catch (error) {
      this.#fail(error, signal);
    }
  }

  /** A job the address names. */
  async #watch(/** @type {string} */ id) {
    this.#sketch.stop();
    this.#begin({ phase: "running", job: id });
    const signal = this.#control.signal;
    try {
      await this.#wait(id, signal);
    } catch (error) {
      this.#fail(error, signal);
    }
  }

  async #wait(/** @type {string} */ id, /** @type {AbortSignal} */ signal) {
    const { t } = this.#app;
    const last = await ended(this.#app, id, (status) => this.#tell(status), signal);
    if (last.status === "dismissed") throw { detail: t("体检已取消。", "The check was called off.") };
    const report = await result(this.#app, id, "report", signal);
    const hits = await result(this.#app, id, "overlaps", signal);
    this.#now = { phase: "done", job: id, report, hits };
    this.#draw();
    this.render();
    const box = boxOf(report.site.geometry);
    if (box) this.#app.view.fit(box);
    this.#app.announce(t(`体检结论：${verdictText(this.#app, report.verdict)}`, `The verdict: ${verdictText(this.#app, report.verdict)}`));
    const word = /** @type {HTMLElement | null} */ (this.#outcome.querySelector(".verdict-word"));
    if (this.#isOpen && (document.activeElement === document.body || this.body.contains(document.activeElement))) word?.focus();
  }

  #tell(/** @type {any} */ status) {
    const bar = this.#outcome.querySelector("progress");
    const words = this.#outcome.querySelector("[role=status]");
    if (bar) bar.value = status.progress;
    if (words) {
      words.textContent = status.message || (status.status === "accepted" ? this.#app.t("排队等候…", "Waiting its turn …")
        : this.#app.t("正在体检…", "Checking …"));
    }
  }

  #fail(/** @type {any} */ error, /** @type {AbortSignal} */ signal) {
    if (signal.aborted || error?.name === "AbortError") return;
    const details = error?.details ?? { detail: error?.detail ?? error?.message ?? String(error) };
    this.#now = { phase: "failed", job: this.#now?.job, problem: details };
    this.#draw();
    const { place } = details;
    if (place && !this.#app.map.getBounds().contains(place)) this.#app.map.jumpTo({ center: place });
    this.render();
  }

  /** Draws what the state of the check is. */
  #draw() {
    if (!this.#isOpen) return;
    const overlay = overlayOf(this.#app);
    const place = this.#now?.problem?.place;
    overlay.set("planning:place", place ? { type: "point", places: [place], label: this.#app.t("此处有误", "Wrong here") } : null);
    if (this.#now?.phase !== "done") return;
    this.#drawing.show(this.#now.report.site.geometry, this.#now.hits);
    // The site is drawn as it was read.
    overlay.set("planning", null);
  }

  async #cancel() {
    const id = this.#now?.job;
    this.#edit();
    try {
      if (id) await dismiss(this.#app, id);
      this.#app.announce(this.#app.t("已取消", "Called off"));
    } catch (error) {
      this.#app.problem(error);
    }
  }

  /** Back to the form with the site as it is. */
  #edit() {
    this.#again();
    this.#app.state.set("job", null);
    this.#sketch.load("area", this.#sketch.places);
    if (this.draws()) this.#sketch.start();
    this.render();
    /** @type {HTMLElement | null} */ (this.#form.querySelector("[data-act=run]:enabled, [data-value]"))?.focus();
  }

  #anew() {
    this.#file = null;
    this.#crs = null;
    this.#edit();
    this.#sketch.clear();
    this.#app.state.set("site", null);
    this.#showForm();
  }

  #begin(/** @type {Now} */ now) {
    this.#again();
    this.#now = now;
    this.render();
    /** @type {HTMLElement | null} */ (this.#outcome.querySelector("[data-act=cancel]"))?.focus();
  }

  /** Ends what is under way and takes its drawing away. */
  #again() {
    this.#control.abort();
    this.#control = new AbortController();
    this.#now = null;
    this.#drawing.bringOut(null);
    this.#drawing.show(null);
    this.#turnOn(null);
    overlayOf(this.#app).set("planning:place", null);
    this.#outcome.replaceChildren();
  }

  /** Shows the layer of a rule and takes the one before away, unless it was on already. */
  #turnOn(/** @type {string | null} */ id) {
    const { view } = this.#app;
    if (this.#shown && this.#shown !== id) view.show(this.#shown, false);
    if (id !== this.#shown) this.#shown = id && !view.visible().includes(id) ? id : null;
    if (id) view.show(id, true);
  }

  #pick(/** @type {any} */ rule) {
    const { app, report, hits } = { app: this.#app, ...this.#now };
    this.#turnOn(rule && app.layers.has(rule.layer) ? rule.layer : null);
    this.#drawing.bringOut(rule && hits.features.some((/** @type {any} */ f) => f.properties.rule === rule.number) ? rule.number : null);
    const box = boxOf(report.site.geometry);
    if (rule && box) app.view.fit(box);
    if (rule) app.announce(app.words.text(app.layers.get(rule.layer)?.title));
  }
}
