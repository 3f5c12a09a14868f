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
const BASE = "base";

/**
 * Collection a style layer draws, null for the ground.
 * @param {StyleLayer} layer
 * @returns {string | null}
 */
export function collectionOf(layer) {
  return layer.metadata?.["geocloud:collection"] ?? null;
}

/**
 * Whether a layer belongs to the base map; a collection may be ground and be laid over it as data as well.
 * @param {StyleLayer} layer
 * @param {any} style
 */
function isBase(layer, style) {
  return style.sources[layer.source]?.type !== "vector" || layer.source === BASE;
}

/**
 * Collections of a style, in drawing order, the lowest first.
 * @param {any} style
 * @returns {string[]}
 */
export function collectionsOf(style) {
  return [...new Set(/** @type {string[]} */ (style.layers.map(collectionOf).filter(Boolean)))];
}

/**
 * Collections that are laid over the base map.
 * @param {any} style
 * @returns {Set<string>}
 */
export function overlaysOf(style) {
  return new Set(style.layers.filter((/** @type {StyleLayer} */ x) => collectionOf(x) && !isBase(x, style))
    .map(collectionOf));
}

/**
 * Collections the style shows unless it is told otherwise.
 * @param {any} style
 * @returns {string[]}
 */
export function shownByDefault(style) {
  const overlays = overlaysOf(style);
  const shown = style.layers.filter((/** @type {StyleLayer} */ x) => x.layout?.visibility !== "none" &&
    !(isBase(x, style) && overlays.has(collectionOf(x) ?? "")));
  return [...new Set(/** @type {string[]} */ (shown.map(collectionOf).filter(Boolean)))];
}

/**
 * Source that a style layer has under a wish. The base map comes in one tile together; what is filtered or laid over
 * it comes alone, so that a change of it loads nothing else again.
 * @param {StyleLayer} layer
 * @param {any} style
 * @param {Wish} wish
 * @returns {string}
 */
function sourceOf(layer, style, wish) {
  const id = collectionOf(layer);
  return id && layer.source === BASE && wish.filters.has(id) && !overlaysOf(style).has(id) ? id : layer.source;
}

/**
 * Sources of a style on screen that carry a collection.
 * @param {string} id
 * @param {any} drawn A composed style.
 * @returns {string[]}
 */
export function sourcesOf(id, drawn) {
  return [...new Set(/** @type {string[]} */ (drawn.layers.filter((/** @type {StyleLayer} */ x) =>
    collectionOf(x) === id).map((/** @type {StyleLayer} */ x) => x.source)))];
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
  const overlays = overlaysOf(style);
  const seen = (/** @type {StyleLayer} */ x) => {
    const id = collectionOf(x);
    // Names of places, and ground below data that can be laid over it, are always there.
    if (id === null || !layers.has(id) || (isBase(x, style) && overlays.has(id))) return true;
    return wish.visible.includes(id);
  };
  const drawn = order(style, wish.visible).filter(seen).map((layer) => {
    const id = collectionOf(layer);
    if (id === null || !layers.has(id)) return layer;
    const layout = { ...layer.layout };
    delete layout.visibility;
    const faint = isBase(layer, style) && overlays.has(id) ? 1 : wish.opacity.get(id) ?? 1;
    return { ...layer, source: sourceOf(layer, style, wish), layout, paint: faded(layer, faint) };
  });
  const apart = [...wish.filters.keys()].filter((id) => !overlays.has(id));
  /** @type {Record<string, any>} */
  const sources = {};
  for (const name of new Set(drawn.map((x) => x.source).filter(Boolean))) {
    sources[name] = source(name, style, wish, layers, base, apart);
  }
  const made = { ...style, sources, layers: staggered(style, drawn) };
  for (const name of ["sprite", "glyphs"]) if (style[name]) made[name] = here(style[name], base);
  return made;
}

/**
 * Clusters of the layers that are on, side by side: they gather at the same towns.
 * @param {any} style
 * @param {StyleLayer[]} drawn
 * @returns {StyleLayer[]}
 */
