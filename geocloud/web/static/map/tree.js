// SPDX-License-Identifier: Apache-2.0
// Layers by theme: on and off, order, opacity, legend, filter, count in view.

import { h, icon, ICONS, quiet } from "./dom.js";
import { filterForm } from "./filter.js";
import { legend, swatch } from "./legend.js";
import { counter } from "./counts.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 */

/** @param {App} app */
export function installTree(app) {
  const box = /** @type {HTMLElement} */ (document.getElementById("tree"));
  /** @type {Map<string, Row>} */
  const rows = new Map();
  const count = counter(app);
  const closed = new Set((app.state.get("closed") ?? "").split(",").filter(Boolean));
  let words = "";

  function draw() {
    rows.clear();
    const { t } = app;
    const input = h("input", { type: "search", id: "tree-search", value: words, autocomplete: "off", spellcheck: "false",
      placeholder: t("筛选图层", "Filter layers"), "aria-label": t("筛选图层", "Filter layers"),
      oninput: (/** @type {any} */ e) => { words = e.target.value; find(); } });
    const head = h("div", { class: "panel-head" }, h("h2", {}, t("图层", "Layers")),
      h("button", { type: "button", class: "plain small", id: "fold", "aria-expanded": "true",
        "aria-label": t("收起图层面板", "Fold the layer panel"), title: t("收起", "Fold"), onclick: fold },
      icon(ICONS.left)));
    const themes = app.catalogue.themes.map((theme) => {
      const list = h("ul", { class: "rows" });
      for (const id of theme.layers) {
        const row = new Row(app, /** @type {Layer} */ (app.layers.get(id)));
        rows.set(id, row);
        list.append(row.element);
      }
      const details = h("details", { class: "theme", "data-theme-id": theme.id, open: !closed.has(theme.id),
        ontoggle: (/** @type {any} */ e) => remember(theme.id, e.target.open) },
      h("summary", {}, icon(ICONS.right), h("span", { class: "name" }, app.words.text(theme.title)),
        h("span", { class: "hint figures" })), list);
      return details;
    });
    box.replaceChildren(head, h("div", { class: "finder" }, input),
      h("div", { class: "panel-body" }, ...themes,
        h("p", { class: "empty", hidden: true, id: "tree-none" })));
    show();
    find();
    // The tree is of use without its pictures; what is wrong with the style is said where the map is drawn.
    legend(app).then((from) => rows.forEach((row) => row.dress(from)), () => {});
  }

  function show() {
    const visible = app.visible();
    for (const row of rows.values()) row.show(visible);
    for (const theme of app.catalogue.themes) {
      const on = theme.layers.filter((id) => visible.includes(id)).length;
      const figures = box.querySelector(`[data-theme-id="${CSS.escape(theme.id)}"] .figures`);
      if (figures) {
        figures.textContent = `${on} / ${theme.layers.length}`;
        figures.setAttribute("aria-label", app.t(`已显示 ${on} 个，共 ${theme.layers.length} 个`,
          `${on} of ${theme.layers.length} shown`));
      }
    }
    recount();
  }

  const recount = quiet(() => {
    for (const row of rows.values()) row.mark();
    for (const id of app.visible()) count(id, (text, spoken) => rows.get(id)?.count(text, spoken));
  }, 300);

  function find() {
    const asked = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const theme of app.catalogue.themes) {
      let inside = 0;
      for (const id of theme.layers) {
        const layer = /** @type {Layer} */ (app.layers.get(id));
        const text = [id, layer.title.zh, layer.title.en, theme.title.zh, theme.title.en, ...layer.keywords].join(" ");
        const hit = asked.every((word) => text.toLowerCase().includes(word));
        const row = rows.get(id);
        if (row) row.element.hidden = !hit;
        inside += hit ? 1 : 0;
      }
      const details = /** @type {HTMLDetailsElement | null} */ (
        box.querySelector(`[data-theme-id="${CSS.escape(theme.id)}"]`));
      if (details) {
        details.hidden = inside === 0;
        details.open = asked.length > 0 || !closed.has(theme.id);
      }
      found += inside;
    }
    const none = /** @type {HTMLElement} */ (box.querySelector("#tree-none"));
    none.hidden = found > 0;
    none.textContent = app.t(`没有与“${words.trim()}”相符的图层。可换用其他名称，或清空筛选框。`,
      `No layer matches “${words.trim()}”. Try another name, or empty the box.`);
  }

  function remember(/** @type {string} */ id, /** @type {boolean} */ open) {
    if (words.trim()) return;
    if (open) closed.delete(id);
    else closed.add(id);
    app.state.set("closed", [...closed].join(","), { step: false });
  }

  function fold() {
    app.state.set("tree", app.state.get("tree") === "0" ? null : "0", { step: false });
  }
  const folded = () => {
    document.documentElement.dataset.tree = app.state.get("tree") === "0" ? "folded" : "open";
    app.map.resize();
  };
  app.state.subscribe("tree", folded);
  const opener = h("button", { type: "button", id: "unfold", "data-zh": "图层", "data-en": "Layers",
    onclick: fold }, "");
  document.querySelector(".stage")?.append(opener);
  folded();

  app.on("lang", draw);
  app.on("theme", draw);
  app.on("readings", draw);
  app.on("layers", show);
  app.on("refresh", recount);
  app.map.on("moveend", recount);
  draw();
}

