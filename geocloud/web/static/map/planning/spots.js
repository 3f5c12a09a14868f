// SPDX-License-Identifier: Apache-2.0
// Difference spots: which of them are asked for, said as CQL2 for map, matrix and list alike, and what they come to.

import { boxOf } from "../cards.js";
import { h } from "../dom.js";
import { select } from "../tools/kit.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {{count: number, area: number, box: number[] | null}} Sum
 * @typedef {{pairs: Map<string, Sum>, total: Sum, cut: boolean}} Totals
 */

export const LAYER = "planning.difference_spot";
const PAGE = 10_000;
const MOST = 100_000;
/** States in which nothing is left to do. */
export const ENDED = ["settled", "accepted"];
const FIRST = "found";

/** The filter of spots, kept in the address as `spots=state/bureau/plan,plan/all`. */
export class Spots {
  state = "open";
  bureau = "";
  /** @type {[string, string] | null} Two plans. */
  cell = null;
  slivers = false;
  /** How often spots have changed since the page was opened. */
  changes = 0;
  #app;
  #written = "";
  #turnedOn = false;
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.#read();
    app.state.subscribe("spots", () => {
      if (app.state.get("spots") === this.#text()) return;
      this.#read();
      this.#tell();
    });
    app.on("refresh", (change) => {
      if (change.collection !== LAYER) return;
      this.changes += 1;
      this.#tell();
    });
  }

  /** Calls `fn` when other spots are asked for, or spots changed. @param {() => void} fn */
  on(fn) {
    this.#listeners.add(fn);
  }

