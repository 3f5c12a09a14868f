// SPDX-License-Identifier: Apache-2.0
// The panel of sums by areas: what is summed, and its legend, totals and table; the map shows the same areas.

import { boxOf } from "../cards.js";
import { h, quiet } from "../dom.js";
import { labelled, select } from "../tools/kit.js";
import { csvLink, headingOf, legendOf, nameOf, tableOf, told, totalsOf, zoneWords } from "./answer.js";
import {
  areasOf, columnOf, dateOf, divisorOf, isAdditive, kindsOf, layersOf, numbersOf, questionOf, readChoice, writeChoice, zoningOf,
} from "./choices.js";
import { classify } from "./classes.js";
import { Drawing, drawnFrom } from "./drawing.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./choices.js").Choice} Choice
 * @typedef {import("./answer.js").Zone} Zone
 */

export const KEYS = { choice: "sum", zone: "sum.zone" };
const SHORTLY = 150;

export class Panel {
  #app;
  #isOpen = false;
  #drawing;
  #body = h("div", { class: "summary", "data-tool": "summary" });
  #form = h("div", { class: "tool-form" });
  #place = h("div", { class: "summary-answer" });
  /** @type {Choice | null} */
  #choice = null;
  /** @type {any} */
  #answer = null;
  /** @type {Zone[]} */
  #zones = [];
  #asked = "";
  #asking = new AbortController();
  /** @type {import("./answer.js").Order} */
  #order = { by: "value", down: true };
  /** @type {any} */
  #popup = null;
  /** @type {any} */
  #tip = null;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#drawing = new Drawing(app);
    this.#body.append(this.#form, this.#place);
    const again = quiet(() => { if (this.#isOpen) this.#load(); }, SHORTLY);
    app.on("layers", again);
    app.on("time", again);
    app.on("refresh", (change) => {
      const { layer, by } = this.#choice ?? {};
      if (change.collection === layer?.id || change.collection === zoningOf(app, by ?? "")?.id) {
        this.#asked = "";
        again();
      }
    });
    app.on("lang", () => { if (this.#isOpen) this.#card(); });
    app.on("theme", () => { if (this.#isOpen) this.#show(); });
    app.state.subscribe(KEYS.zone, () => { if (this.#isOpen) this.#mark(); });
    app.strip.keep((/** @type {any} */ event) => this.#isOpen && this.#drawing.hit(event.point) !== null);
    app.map.on("click", (/** @type {any} */ event) => this.#click(event));
    app.map.on("mousemove", (/** @type {any} */ event) => this.#hover(event));
    app.map.on("mouseout", () => this.#endTip());
    app.map.on("zoomend", () => this.#far());
  }

  /** Shows what the address says. */
  open() {
    const { state } = this.#app;
    const choice = readChoice(this.#app, state.get(KEYS.choice));
    if (!choice) {
      state.set(KEYS.choice, null, { step: false });
      return;
    }
    state.set(KEYS.choice, writeChoice(choice), { step: false });
    const first = !this.#isOpen;
    this.#isOpen = true;
    this.#choice = choice;
    if (first) this.#card();
    else this.#draw();
    this.#load();
  }

  close() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#asking.abort();
    this.#asked = "";
    this.#answer = null;
    this.#drawing.show(null);
    this.#endTip();
    this.#popup?.remove();
    const { state } = this.#app;
    for (const key of [KEYS.zone, KEYS.choice]) state.set(key, null, { step: key === KEYS.choice });
    this.#app.inspector.close("summary");
  }

  #card() {
    this.#app.inspector.show({ id: "summary", title: this.#app.t("分区统计", "Sums by areas"), body: this.#body, onclose: () => this.close() });
    this.#draw();
    this.#show();
  }

  /** The form. */
  #draw() {
    const { t, words } = this.#app;
    const c = /** @type {Choice} */ (this.#choice);
    const had = this.#form.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.act : "";
    const change = (/** @type {Partial<Choice>} */ changed) => {
      const next = readChoice(this.#app, writeChoice({ ...c, ...changed }));
      if (!next) return;
      if (changed.layer || changed.by) this.#app.state.set(KEYS.zone, null, { step: false });
      this.#app.state.set(KEYS.choice, writeChoice(next));
    };
    const setLayer = (/** @type {string} */ id) => change({ layer: this.#app.layers.get(id) ?? c.layer });
    const setKind = (/** @type {string} */ kind) => change({ kind, field: c.field || numbers[0]?.value || "" });
    const numbers = numbersOf(c.layer).map((f) => ({ value: f.name, text: words.text(f.title) }));
    this.#form.replaceChildren(
      labelled(t("图层", "Layer"), grouped(layersOf(this.#app), c.layer.id, "layer", setLayer)),
      h("div", { class: "summary-choices" },
        labelled(t("分区", "Areas"), grouped(areasOf(this.#app), c.by, "by", (by) => change({ by }))),
        labelled(t("统计", "Measure"), select(kindsOf(this.#app, c.layer), c.kind, setKind, { "data-act": "kind" }))),
      c.field ? labelled(t("字段", "Field"), select(numbers, c.field, (field) => change({ field }), { "data-act": "field" })) : "");
    if (had) /** @type {HTMLElement | null} */ (this.#form.querySelector(`[data-act=${had}]`))?.focus();
  }

  async #load() {
    const app = this.#app;
    const choice = /** @type {Choice} */ (this.#choice);
    const query = String(questionOf(app, choice));
    const address = `/collections/${encodeURIComponent(choice.layer.id)}/aggregate?${query}`;
    if (address === this.#asked) return;
    this.#asked = address;
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.#place.setAttribute("aria-busy", "true");
    if (!this.#answer) this.#place.replaceChildren(h("p", { class: "hint", role: "status" }, app.t("正在统计…", "Adding up …")));
    try {
      const answer = await app.fetchJSON(app.url(`${address}&f=json`), { signal });
      if (signal.aborted) return;
      const [column, divisor] = [columnOf(choice), divisorOf(choice)];
      this.#answer = { ...answer, choice, query };
      this.#zones = answer.zones.map((/** @type {any} */ z) =>
        ({ ...z, value: typeof z[column] === "number" ? z[column] / divisor : null }));
    } catch (error) {
      if (/** @type {any} */ (error)?.name === "AbortError") return;
      this.#asked = "";
      this.#answer = null;
      this.#drawing.show(null);
      const { message, details } = /** @type {any} */ (error);
      this.#place.replaceChildren(h("div", { class: "refusal", role: "alert" },
        h("div", {}, h("p", {}, message), h("p", { class: "hint" }, details?.todo ?? ""))));
      this.#place.removeAttribute("aria-busy");
      return;
    }
    this.#place.removeAttribute("aria-busy");
    this.#popup?.remove();
    this.#show();
    app.announce(app.t(`已统计 ${this.#answer.numberReturned} 个分区`, `${this.#answer.numberReturned} areas added up`));
  }

  /** The answer, on the map and beside it. */
  #show() {
    const { t, words } = this.#app;
    if (!this.#answer) return;
    const { choice, query } = this.#answer;
    const inside = this.#zones.filter((z) => z.zone !== null);
    const classes = classify(inside.map((z) => z.value), isAdditive(choice));
    const path = `/collections/${encodeURIComponent(choice.layer.id)}/aggregate`;
    this.#drawing.show(inside.length ? { tiles: `${path}/tiles/WebMercatorQuad/{z}/{y}/{x}?${query}`, classes,
      layer: choice.layer.id, column: columnOf(choice), divisor: divisorOf(choice), zones: inside.length,
      byId: zoningOf(this.#app, choice.by) !== null } : null);
    const filtered = this.#app.view.filters().has(choice.layer.id);
    const date = dateOf(this.#app, choice);
    const synthetic = this.#answer.synthetic || this.#answer.by.synthetic;
    const nothing = t("没有落在分区内的要素。可换一种分区，或清除筛选。", "Nothing lies in these areas. Choose others, or clear the filter.");
    this.#place.replaceChildren(
      h("div", { class: "summary-notes" },
        synthetic && h("p", { class: "badge wide" }, t("示例数据，并非真实情况", "Sample data, not the real city")),
        filtered && h("p", { class: "hint" }, t("按该图层当前的筛选条件统计。", "Only features that the layer's filter leaves.")),
        date && h("p", { class: "hint" }, t("所示日期：", "As of "), words.date(date)),
        h("p", { class: "hint", "data-far": drawnFrom(inside.length), hidden: true },
          t("分区很多，放大后在地图上显示。", "So many areas are drawn closer up: zoom in."))),
      inside.length ? legendOf(this.#app, choice, classes) : h("p", { class: "tool-hint" }, nothing),
      totalsOf(this.#app, choice, this.#answer),
      h("div", { class: "tool-buttons" }, csvLink(this.#app, this.#app.url(`${path}?${query}&f=csv&lang=${this.#app.lang}`))),
      inside.length ? this.#table() : "");
    this.#mark(false);
    this.#far();
  }

  #table() {
    const inside = this.#zones.filter((z) => z.zone !== null);
    const outside = this.#zones.find((z) => z.zone === null)?.value;
    return tableOf(this.#app, this.#answer.choice, inside, outside, { order: this.#order, zone: this.#chosen(),
      turn: (by) => this.#turn(by), pick: (zone) => this.#pick(zone) });
  }

  /** @param {"value" | "name"} by */
  #turn(by) {
    this.#order = { by, down: this.#order.by === by ? !this.#order.down : by === "value" };
    this.#place.querySelector(".summary-table")?.replaceWith(this.#table());
    /** @type {HTMLElement | null} */ (this.#place.querySelector(`[data-sort=${by}]`))?.focus();
  }

  /** The area that the address names, as the answer has it. */
  #chosen() {
    const text = this.#app.state.get(KEYS.zone);
    return text === null ? null : this.#zones.find((z) => String(z.zone) === text)?.zone ?? null;
  }

  /** Brings the chosen area out, on the map and in the table. */
  #mark(scroll = true) {
    const zone = this.#chosen();
    this.#drawing.bringOut(zone);
    for (const row of this.#place.querySelectorAll("tbody tr")) {
      const on = zone !== null && /** @type {HTMLElement} */ (row).dataset.zone === String(zone);
      row.classList.toggle("selected", on);
      row.querySelector("button")?.setAttribute("aria-pressed", String(on));
      if (on && scroll) row.scrollIntoView({ block: "nearest" });
    }
    if (zone === null) this.#popup?.remove();
  }

  /** Goes to an area of the table. @param {Zone} zone */
  async #pick(zone) {
    const app = this.#app;
    app.state.set(KEYS.zone, String(zone.zone), { step: false });
    this.#popup?.remove();
    app.announce(`${nameOf(zone)} ${headingOf(app, this.#answer.choice)} ${told(zone.value)}`);
    const { choice } = this.#answer;
    const zoning = zoningOf(app, choice.by);
    const date = dateOf(app, choice);
    const address = zoning ? `${zoning.items}/${zone.zone}${date && zoning.hasTime ? `?datetime=${encodeURIComponent(date)}` : ""}`
      : `/dggs/${choice.by.split(":")[0]}/zones/${encodeURIComponent(String(zone.zone))}?f=geojson`;
    try {
      const found = await app.fetchJSON(app.url(address));
      const box = boxOf((found.features?.[0] ?? found).geometry);
      if (box) app.view.fit(box);
    } catch (error) {
      app.problem(error, app.t("未能定位该分区", "This area could not be shown"));
    }
  }

  /** @param {any} event */
  #zoneAt(event) {
    const hit = this.#isOpen && this.#answer ? this.#drawing.hit(event.point) : null;
    return hit ? this.#zones.find((z) => z.zone === hit.zone) ?? null : null;
  }

  /** @param {any} event */
  #click(event) {
    if (!this.#isOpen || this.#app.strip.takesClicks()) return;
    const zone = this.#zoneAt(event);
    if (!zone) return;
    const { t, map, maplibre, state } = this.#app;
    this.#endTip();
    this.#popup?.remove();
    this.#popup = new maplibre.Popup({ maxWidth: "280px", focusAfterOpen: false, closeOnClick: false,
      className: "sector-popup summary-popup" }).setLngLat(event.lngLat).setDOMContent(zoneWords(this.#app, this.#answer.choice, zone)).addTo(map);
    this.#popup.getElement().querySelector(".maplibregl-popup-close-button")?.setAttribute("aria-label", t("关闭", "Close"));
    state.set(KEYS.zone, String(zone.zone), { step: false });
    if (!this.#place.querySelector("tr.selected")) {
      this.#place.querySelector(".summary-table")?.replaceWith(this.#table());
      this.#mark();
    }
  }

  /** @param {any} event */
  #hover(event) {
    if (!this.#isOpen || this.#app.strip.takesClicks() || event.originalEvent?.buttons) return this.#endTip();
    const zone = this.#zoneAt(event);
    if (!zone) return this.#endTip();
    const { map, maplibre } = this.#app;
    map.getCanvas().style.cursor = "pointer";
    this.#tip ??= new maplibre.Popup({ closeButton: false, closeOnClick: false, focusAfterOpen: false, offset: 12,
      className: "sector-popup summary-tip" });
    this.#tip.setLngLat(event.lngLat).setDOMContent(h("span", {}, nameOf(zone), " ", h("strong", {}, told(zone.value))));
    if (!this.#tip.isOpen()) this.#tip.addTo(map);
  }

  #endTip() {
    this.#tip?.remove();
  }

  /** Says when so many areas are only drawn closer up. */
  #far() {
    const note = /** @type {HTMLElement | null} */ (this.#place.querySelector("[data-far]"));
    if (note) note.hidden = this.#app.map.getZoom() >= Number(note.dataset.far);
  }
}

/**
 * A list to choose from, in groups.
 * @param {ReturnType<typeof areasOf>} groups @param {string} value @param {string} act @param {(v: string) => void} chosen
 */
function grouped(groups, value, act, chosen) {
  const option = (/** @type {import("./choices.js").Option} */ o) =>
    h("option", { value: o.value, selected: o.value === value }, o.text);
  const box = /** @type {HTMLSelectElement} */ (h("select", { "data-act": act, onchange: () => chosen(box.value) },
    ...groups.map((g) => h("optgroup", { label: g.label }, ...g.options.map(option)))));
  return box;
}