/** @param {string} label Whether it needs a whole line of the legend; a Chinese character is twice as wide as a letter. */
function wide(label) {
  return label.replace(/[^\x00-\xff]/g, "xx").length > 14;
}

/** One layer in the tree; its details are made when they are first opened. */
class Row {
  #app;
  #layer;
  #count;
  #box;
  #details;
  #filled = false;
  #marks;
  #swatch;

  /**
   * @param {App} app
   * @param {Layer} layer
   */
  constructor(app, layer) {
    this.#app = app;
    this.#layer = layer;
    const { t, words } = app;
    const title = words.text(layer.title);
    this.#box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", "data-layer": layer.id,
      onchange: (/** @type {any} */ e) => app.view.show(layer.id, e.target.checked) }));
    this.#count = h("span", { class: "count hint" });
    this.#marks = h("span", { class: "marks" });
    this.#swatch = swatch(layer);
    this.#details = h("div", { class: "more", hidden: true });
    const opener = h("button", { type: "button", class: "plain small", "aria-expanded": "false",
      "aria-label": t(`“${title}”的图例与设置`, `Legend and settings of “${title}”`), onclick: () => this.#open(opener) },
    icon(ICONS.down));
    this.element = h("li", { class: "layer", "data-row": layer.id },
      h("div", { class: "entry" },
        h("label", { title: words.text(layer.description) }, this.#box, this.#swatch,
          h("span", { class: "name" }, title),
          layer.synthetic && h("span", { class: "badge quiet" }, t("示例数据", "Sample"))),
        this.#marks, this.#count, opener),
      this.#details);
  }

  /** @param {string[]} visible */
  show(visible) {
    const on = visible.includes(this.#layer.id);
    this.#box.checked = on;
    this.element.classList.toggle("on", on);
    if (!on) this.#count.textContent = "";
    this.mark();
  }

  /** Says when a layer that is on is filtered, or only drawn closer up. */
  mark() {
    const { t, view, map } = this.#app;
    const filtered = view.filters().has(this.#layer.id);
    const far = this.#box.checked && map.getZoom() < this.#layer.tiles.minZoom;
    this.#marks.replaceChildren(...(filtered ? [icon(ICONS.filter)] : []), far ? t("放大可见", "Zoom in") : "");
    this.#marks.title = filtered ? t("已设置筛选条件", "Filtered") : "";
  }

  /**
   * @param {string} text
   * @param {string} spoken
   */
  count(text, spoken) {
    const none = this.#layer.count === 0;
    this.#count.textContent = none ? this.#app.t("暂无数据", "No data") : text;
    this.#count.title = spoken;
  }

  /** @param {HTMLElement} opener */
  #open(opener) {
    const open = this.#details.hidden;
    this.#details.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (open && !this.#filled) {
      this.#filled = true;
      this.#fill();
    }
  }

  #fill() {
    const { t, words, view } = this.#app;
    const layer = this.#layer;
    const list = h("ul", { class: "legend" }, h("li", { class: "hint" }, t("正在载入图例…", "Loading the legend …")));
    const slider = h("input", { type: "range", min: 10, max: 100, step: 5,
      value: Math.round((view.opacities().get(layer.id) ?? 1) * 100), "aria-label": t("不透明度", "Opacity") });
    const shown = h("output", {}, `${/** @type {any} */ (slider).value}%`);
    slider.addEventListener("input", (/** @type {any} */ e) => {
      shown.textContent = `${e.target.value}%`;
      view.fade(layer.id, Number(e.target.value) / 100);
    });
    const button = (/** @type {string} */ path, /** @type {string} */ text, /** @type {() => void} */ act) =>
      h("button", { type: "button", class: "plain", onclick: act }, icon(path), text);
    const form = h("div", { hidden: true, class: "filter" });
    const toggleFilter = () => {
      form.hidden = !form.hidden;
      if (!form.hidden) form.replaceChildren(filterForm(this.#app, layer));
    };
    this.#details.append(
      list,
      h("div", { class: "opacity" }, h("span", { class: "hint" }, t("不透明度", "Opacity")), slider, shown),
      h("div", { class: "actions" },
        button(ICONS.filter, t("筛选", "Filter"), toggleFilter),
        button(ICONS.table, t("表格", "Table"), () => this.#openTable()),
        layer.count !== 0 && button(ICONS.sum, t("统计", "Sums"), () => this.#sum()),
        layer.extent && button(ICONS.target, t("缩放至", "Zoom to"), () => view.fit(/** @type {any} */ (layer.extent))),
        view.movable(layer.id) && button(ICONS.up, t("上移", "Raise"), () => this.#move(1)),
        view.movable(layer.id) && button(ICONS.down, t("下移", "Lower"), () => this.#move(-1))),
      ...(this.#app.readings?.has(layer.id) ? [this.#app.readings.control(layer.id)] : []),
      form,
      h("p", { class: "hint sources" }, t("来源：", "Source: "), ...this.#sources()),
      ...(layer.updated ? [h("p", { class: "hint" }, t("更新于 ", "Updated "), words.date(layer.updated))] : []),
    );
    this.#drawLegend(list);
    if (view.filters().has(layer.id)) toggleFilter();
  }

  /** @param {import("./legend.js").Legend} from */
  dress(from) {
    const entries = from.entries.get(this.#layer.id) ?? [];
    if (!entries.length) return;
    const plain = { symbol: entries[0].symbol, label: "" };
    const next = swatch(this.#layer, entries.filter((x) => x.codes).length > 1 && !entries[0].icon ? plain : entries[0], from);
    this.#swatch.replaceWith(next);
    this.#swatch = next;
  }

  /** @param {HTMLElement} list */
  async #drawLegend(list) {
    const layer = this.#layer;
    try {
      const from = await legend(this.#app);
      const found = from.entries.get(layer.id) ?? [];
      list.replaceChildren(...found.map((entry) => h("li", { class: wide(entry.label) ? "wide" : "",
        title: entry.label }, swatch(layer, entry, from, false), h("span", {}, entry.label))));
      list.hidden = found.length === 0;
    } catch {
      list.replaceChildren(h("li", { class: "hint" },
        this.#app.t("图例暂时无法载入。", "The legend cannot be loaded right now.")));
    }
  }

  #sources() {
    const { words, t } = this.#app;
    if (!this.#layer.sources.length) return [t("未登记", "not recorded")];
    return this.#layer.sources.flatMap((source, i) => [
      i ? "; " : "",
      source.url ? h("a", { href: source.url, target: "_blank", rel: "noopener noreferrer" }, words.text(source.title))
        : words.text(source.title),
      ` (${source.licence})`,
    ]);
  }

  #openTable() {
    if (!this.#app.visible().includes(this.#layer.id)) this.#app.view.show(this.#layer.id, true);
    this.#app.state.set("table", this.#layer.id);
  }

  /** Sums by areas: the same areas and measure go on with another layer. */
  #sum() {
    const [, by = "", measure = ""] = (this.#app.state.get("sum") ?? "").split("/");
    this.#app.state.set("sum", [this.#layer.id, by, measure].join("/"));
  }

  /** @param {1 | -1} by */
  #move(by) {
    const ids = this.#app.visible();
    const at = ids.indexOf(this.#layer.id);
    const { t, view } = this.#app;
    let to = at + by;
    while (ids[to] !== undefined && !view.movable(ids[to])) to += by;
    if (at < 0 || ids[to] === undefined) {
      this.#app.announce(at < 0 ? t("请先显示该图层", "Show the layer first")
        : t("已经到头", "It is already at the end"));
      return;
    }
    [ids[at], ids[to]] = [ids[to], ids[at]];
    this.#app.view.arrange(ids);
    const other = this.#app.layers.get(ids[at]);
    this.#app.announce(t(`已移到“${other?.title.zh}”${by > 0 ? "之上" : "之下"}`,
      `Moved ${by > 0 ? "above" : "below"} “${other?.title.en}”`));
  }
}
