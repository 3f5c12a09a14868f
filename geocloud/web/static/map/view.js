// SPDX-License-Identifier: Apache-2.0
// The map itself: camera in the address, the composed style, what is selected, and renewing what changed.

import { Map as MapLibre, ScaleControl } from "../vendor/maplibre-gl/maplibre-gl.mjs";
import { collectionOf, collectionsOf, compose, overlaysOf, shownByDefault, sourcesOf, TOOL_PREFIX } from "./compose.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./compose.js").Wish} Wish
 */

const EMPTY = { type: "FeatureCollection", features: [] };
const SELECTION = "geocloud:selection";
const NOTHING = { version: 8, sources: {}, layers: [] };

export class MapView {
  #app;
  /** @type {any} */
  #style = null;
  /** @type {any} */
  #selected = EMPTY;
  /** @type {Promise<void>} */
  #ready;
  /** @type {Map<string, string>} Address by source of features that come as one file. */
  #read = new Map();

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map = new MapLibre({
      container: "map",
      style: NOTHING,
      ...this.#camera(),
      attributionControl: false,
      fadeDuration: still ? 0 : 150,
      maxZoom: 20,
      maxPitch: 0,
      pitchWithRotate: false,
      localIdeographFontFamily: '"Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif',
    });
    this.map.addControl(new ScaleControl({ maxWidth: 120, unit: "metric" }), "bottom-left");
    this.map.on("moveend", () => this.#writeCamera());
    app.on("panel", () => this.map.resize());
    this.map.on("error", (/** @type {any} */ event) => this.#fault(event));
    app.state.subscribe("at", (value) => this.#follow(value));
    for (const key of ["on", "op", "date"]) app.state.subscribe(key, () => this.draw());
    for (const id of app.layers.keys()) app.state.subscribe(`f.${id}`, () => this.draw());
    const name = () => this.map.getCanvas().setAttribute("aria-label", app.t("地图画面", "Map view"));
    name();
    app.on("lang", () => { name(); this.#load(); });
    app.on("theme", () => this.#load());
    this.#ready = this.#load();
  }

  /** Resolves when the first style is on the map. */
  ready() {
    return this.#ready;
  }

  /** Collections the city's style can draw, in its order. */
  drawable() {
    return this.#style ? collectionsOf(this.#style).filter((id) => this.#app.layers.has(id)) : [];
  }

  /**
   * Whether a layer is laid over the base map, so that it can be moved above or below others.
   * @param {string} id
   */
  movable(id) {
    return this.#style !== null && overlaysOf(this.#style).has(id);
  }

  /** @returns {string[]} */
  visible() {
    const asked = this.#app.state.get("on");
    if (asked === null) return this.#usual();
    return asked === "-" ? [] : asked.split(",").filter((id) => this.#app.layers.has(id));
  }

  /**
   * Puts a layer on or off. It comes where the style has it, or on top once somebody has changed the order.
   * @param {string} id
   * @param {boolean} on
   */
  show(id, on) {
    const before = this.visible();
    if (before.includes(id) === on) return;
    const rank = this.drawable();
    let ids = before.filter((other) => other !== id);
    if (on) {
      const ordered = ids.every((x, i) => i === 0 || rank.indexOf(ids[i - 1]) < rank.indexOf(x));
      const at = ordered ? ids.findIndex((x) => rank.indexOf(x) > rank.indexOf(id)) : -1;
      ids = at < 0 ? [...ids, id] : [...ids.slice(0, at), id, ...ids.slice(at)];
    }
    this.arrange(ids);
  }

  /**
   * Sets what is visible, in drawing order.
   * @param {string[]} ids
   */
  arrange(ids) {
    this.#app.state.set("on", ids.join(",") === this.#usual().join(",") ? null : ids.join(",") || "-");
  }

  /** @returns {Map<string, number>} Opacity by collection, only where it is not 1. */
  opacities() {
    const pairs = (this.#app.state.get("op") ?? "").split(",").map((part) => part.split(":"));
    return new Map(pairs.filter(([id, v]) => id && Number(v) >= 0).map(([id, v]) => [id, Math.min(1, Number(v))]));
  }

  /**
   * @param {string} id
   * @param {number} value 0 to 1
   */
  fade(id, value) {
    const all = this.opacities();
    if (value >= 1) all.delete(id);
    else all.set(id, Math.round(value * 100) / 100);
    this.#app.state.set("op", [...all].map((pair) => pair.join(":")).join(","), { step: false });
  }

  /** @returns {Map<string, string>} CQL2 text by collection. */
  filters() {
    return new Map(this.#app.state.keys("f.").map((key) => [key.slice(2), this.#app.state.get(key) ?? ""]));
  }

  /** @returns {Wish} */
  wish() {
    return { visible: this.visible(), opacity: this.opacities(), filters: this.filters(),
      date: this.#app.state.get("date") };
  }

  /** Draws what the address asks for; nothing that stayed the same is loaded again. */
  draw() {
    if (!this.#style) return;
    const next = compose(this.#style, this.wish(), this.#app.layers, this.#base());
    this.map.setStyle(next, {
      diff: true,
      transformStyle: (/** @type {any} */ before, /** @type {any} */ after) => this.#withExtras(before, after),
    });
    this.#app.emit("layers", this.visible());
  }

  /**
   * @param {string | null} iso
   */
  setDate(iso) {
    this.#app.state.set("date", iso, { step: false });
    this.#app.emit("time", iso);
  }

  /**
   * Loads the tiles of a collection again, if they are on the map.
   * @param {string} id
   */
  refresh(id) {
    if (!this.#style || !this.visible().includes(id)) return;
    for (const name of sourcesOf(id, this.map.getStyle())) {
      const source = this.map.getSource(name);
      if (source?.type === "vector") this.map.refreshTiles(name);
    }
    // Names of places are made from the base map's layers.
    if (!this.movable(id)) for (const [name, address] of this.#read) this.map.getSource(name)?.setData(address);
  }

  /**
   * Ids of the layers of the style on screen, or on another map, that draw collections.
   * @returns {string[]}
   */
  drawnLayers(map = this.map) {
    const { layers } = /** @type {any} */ (map.getStyle() ?? NOTHING);
    return layers.filter(collectionOf).map((/** @type {any} */ x) => x.id);
  }

  /** The whole city. */
  home() {
    const { bounds, fitBoundsOptions } = this.#whole();
    if (bounds) this.map.fitBounds(bounds, fitBoundsOptions);
  }

  /**
   * @param {number[]} box west, south, east, north
   */
  fit(box) {
    const [west, south, east, north] = box.length === 6 ? [box[0], box[1], box[3], box[4]] : box;
    this.map.fitBounds([[west, south], [east, north]], { padding: this.padding(), maxZoom: 17 });
  }

  /**
   * Moves a place into the middle of what panels leave of the map.
   * @param {[number, number]} place
   * @param {number} [zoom] At least so near.
   */
  goTo(place, zoom = 0) {
    // Padding given to a move stays with the map; an offset does not.
    const { top, left, right, bottom } = this.padding();
    this.map.easeTo({ center: place, zoom: Math.max(zoom, this.map.getZoom()), offset: [(left - right) / 2, (top - bottom) / 2] });
  }

  /** Room that panels take from the map, in pixels. */
  padding() {
    const open = document.documentElement.dataset.sheet;
    const phone = window.matchMedia("(max-width: 720px)").matches;
    const side = !phone && !document.getElementById("inspector")?.hidden ? 456 : 72;
    return { top: 40, left: 40, right: phone ? 56 : side, bottom: phone && open ? window.innerHeight * 0.5 : 40 };
  }

  /**
   * Features drawn above everything, in the accent colour.
   * @param {any[]} features GeoJSON
   */
  highlight(features) {
    this.#selected = { type: "FeatureCollection", features };
    const source = this.map.getSource(SELECTION);
    if (source) source.setData(this.#selected);
  }

  /**
   * Draws this map's layers on another map and keeps them the same until the returned function is called.
   * @param {any} other
   * @param {{layers?: string[], date?: string | null, style?: any}} [options] Other layers, another date or another
   *   style of the city than on this map.
   * @returns {Promise<() => void>}
   */
  async styleFor(other, options = {}) {
    await this.#ready;
    let loaded = false;
    other.once("style.load", () => { loaded = true; });
    const draw = () => {
      const wish = this.wish();
      if (options.layers) wish.visible = options.layers;
      if ("date" in options) wish.date = options.date ?? null;
      other.setStyle(compose(options.style ?? this.#style, wish, this.#app.layers, this.#base()), { diff: loaded });
    };
    draw();
    const ends = [this.#app.on("layers", draw)];
    return () => ends.forEach((end) => end());
  }

  async #load() {
    const { url, lang, dark } = this.#app;
    try {
      this.#style = await this.#app.fetchJSON(url(`/styles/city?lang=${lang}&dark=${dark}`));
    } catch (error) {
      this.#app.problem(error, this.#app.t("底图样式未能载入", "The map's style could not be loaded"));
      return;
    }
    this.draw();
  }

  /**
   * @param {any} before
   * @param {any} after
   */
  #withExtras(before, after) {
    const ours = (/** @type {string} */ id) => id.startsWith(TOOL_PREFIX);
    const sources = Object.entries(before?.sources ?? {}).filter(([id]) => ours(id));
    const kept = (before?.layers ?? []).filter((/** @type {any} */ x) => ours(x.id));
    // What lies below words, which stay readable above it.
    const under = kept.filter((/** @type {any} */ x) => x.metadata?.["geocloud:under"] === "words");
    const layers = kept.filter((/** @type {any} */ x) => !under.includes(x));
    const words = after.layers.findIndex((/** @type {any} */ x) => x.type === "symbol");
    const place = words < 0 ? after.layers.length : words;
    // What a file gave stands in the style on screen in place of its address; it is not to be fetched at every change.
    for (const [id, source] of Object.entries(after.sources)) {
      if (source.type !== "geojson" || typeof source.data !== "string") continue;
      if (this.#read.get(id) === source.data && before?.sources?.[id]) after.sources[id] = before.sources[id];
      else this.#read.set(id, source.data);
    }
    const accent = this.#app.dark ? "#6cbcd8" : "#1c6e8c";
    const halo = this.#app.dark ? "#0d1b21" : "#ffffff";
    const geometry = (/** @type {string} */ type) => ["==", ["geometry-type"], type];
    const selection = [
      { id: `${SELECTION}:area`, type: "fill", filter: geometry("Polygon"),
        paint: { "fill-color": accent, "fill-opacity": 0.12 } },
      { id: `${SELECTION}:halo`, type: "line", filter: ["!", geometry("Point")],
        layout: { "line-join": "round", "line-cap": "round" },
        paint: { "line-color": halo, "line-width": 6, "line-opacity": 0.8 } },
      { id: `${SELECTION}:line`, type: "line", filter: ["!", geometry("Point")],
        layout: { "line-join": "round", "line-cap": "round" }, paint: { "line-color": accent, "line-width": 3 } },
      { id: `${SELECTION}:point`, type: "circle", filter: geometry("Point"),
        paint: { "circle-radius": 11, "circle-color": accent, "circle-opacity": 0.15, "circle-stroke-color": accent,
          "circle-stroke-width": 3 } },
    ].map((layer) => ({ ...layer, source: SELECTION }));
    return {
      ...after,
      sources: { ...after.sources, [SELECTION]: { type: "geojson", data: this.#selected },
        ...Object.fromEntries(sources) },
      layers: [...after.layers.slice(0, place), ...under, ...after.layers.slice(place), ...selection, ...layers],
    };
  }

  #usual() {
    return this.#style ? shownByDefault(this.#style).filter((id) => this.#app.layers.has(id)) : [];
  }

  #base() {
    return window.location.origin + this.#app.url("");
  }

  #whole() {
    const box = this.#app.catalogue.extent;
    if (!box) return { center: [116, 36.5], zoom: 8 };
    const bounds = [[box[0], box[1]], [box[2], box[3]]];
    return { bounds, fitBoundsOptions: { padding: 24, animate: false } };
  }

  /** @returns {any} */
  #camera() {
    return parse(this.#app.state.get("at")) ?? this.#whole();
  }

  #writeCamera() {
    const { lng, lat } = this.map.getCenter();
    const [zoom, bearing] = [this.map.getZoom(), this.map.getBearing()];
    const parts = [zoom.toFixed(2), lat.toFixed(5), lng.toFixed(5)];
    if (Math.abs(bearing) >= 0.5) parts.push(bearing.toFixed(0));
    this.#app.state.set("at", parts.join("/"), { step: false });
  }

  /** @param {string | null} value */
  #follow(value) {
    const camera = parse(value);
    if (!camera) return;
    const { lng, lat } = this.map.getCenter();
    const same = Math.abs(lng - camera.center[0]) < 2e-5 && Math.abs(lat - camera.center[1]) < 2e-5 &&
      Math.abs(this.map.getZoom() - camera.zoom) < 0.01 && Math.abs(this.map.getBearing() - camera.bearing) < 1;
    if (!same) this.map.jumpTo(camera);
  }

  /** @param {any} event */
  #fault(event) {
    const { error, sourceId } = event;
    if (error?.name === "AbortError") return;
    const layer = sourceId ? this.#app.layers.get(sourceId) : null;
    this.#app.problem(error, layer
      ? this.#app.t(`“${layer.title.zh}”的瓦片未能载入`, `Tiles of “${layer.title.en}” could not be loaded`)
      : this.#app.t("地图未能完整显示", "The map could not be drawn completely"));
  }
}

/** @param {string | null} text */
function parse(text) {
  const [zoom, lat, lng, bearing] = (text ?? "").split("/").map(Number);
  if (!(zoom >= 0 && zoom <= 24 && Math.abs(lat) <= 85 && Math.abs(lng) <= 180)) return null;
  return { center: /** @type {[number, number]} */ ([lng, lat]), zoom, bearing: bearing || 0 };
}