function staggered(style, drawn) {
  const { offsets, size, shares, zooms } = style.metadata?.["geocloud:stagger"] ?? {};
  const ofClusters = drawn.filter((x) => x.metadata?.["geocloud:role"] === "cluster");
  // Cells of a grid stay where they are.
  const fixed = new Set(ofClusters.filter((x) => x.type === "fill").map((x) => x.source));
  const on = [...new Set(ofClusters.map((x) => x.source))].filter((x) => !fixed.has(x));
  if (!offsets?.length || !on.length) return drawn;
  const places = offsets[Math.min(on.length, offsets.length) - 1];
  const byZoom = (/** @type {number[]} */ at, /** @type {number} */ unit) => {
    const [first, ...more] = shares.map((/** @type {number} */ k) => ["literal", at.map((px) => px * k / unit)]);
    return ["step", ["zoom"], first, ...more.flatMap((/** @type {any} */ to, /** @type {number} */ i) => [zooms[i], to])];
  };
  return drawn.map((x) => {
    if (!ofClusters.includes(x) || !on.includes(x.source)) return x;
    const at = places[on.indexOf(x.source) % places.length];
    if (x.type === "circle") return { ...x, paint: { ...x.paint, "circle-translate": byZoom(at, 1) } };
    return { ...x, layout: { ...x.layout, "text-offset": byZoom(at, size) } };
  });
}

/**
 * @param {string} name
 * @param {any} style
 * @param {Wish} wish
 * @param {Map<string, import("./types.js").Layer>} layers
 * @param {string} base
 * @param {string[]} apart Collections of the base map that have a source of their own.
 */
function source(name, style, wish, layers, base, apart) {
  const given = style.sources[name];
  if (given?.type === "geojson") return { ...given, data: here(given.data, base) };
  const layer = layers.get(name);
  const ids = name === BASE ? carried(given).filter((id) => !apart.includes(id)) : [name];
  const path = name === BASE ? "/tiles/WebMercatorQuad"
    : `/collections/${encodeURIComponent(name)}/tiles/WebMercatorQuad`;
  const timed = wish.date !== null && ids.some((id) => layers.get(id)?.hasTime);
  const query = [
    name === BASE && `collections=${ids.map(encodeURIComponent).join(",")}`,
    name !== BASE && wish.filters.has(name) && `filter=${encodeURIComponent(wish.filters.get(name) ?? "")}`,
    timed && `datetime=${encodeURIComponent(wish.date ?? "")}`,
  ].filter(Boolean).join("&");
  const made = { ...given, type: "vector", tiles: [`${base}${path}/{z}/{y}/{x}${query ? `?${query}` : ""}`] };
  delete made.url;
  return { ...made, minzoom: given?.minzoom ?? layer?.tiles.minZoom ?? 0, maxzoom: given?.maxzoom ?? layer?.tiles.maxZoom ?? 16 };
}

/** @param {any} source @returns {string[]} Collections that the address of a source names. */
function carried(source) {
  return new URL(source.tiles[0]).searchParams.get("collections")?.split(",") ?? [];
}

/**
 * Layers of the style in drawing order. As long as nobody has moved a layer that is the style's own; then overlays
 * change places among themselves, areas and lines apart from marks and words, which stay above.
 * @param {any} style
 * @param {string[]} on
 * @returns {StyleLayer[]}
 */
function order(style, on) {
  const overlays = overlaysOf(style);
  const rank = collectionsOf(style).filter((id) => overlays.has(id));
  const known = on.filter((id) => overlays.has(id));
  if (known.every((id, i) => i === 0 || rank.indexOf(known[i - 1]) < rank.indexOf(id))) return style.layers;
  const all = [...style.layers];
  for (const words of [false, true]) {
    const places = all.flatMap((x, i) =>
      (known.includes(collectionOf(x) ?? "") && !isBase(x, style) && (x.type === "symbol") === words ? [i] : []));
    const moved = places.map((i) => all[i]).sort((a, b) =>
      known.indexOf(collectionOf(a) ?? "") - known.indexOf(collectionOf(b) ?? ""));
    places.forEach((at, i) => { all[at] = moved[i]; });
  }
  return all;
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
