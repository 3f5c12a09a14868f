// SPDX-License-Identifier: Apache-2.0
// The style on screen, made from the city's style: the layers that are on, each with its source, filter and opacity.

/**
 * @typedef {any} StyleLayer A layer of a MapLibre style.
 * @typedef {object} Wish What is to be seen.
 * @property {string[]} visible Collections in drawing order, the lowest first.
 * @property {Map<string, number>} opacity 0 to 1 by collection; none is 1.
 * @property {Map<string, string>} filters CQL2 text by collection.
 * @property {string | null} date RFC 3339 instant or date.
 */

/** Sources and layers of the tools carry this prefix, and stay when the style changes. */
export const TOOL_PREFIX = "tool:";
const SHARED = "city";

/**
 * Collection a style layer draws, null for the ground.
 * @param {StyleLayer} layer
 * @returns {string | null}
 */
export function collectionOf(layer) {
  return layer.metadata?.["geocloud:collection"] ?? null;
}

/**
 * Collections of a style, in drawing order.
 * @param {any} style
 * @returns {string[]}
 */
export function collectionsOf(style) {
  return [...new Set(/** @type {string[]} */ (style.layers.map(collectionOf).filter(Boolean)))];
}

/**
 * Collections the style shows unless it is told otherwise.
 * @param {any} style
 * @returns {string[]}
 */
export function shownByDefault(style) {
  const shown = style.layers.filter((/** @type {StyleLayer} */ x) => x.layout?.visibility !== "none");
  return [...new Set(/** @type {string[]} */ (shown.map(collectionOf).filter(Boolean)))];
}

/**
 * Source that a collection's features come from under a wish.
 * @param {string} id
 * @param {any} style
 * @param {Wish} wish
 */
export function sourceOf(id, style, wish) {
  return sharedOf(style, wish).includes(id) ? SHARED : id;
}

/**
 * What is always on the map comes in one tile together; what is filtered or added by hand comes alone, so that
 * a change of it loads nothing else again.
 * @param {any} style
 * @param {Wish} wish
 * @returns {string[]}
 */
function sharedOf(style, wish) {
  return shownByDefault(style).filter((id) => !wish.filters.has(id));
}

/**
 * The style to draw. `base` is the address of this service without a slash at its end.
 * @param {any} style The city's style.
 * @param {Wish} wish
 * @param {Map<string, import("./types.js").Layer>} layers
 * @param {string} base
 * @returns {any}
 */
export function compose(style, wish, layers, base) {
  const shared = sharedOf(style, wish).filter((id) => layers.has(id));
  const on = wish.visible.filter((id) => layers.has(id));
  /** @type {Record<string, any>} */
  const sources = {};
  for (const id of on) {
    if (shared.includes(id)) continue;
    sources[id] = tiles(`/collections/${encodeURIComponent(id)}/tiles/WebMercatorQuad`, [id], layers, base, {
      filter: wish.filters.get(id), datetime: dateFor([id], layers, wish) });
  }
  if (on.some((id) => shared.includes(id))) {
    sources[SHARED] = tiles("/tiles/WebMercatorQuad", shared, layers, base, {
      collections: shared.join(","), datetime: dateFor(shared, layers, wish) });
  }
  const drawn = order(style, on).map((layer) => {
    const id = collectionOf(layer);
    if (id === null) return layer;
    const layout = { ...layer.layout };
    delete layout.visibility;
    return { ...layer, source: shared.includes(id) ? SHARED : id, layout,
      paint: faded(layer, wish.opacity.get(id) ?? 1) };
  });
  const made = { ...style, sources, layers: drawn };
  for (const name of ["sprite", "glyphs"]) if (style[name]) made[name] = here(style[name], base);
  return made;
}

/**
 * @param {string[]} ids
 * @param {Map<string, import("./types.js").Layer>} layers
 * @param {Wish} wish
 */
