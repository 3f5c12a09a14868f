// SPDX-License-Identifier: Apache-2.0
// What is here: one card for each feature under the click, of every visible layer, told in full by the service.

import { h, icon, ICONS } from "./dom.js";
import { aggregateCard, featureCard } from "./cards.js";
import { collectionOf } from "./compose.js";
import { questionInView } from "./counts.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {{collection: string, fid: string, date?: string}} Hit Of another date than the map's, where it has one.
 */

const REACH = 5;
const MOST = 10;

/** @param {App} app */
export function installInspector(app) {
  const box = /** @type {HTMLElement} */ (document.getElementById("inspector"));
  /** @type {Map<string, {title: string, body: HTMLElement, last?: boolean, onclose?: () => void}>} */
  const shown = new Map();
  let asking = new AbortController();

  app.inspector = {
    show(card) {
      shown.set(card.id, card);
      draw();
    },
    close(id) {
      const ended = id === undefined ? [...shown.keys()] : shown.has(id) ? [id] : [];
      for (const key of ended) {
        const card = shown.get(key);
        shown.delete(key);
        card?.onclose?.();
        if (key === "here") app.state.set("sel", null);
      }
      draw();
    },
  };

  function draw() {
    const before = box.hidden;
    box.hidden = shown.size === 0;
    box.dataset.none = app.t("点选地图上的要素，这里显示详情。", "Pick a feature on the map to see its details here.");
    const order = [...shown].reverse().sort((a, b) => Number(a[1].last ?? false) - Number(b[1].last ?? false));
    box.replaceChildren(...order.map(([id, card]) => h("section", { class: "pane", "data-pane": id },
      h("div", { class: "panel-head" }, h("h2", {}, card.title),
        h("button", { type: "button", class: "plain small", "aria-label": app.t("关闭", "Close"),
          onclick: () => app.inspector.close(id) }, icon(ICONS.close))),
      card.body)));
    if (before !== box.hidden) app.emit("panel", box.hidden ? null : "inspector");
  }

  /** What the address says is selected. */
  async function follow() {
    asking.abort();
    asking = new AbortController();
    const hits = read(app.state.get("sel")).filter((hit) => app.layers.has(hit.collection));
    if (!hits.length) {
      app.view.highlight([]);
      app.emit("select", []);
      if (shown.has("here")) app.inspector.close("here");
      return;
    }
    const body = h("div", { class: "cards" }, h("p", { class: "hint" }, app.t("正在读取…", "Reading …")));
    app.inspector.show({ id: "here", title: app.t("此处要素", "What is here"), body });
    const signal = asking.signal;
    const found = await Promise.all(hits.map((hit) => one(hit, signal)));
    if (signal.aborted) return;
    body.replaceChildren(...found.map((x, i) => featureCard(app, x.hit, x.feature, x.error, i < 2)));
    const features = found.filter((x) => x.feature).map((x) => x.feature);
    app.view.highlight(features.slice(0, 1));
    app.emit("select", found);
    app.announce(app.t(`选中 ${found.length} 个要素`, `${found.length} features selected`));
  }

  async function one(/** @type {Hit} */ hit, /** @type {AbortSignal} */ signal) {
    const layer = /** @type {import("./types.js").Layer} */ (app.layers.get(hit.collection));
    const date = hit.date ?? app.state.get("date");
    const query = date && layer.hasTime ? `?datetime=${encodeURIComponent(date)}` : "";
    try {
      return { hit, feature: await app.fetchJSON(app.url(`${layer.items}/${hit.fid}${query}`), { signal }), error: null };
    } catch (error) {
      return { hit, feature: null, error };
    }
  }

  app.map.on("click", async (/** @type {any} */ event) => {
    if (app.strip.takesClicks(event) || event.defaultPrevented) return;
    const { x, y } = event.point;
    // Beyond the divider of a split view lies another map, perhaps of another date.
    const side = app.split?.at(x) ?? { map: app.map, layers: app.visible(), date: null };
    const drawn = side.map.queryRenderedFeatures([[x - REACH, y - REACH], [x + REACH, y + REACH]],
      { layers: app.view.drawnLayers(side.map) });
    const visible = new Set(side.layers);
    const { hits, aggregates } = sort(drawn.filter((/** @type {any} */ f) => visible.has(collectionOf(f.layer) ?? "")));
    if (aggregates.length && (!hits.length || aggregates[0].place === 0)) {
      app.state.set("sel", null);
      const first = aggregates[0].feature;
      const layer = /** @type {any} */ (app.layers.get(first.sourceLayer));
      app.inspector.show({ id: "here", title: app.t("此处要素", "What is here"),
        body: h("div", { class: "cards" }, ...aggregates.map((a) => aggregateCard(app, a.feature))) });
      const kind = first.properties.overview;
      if (kind === "cluster" || kind === "h3") {
        const zoom = Math.min(layer.tiles.overviewBelow, Math.max(app.map.getZoom() + 2, layer.tiles.minZoom));
        app.map.easeTo({ center: kind === "cluster" ? first.geometry.coordinates : event.lngLat, zoom });
      }
      return;
    }
    hits.push(...await around(event.lngLat, hits, side));
    if (!hits.length) {
      if (shown.has("here")) app.inspector.close("here");
      else app.announce(app.t("此处没有要素", "Nothing here"));
      return;
    }
    app.state.set("sel", hits.map((hit) => `${hit.collection}/${hit.fid}${side.date ? `@${side.date}` : ""}`).join(","));
    // The sheet of a phone would cover what was just picked.
    const room = app.map.getContainer().clientHeight - app.view.padding().bottom;
    if (y > room) app.map.panBy([0, y - room / 2]);
  });
  /** Areas that are drawn as a line alone, such as counties, are asked for: nothing on screen tells what they hold. */
  async function around(/** @type {{lng: number, lat: number}} */ at, /** @type {Hit[]} */ hits,
    /** @type {import("./types.js").Side} */ side) {
    const filled = new Set(side.map.getStyle().layers.filter((/** @type {any} */ x) => x.type === "fill").map(collectionOf));
    const asked = side.layers.filter((id) => {
      const layer = app.layers.get(id);
      return layer && /polygon|^geometry$/.test(layer.geometry) && !filled.has(id) &&
        app.map.getZoom() >= layer.tiles.minZoom && !hits.some((hit) => hit.collection === id);
    });
    const bit = 1e-7;
    const bbox = [at.lng - bit, at.lat - bit, at.lng + bit, at.lat + bit].map((v) => v.toFixed(7)).join(",");
    const pages = await Promise.all(asked.map((id) => {
      const query = questionInView(app, id, { bbox, limit: "2", properties: app.layers.get(id)?.key[0] ?? "" });
      if (side.date && app.layers.get(id)?.hasTime) query.set("datetime", side.date);
      return app.fetchJSON(app.url(`${app.layers.get(id)?.items}?${query}`)).catch(() => ({ features: [] }));
    }));
    return asked.flatMap((id, i) => pages[i].features.filter((/** @type {any} */ f) =>
      f.geometry && /Polygon/.test(f.geometry.type)).map((/** @type {any} */ f) => ({ collection: id, fid: String(f.id) })))
      .reverse();
  }

  for (const type of ["mousemove", "mouseout"]) {
    app.map.on(type, (/** @type {any} */ event) => {
      if (app.strip.takesClicks()) return;
      const over = type === "mousemove" &&
        app.map.queryRenderedFeatures(event.point, { layers: app.view.drawnLayers() }).some(isData);
      app.map.getCanvas().style.cursor = over ? "pointer" : "";
    });
  }

  function isData(/** @type {any} */ feature) {
    return feature.geometry.type !== "Polygon" && feature.geometry.type !== "MultiPolygon";
  }

  function sort(/** @type {any[]} */ drawn) {
    /** @type {Map<string, Hit & {rank: number}>} */
    const hits = new Map();
    /** @type {Map<string, {feature: any, place: number}>} */
    const aggregates = new Map();
    drawn.forEach((feature, place) => {
      const collection = collectionOf(feature.layer);
      if (!collection) return;
      const key = `${collection}/${feature.id}`;
      if (feature.properties.overview) {
        if (!aggregates.has(key)) aggregates.set(key, { feature, place });
      } else if (feature.id !== undefined && !hits.has(key)) {
        hits.set(key, { collection, fid: String(feature.id), rank: rankOf(feature) });
      }
    });
    // Points before lines before areas, as a finger means the smallest thing below it; within that as drawn.
    return { hits: [...hits.values()].sort((a, b) => a.rank - b.rank).slice(0, MOST),
      aggregates: [...aggregates.values()].slice(0, 3) };
  }

  function rankOf(/** @type {any} */ feature) {
    const layer = app.layers.get(collectionOf(feature.layer) ?? "");
    const kind = layer?.geometry ?? "";
    if (kind.includes("point")) return 0;
    if (feature.geometry.type.includes("Line")) return 1;
    // A boundary area holds everything else.
    return ["base.city", "base.county", "base.township"].includes(layer?.id ?? "") ? 3 : 2;
  }

  app.state.subscribe("sel", follow);
  app.state.subscribe("date", () => { if (app.state.get("sel")) follow(); });
  app.on("lang", () => {
    if (app.state.get("sel")) follow();
    else if (shown.has("here")) app.inspector.close("here");
    else draw();
  });
  app.on("readings", () => { if (app.state.get("sel")) follow(); });
  app.on("refresh", (change) => {
    if (read(app.state.get("sel")).some((hit) => hit.collection === change.collection)) follow();
  });
  if (app.state.get("sel")) follow();
}

/** @param {string | null} text */
function read(text) {
  return (text ?? "").split(",").map((part) => /^([^/]+)\/(\d+)(?:@(\d{4}-\d{2}-\d{2}))?$/.exec(part))
    .filter((found) => found !== null).slice(0, MOST).map(([, collection, fid, date]) => ({ collection, fid, date }));
}
