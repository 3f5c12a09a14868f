// SPDX-License-Identifier: Apache-2.0
// What a JSON Schema of an input asks for, as far as a form needs to know.

/**
 * @typedef {"point" | "line" | "area" | "box" | "period" | "choice" | "several" | "yesno" | "number" | "instant" | "date" |
 *   "layer" | "list" | "json" | "text"} Shape
 */

const GEOMETRIES = /** @type {Record<string, Shape>} */ ({ Point: "point", LineString: "line", MultiLineString: "line",
  Polygon: "area", MultiPolygon: "area" });

/**
 * Types of GeoJSON that a schema lets through, in its order.
 * @param {any} schema
 * @returns {string[]}
 */
export function geometriesOf(schema) {
  if (!schema || typeof schema !== "object") return [];
  const type = schema.properties?.type;
  const own = [type?.const, ...(type?.enum ?? [])].filter((x) => x in GEOMETRIES);
  const parts = [...(schema.oneOf ?? []), ...(schema.anyOf ?? []), ...(schema.allOf ?? [])];
  return [...own, ...parts.flatMap(geometriesOf)];
}

/** The first type that says something. @param {any} schema @returns {string} */
export function typeOf(schema) {
  const types = [schema?.type].flat().filter((x) => x && x !== "null");
  if (types.length) return types[0];
  const parts = [...(schema?.oneOf ?? []), ...(schema?.anyOf ?? [])].map(typeOf).filter(Boolean);
  return parts[0] ?? (schema?.enum ? typeof schema.enum[0] : "");
}

/** Values a schema lists. @param {any} schema @returns {any[]} */
export function valuesOf(schema) {
  if (Array.isArray(schema?.enum)) return schema.enum.filter((/** @type {any} */ v) => v !== null);
  const parts = schema?.oneOf ?? schema?.anyOf ?? [];
  return parts.length && parts.every((/** @type {any} */ p) => "const" in p) ? parts.map((/** @type {any} */ p) => p.const) : [];
}

/**
 * What control an input is asked for with.
 * @param {string} name
 * @param {any} schema
 * @param {any} ask What its sector says of it; may be empty.
 * @param {(id: string) => boolean} isLayer
 * @returns {Shape}
 */
export function shapeOf(name, schema, ask, isLayer) {
  if (ask?.pick) return ask.pick;
  const geometry = geometriesOf(schema)[0];
  if (geometry) return GEOMETRIES[geometry];
  const type = typeOf(schema);
  if (type === "array") return ask?.codes || ask?.words || valuesOf(schema.items).length ? "several"
    : ["string", "number", "integer"].includes(typeOf(schema.items ?? {})) || ask?.layer ? "list" : "json";
  if (ask?.codes || ask?.words || valuesOf(schema).length) return "choice";
  if (type === "boolean") return "yesno";
  if (type === "number" || type === "integer") return "number";
  if (type === "object") return "json";
  if (schema?.format === "date-time") return "instant";
  if (schema?.format === "date" || (name === "date" && type === "string")) return "date";
  if (!ask?.layer && (isLayer(schema?.default) || name === "layer" || name === "collection")) return "layer";
  return "text";
}