function dateFor(ids, layers, wish) {
  return wish.date && ids.some((id) => layers.get(id)?.hasTime) ? wish.date : undefined;
}

/**
 * @param {string} path
 * @param {string[]} ids
 * @param {Map<string, import("./types.js").Layer>} layers
 * @param {string} base
 * @param {Record<string, string | undefined>} query
 */
function tiles(path, ids, layers, base, query) {
  const found = ids.map((id) => /** @type {import("./types.js").Layer} */ (layers.get(id)));
  const asked = Object.entries(query).filter(([, value]) => value).map(([k, v]) => `${k}=${encodeURIComponent(v ?? "")}`);
  return {
    type: "vector",
    tiles: [`${base}${path}/{z}/{y}/{x}${asked.length ? `?${asked.join("&")}` : ""}`],
    minzoom: Math.min(...found.map((x) => x.tiles.minZoom)),
    maxzoom: Math.max(...found.map((x) => x.tiles.maxZoom)),
  };
}

/**
 * Layers of the style that are on. As long as nobody has moved a layer the style's order holds; then areas, lines and
 * points of a collection go together, and labels stay above them all.
 * @param {any} style
 * @param {string[]} on
 * @returns {StyleLayer[]}
 */
function order(style, on) {
  const rank = collectionsOf(style);
  const wanted = style.layers.filter((/** @type {StyleLayer} */ x) => {
    const id = collectionOf(x);
    return id === null || on.includes(id);
  });
  const known = on.filter((id) => rank.includes(id));
  if (known.every((id, i) => i === 0 || rank.indexOf(known[i - 1]) < rank.indexOf(id))) return wanted;
  const place = (/** @type {StyleLayer} */ x) => {
    const id = collectionOf(x);
    return id === null ? -1 : known.indexOf(id) + (x.type === "symbol" ? known.length : 0);
  };
  return wanted
    .map((/** @type {StyleLayer} */ x, /** @type {number} */ i) => ({ x, i }))
    .sort((/** @type {any} */ a, /** @type {any} */ b) => place(a.x) - place(b.x) || a.i - b.i)
    .map((/** @type {any} */ entry) => entry.x);
}

/** @type {Record<string, string[]>} */
const OPACITIES = {
  fill: ["fill-opacity"], line: ["line-opacity"], circle: ["circle-opacity", "circle-stroke-opacity"],
  symbol: ["icon-opacity", "text-opacity"], heatmap: ["heatmap-opacity"], "fill-extrusion": ["fill-extrusion-opacity"],
};

/**
 * @param {StyleLayer} layer
 * @param {number} opacity
 */
function faded(layer, opacity) {
  if (opacity >= 1) return layer.paint ?? {};
  const paint = { ...layer.paint };
  for (const name of OPACITIES[layer.type] ?? []) paint[name] = times(paint[name] ?? 1, opacity);
  return paint;
}

/**
 * A value or expression times a number. `zoom` may only stand at the top of an expression, so its curves are
 * multiplied stop by stop.
 * @param {any} value
 * @param {number} k
 * @returns {any}
 */
export function times(value, k) {
  if (typeof value === "number") return value * k;
  if (Array.isArray(value)) {
    if (value[0] === "interpolate") return value.map((v, i) => (i >= 4 && i % 2 === 0 ? times(v, k) : v));
    if (value[0] === "step") return value.map((v, i) => (i >= 2 && i % 2 === 0 ? times(v, k) : v));
    return ["*", k, value];
  }
  if (value && Array.isArray(value.stops)) {
    return { ...value, stops: value.stops.map((/** @type {any} */ [at, v]) => [at, times(v, k)]) };
  }
  return value;
}

/**
 * An address of the style on the host this page came from, whatever name the server knows itself by.
 * @param {any} address
 * @param {string} base
 */
function here(address, base) {
  if (typeof address !== "string") return address;
  return new URL(base).origin + address.replace(/^\w+:\/\/[^/]+/, "");
}
