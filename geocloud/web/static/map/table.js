// SPDX-License-Identifier: Apache-2.0
// The drawer: a layer's features in view as a table, sorted, paged and downloaded.

import { h, icon, ICONS, quiet } from "./dom.js";
import { boxOf, valueText } from "./cards.js";
import { questionInView } from "./counts.js";
import { download } from "./download.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 */

const PAGE = 50;

/** @param {App} app */
export function installDrawer(app) {
  const box = /** @type {HTMLElement} */ (document.getElementById("table"));
  let sort = "";
  /** @type {any} */
  let page = null;
  let asking = new AbortController();

  const layerOf = () => app.layers.get(app.state.get("table") ?? "") ?? null;

  async function load(/** @type {string} */ address = "") {
    const layer = layerOf();
    if (box.hidden !== (layer === null)) {
      box.hidden = layer === null;
      app.emit("panel", layer ? "table" : null);
    }
    if (!layer) return;
    asking.abort();
    asking = new AbortController();
    const query = questionInView(app, layer.id, { limit: String(PAGE), ...(sort && { sortby: sort }) });
    box.setAttribute("aria-busy", "true");
    try {
      page = await app.fetchJSON(address || app.url(`${layer.items}?${query}`), { signal: asking.signal });
      draw(layer, null);
    } catch (error) {
      if (/** @type {any} */ (error)?.name === "AbortError") return;
      page = null;
      draw(layer, error);
    }
    box.removeAttribute("aria-busy");
  }

  function draw(/** @type {Layer} */ layer, /** @type {any} */ error) {
    const { t, words } = app;
    const ids = [...new Set([...app.visible().slice().reverse(), layer.id])];
    const matched = page?.numberMatched;
    const shown = page?.features.length ?? 0;
    const status = error ? "" : matched === undefined
      ? t(`视野内要素很多，显示 ${shown} 个`, `Very many in view, ${shown} shown`)
      : t(`视野内 ${words.count(matched)} 个`, `${words.count(matched)} in view`);
    const head = h("div", { class: "panel-head" },
      h("label", {}, h("span", { class: "off-screen" }, t("图层", "Layer")),
        h("select", { id: "table-layer", onchange: (/** @type {any} */ e) => app.state.set("table", e.target.value) },
          ...ids.map((id) => h("option", { value: id, selected: id === layer.id },
            words.text(app.layers.get(id)?.title))))),
      layer.synthetic && h("span", { class: "badge" }, t("示例数据", "Sample")),
      h("span", { class: "hint", role: "status" }, status),
      h("span", { class: "grow" }),
      turn("prev", ICONS.up, t("上一页", "Previous page")), turn("next", ICONS.down, t("下一页", "Next page")),
      downloads(layer, matched),
      h("button", { type: "button", class: "plain small", "aria-label": t("关闭表格", "Close the table"),
        onclick: () => app.state.set("table", null) }, icon(ICONS.close)));
    box.replaceChildren(head, error ? h("p", { class: "wrong empty" }, error.message)
      : shown ? grid(layer) : h("p", { class: "empty" }, app.view.filters().has(layer.id)
        ? t("视野内没有符合筛选条件的要素。可缩小地图或清除筛选。",
          "No feature in view matches the filter. Zoom out or clear the filter.")
        : t("视野内没有要素。可移动或缩小地图。", "No feature in view. Move the map or zoom out.")));
  }

  function turn(/** @type {string} */ rel, /** @type {string} */ path, /** @type {string} */ label) {
    const link = page?.links?.find((/** @type {any} */ x) => x.rel === rel);
    return h("button", { type: "button", class: "plain small", disabled: !link, "aria-label": label, title: label,
      onclick: () => load(new URL(link.href).pathname + new URL(link.href).search) }, icon(path));
  }

  function downloads(/** @type {Layer} */ layer, /** @type {number | undefined} */ matched) {
    const { t } = app;
    const status = h("span", { class: "hint", role: "status" });
    const get = (/** @type {"csv" | "json"} */ format) => {
      const query = questionInView(app, layer.id, sort ? { sortby: sort } : {});
      download(app, layer, query, format, matched, (text) => { status.textContent = text; })
        .catch((error) => app.problem(error, t("下载未完成", "The download did not finish")));
    };
    return h("span", { class: "downloads" }, status,
      h("button", { type: "button", class: "plain", "data-download": "csv", onclick: () => get("csv"),
        "aria-label": t("下载 CSV", "Download CSV") }, icon(ICONS.download), "CSV"),
      h("button", { type: "button", class: "plain", "data-download": "json", onclick: () => get("json"),
        "aria-label": t("下载 GeoJSON", "Download GeoJSON") }, icon(ICONS.download), "GeoJSON"));
  }

  function grid(/** @type {Layer} */ layer) {
    const { t, words } = app;
    const used = layer.fields.filter((f) => page.features.some((/** @type {any} */ x) => x.properties[f.name] !== null));
    const first = used.filter((f) => f.name === layer.label);
    const fields = [...first, ...used.filter((f) => f.name !== layer.label)];
    const titles = fields.map((f) => {
      const direction = sort === f.name ? "ascending" : sort === `-${f.name}` ? "descending" : "none";
      const name = words.text(f.title);
      return h("th", { scope: "col", "aria-sort": direction, class: f.type === "number" || f.type === "integer" ? "num" : "" },
        f.queryable ? h("button", { type: "button", class: "plain", "data-sort": f.name,
          title: t(`按${name}排序`, `Sort by ${name}`), onclick: () => {
            sort = sort === f.name ? `-${f.name}` : sort === `-${f.name}` ? "" : f.name;
            load();
          } }, name, direction === "ascending" ? " ▲" : direction === "descending" ? " ▼" : "") : name);
    });
    const selected = new Set((app.state.get("sel") ?? "").split(","));
    const rows = page.features.map((/** @type {any} */ feature) => {
      const key = `${layer.id}/${feature.id}`;
      const pick = () => {
        app.state.set("sel", key);
        const box = boxOf(feature.geometry);
        if (box) app.view.fit(box);
      };
      return h("tr", { "data-fid": feature.id, class: selected.has(key) ? "selected" : "", onclick: pick },
        ...fields.map((f, i) => {
          const text = valueText(app, f, feature.properties[f.name]);
          if (i > 0) return h("td", { class: f.type === "number" || f.type === "integer" ? "num" : "", title: text }, text);
          return h("th", { scope: "row" }, h("button", { type: "button", class: "plain link",
            onclick: (/** @type {Event} */ e) => { e.stopPropagation(); pick(); } }, text || String(feature.id)));
        }));
    });
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": words.text(layer.title) },
      h("table", {}, h("thead", {}, h("tr", {}, ...titles)), h("tbody", {}, ...rows)));
  }

  const reload = quiet(() => { if (!box.hidden) load(); }, 250);
  app.state.subscribe("table", () => { sort = ""; load(); });
  app.state.subscribe("sel", () => {
    const selected = new Set((app.state.get("sel") ?? "").split(","));
    const id = app.state.get("table");
    for (const row of box.querySelectorAll("tr[data-fid]")) {
      row.classList.toggle("selected", selected.has(`${id}/${/** @type {HTMLElement} */ (row).dataset.fid}`));
    }
  });
  app.on("layers", reload);
  app.on("lang", reload);
  app.on("refresh", (change) => { if (change.collection === app.state.get("table")) reload(); });
  app.map.on("moveend", reload);
  app.on("ready", () => load());
}