  /** Shows the layer on the map with this filter. */
  show() {
    const { state, view, layers } = this.#app;
    if (!layers.has(LAYER)) return;
    if (!view.visible().includes(LAYER)) {
      this.#turnedOn = true;
      view.show(LAYER, true);
    }
    this.#written = this.cql();
    state.set(`f.${LAYER}`, this.#written, { step: false });
  }

  /** @param {Partial<Pick<Spots, "state" | "bureau" | "cell" | "slivers">>} changed */
  change(changed) {
    Object.assign(this, changed);
    this.#app.state.set("spots", this.#text());
    this.show();
    this.#tell();
  }

  /** Leaves the map as it was before. */
  forget() {
    const { state, view } = this.#app;
    if (state.get(`f.${LAYER}`) === this.#written) state.set(`f.${LAYER}`, null, { step: false });
    if (this.#turnedOn) view.show(LAYER, false);
    this.#turnedOn = false;
    state.set("spots", null, { step: false });
  }

  /**
   * The filter as CQL2 text.
   * @param {{cell?: boolean, state?: string}} [parts] Without the cell; of another state.
   */
  cql({ cell = true, state = this.state } = {}) {
    const ended = ENDED.map(text).join(",");
    return [
      !this.slivers && `("splx" IS NULL OR "splx" = 'none')`,
      state === "open" && `("zt" IS NULL OR "zt" NOT IN (${ended}))`,
      // One nobody has taken up yet has no state.
      state === FIRST && `("zt" IS NULL OR "zt" = ${text(FIRST)})`,
      !["open", "any", FIRST].includes(state) && `"zt" = ${text(state)}`,
      this.bureau && `"zrbm" = ${text(this.bureau)}`,
      cell && this.cell && `(("gh_a" = ${text(this.cell[0])} AND "gh_b" = ${text(this.cell[1])}) OR ` +
        `("gh_a" = ${text(this.cell[1])} AND "gh_b" = ${text(this.cell[0])}))`,
    ].filter(Boolean).join(" AND ");
  }

  /** Sums by pair of plans of all that the filter leaves but for the cell. @param {AbortSignal} signal @returns {Promise<Totals>} */
  async totals(signal) {
    /** @type {Totals} */
    const found = { pairs: new Map(), total: nothing(), cut: false };
    const query = this.query({ properties: "gh_a,gh_b,tqmj", limit: String(PAGE) }, this.cql({ cell: false }));
    let next = this.#app.url(`/collections/${LAYER}/items?${query}`);
    while (next && found.total.count < MOST) {
      const page = await this.#app.fetchJSON(next, { signal });
      for (const { properties: p, geometry } of page.features) {
        const box = boxOf(geometry);
        const key = pairKey(p.gh_a ?? "", p.gh_b ?? "");
        const pair = found.pairs.get(key) ?? nothing();
        found.pairs.set(key, pair);
        for (const sum of [pair, found.total]) add(sum, p.tqmj, box);
      }
      const link = page.links?.find((/** @type {any} */ x) => x.rel === "next")?.href;
      next = link && page.features.length ? new URL(link).pathname + new URL(link).search : "";
    }
    found.cut = Boolean(next);
    return found;
  }

  /**
   * How many spots are in each state, whichever state is asked for. @param {AbortSignal} signal
   * @returns {Promise<Map<string, number>>}
   */
  async byState(signal) {
    const codes = (this.#app.catalogue.codes.spot_state ?? []).map((c) => c.code);
    const counts = await Promise.all(codes.map(async (state) => {
      const query = this.query({ limit: "1", properties: "bsm" }, this.cql({ state }));
      const page = await this.#app.fetchJSON(this.#app.url(`/collections/${LAYER}/items?${query}`), { signal });
      return page.numberMatched ?? 0;
    }));
    return new Map(codes.map((code, i) => [code, counts[i]]));
  }

  /**
   * Parameters that ask for spots.
   * @param {Record<string, string>} more
   * @param {string} cql
   */
  query(more, cql) {
    const query = new URLSearchParams(more);
    if (cql) query.set("filter", cql);
    const date = this.#app.state.get("date");
    if (date && this.#app.layers.get(LAYER)?.hasTime) query.set("datetime", date);
    return query;
  }

  /** Whether the layer has any spot at all. @param {AbortSignal} signal */
  async any(signal) {
    const page = await this.#app.fetchJSON(this.#app.url(`/collections/${LAYER}/items?${this.query({ limit: "1", properties: "bsm" }, "")}`), { signal });
    return page.features.length > 0;
  }

  /** Fields to choose by: bureau, state, slivers. */
  controls() {
    const { t, words, catalogue } = this.#app;
    const named = (/** @type {string} */ list) => (catalogue.codes[list] ?? []).map((c) => ({ value: c.code, text: words.text(c.title) }));
    const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", checked: this.slivers, "data-act": "slivers",
      onchange: () => this.change({ slivers: box.checked }) }));
    return h("div", { class: "spot-filter" },
      select([{ value: "open", text: t("未办结", "Open") }, { value: "any", text: t("全部状态", "Any state") }, ...named("spot_state")], this.state,
        (state) => this.change({ state }), { "aria-label": t("状态", "State"), "data-act": "state" }),
      select([{ value: "", text: t("全部部门", "All bureaus") }, ...named("planning_bureau")], this.bureau,
        (bureau) => this.change({ bureau }), { "aria-label": t("责任部门", "Bureau"), "data-act": "bureau" }),
      h("label", { class: "spot-slivers" }, box, t("含碎片", "Slivers too")));
  }

  #tell() {
    for (const fn of this.#listeners) fn();
  }

  #text() {
    const parts = [this.state === "open" ? "-" : this.state, this.bureau || "-", this.cell ? this.cell.join(",") : "-", this.slivers ? "all" : "-"];
    return parts.every((part) => part === "-") ? null : parts.join("/");
  }

  #read() {
    const [state, bureau, cell, slivers] = (this.#app.state.get("spots") ?? "").split("/");
    const plain = (/** @type {string | undefined} */ x) => (x && /^[\w.]+$/.test(x) ? x : "");
    const plans = (cell ?? "").split(",").map(plain);
    this.state = plain(state) || "open";
    this.bureau = plain(bureau);
    this.cell = plans.length === 2 && plans[0] && plans[1] ? [plans[0], plans[1]] : null;
    this.slivers = slivers === "all";
  }
}

/** A key of two plans, whichever comes first. @param {string} a @param {string} b */
export const pairKey = (a, b) => [a, b].sort().join("*");

/** The title of a layer without the mark of synthetic data, which stands once. @param {App} app @param {string} id */
export function planTitle(app, id) {
  const title = app.layers.get(id)?.title;
  return title ? app.words.text(title).replace(/\s*[(（](示例数据|示例|synthetic|sample)[)）]\s*$/i, "") : id || "–";
}

/**
 * What is made of sample data is a sample too, and says so.
 * @param {App} app @param {Iterable<string>} plans
 */
export function sampleMark(app, plans) {
  const sample = [LAYER, ...plans].some((id) => app.layers.get(id)?.synthetic);
  return sample ? [h("p", { class: "badge wide" }, app.t("示例数据，并非真实情况", "Sample data, not the real city"))] : [];
}

/** What is said when the layer has no spots. @param {App} app @param {HTMLElement} command */
export function emptyText(app, command) {
  return h("div", { class: "tool-hint" }, h("p", {}, app.t("还没有差异图斑。由管理员在服务器上运行一次比对即可生成：",
    "There are no difference spots yet. The operator makes them by a comparison on the server:")), command);
}

/** @returns {Sum} */
const nothing = () => ({ count: 0, area: 0, box: null });

/** @param {Sum} sum @param {number | null} area @param {number[] | null} box */
function add(sum, area, box) {
  sum.count += 1;
  sum.area += area ?? 0;
  if (!box) return;
  const b = sum.box;
  sum.box = b ? [Math.min(b[0], box[0]), Math.min(b[1], box[1]), Math.max(b[2], box[2]), Math.max(b[3], box[3])] : box;
}

/** @param {string} value As CQL2 writes a text. */
const text = (value) => `'${value.replaceAll("'", "''")}'`;
