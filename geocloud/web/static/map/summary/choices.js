// SPDX-License-Identifier: Apache-2.0
// What is summed, by which areas, and how it is measured: kept in the address as `sum=layer/by/measure`.

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("../types.js").Layer} Layer
 * @typedef {{layer: Layer, by: string, kind: string, field: string}} Choice
 * @typedef {{value: string, text: string}} Option
 */

/** Short names of areas that the service knows. @type {Record<string, string>} */
const NAMED = { county: "base.county", township: "base.township", village: "base.village", grid: "grid.unit_grid" };
/** Cells, with how large they are. @type {[string, string, string][]} */
const CELLS = [
  ["h3:7", "H3 7 级（约 5 平方公里）", "H3 level 7 (about 5 km²)"],
  ["h3:8", "H3 8 级（约 0.7 平方公里）", "H3 level 8 (about 0.7 km²)"],
  ["h3:9", "H3 9 级（约 0.1 平方公里）", "H3 level 9 (about 0.1 km²)"],
  ["beidou:4", "北斗网格 4 级（1′，约 1.5 公里）", "BeiDou level 4 (1′, about 1.5 km)"],
  ["beidou:5", "北斗网格 5 级（4″，约 100 米）", "BeiDou level 5 (4″, about 100 m)"],
  ["beidou:6", "北斗网格 6 级（2″，约 50 米）", "BeiDou level 6 (2″, about 50 m)"],
];
/** Kinds of measure; `of` the geometry it needs, `field` whether it is of a field. */
const KINDS = [
  { id: "count", zh: "数量", en: "Count" },
  { id: "density", zh: "密度", en: "Density" },
  { id: "length", zh: "长度", en: "Length", of: /line|^geometry$/ },
  { id: "area", zh: "面积", en: "Area", of: /polygon|^geometry$/ },
  { id: "sum", zh: "字段合计", en: "Sum of a field", field: true },
  { id: "mean", zh: "字段平均", en: "Mean of a field", field: true },
  { id: "min", zh: "字段最小", en: "Least of a field", field: true },
  { id: "max", zh: "字段最大", en: "Greatest of a field", field: true },
];
const AREAL = /polygon|^geometry$/;

/** Numbers of a layer that can be added up; numbers that are codes cannot. @param {Layer} layer */
export function numbersOf(layer) {
  return layer.fields.filter((f) => f.queryable && !f.codes && (f.type === "number" || f.type === "integer"));
}

/** The layer of areas, null for cells. @param {App} app @param {string} by */
export function zoningOf(app, by) {
  return app.layers.get(NAMED[by] ?? by) ?? null;
}

/**
 * The choice that a text of the address says; what it does not say, or says wrongly, is the usual.
 * @param {App} app
 * @param {string | null} text
 * @returns {Choice | null} Null where it names no layer.
 */
export function readChoice(app, text) {
  const [id, by = "", measure = ""] = (text ?? "").split("/");
  const layer = app.layers.get(id);
  if (!layer) return null;
  const [kind, field = ""] = measure.split(":");
  const numbers = numbersOf(layer);
  const known = kindsOf(app, layer).some((k) => k.value === kind) ? kind : "count";
  const takes = KINDS.find((k) => k.id === known)?.field;
  const named = numbers.some((f) => f.name === field) ? field : numbers[0]?.name ?? "";
  const areas = areasOf(app).flatMap((g) => g.options.map((o) => o.value));
  return { layer, by: areas.includes(by) ? by : areas[0], kind: known, field: takes ? named : "" };
}

/** @param {Choice} c */
export const writeChoice = (c) => `${c.layer.id}/${c.by}/${measureOf(c)}`;

/** As the service is asked for it. @param {Choice} c */
export const measureOf = (c) => (c.field ? `${c.kind}:${c.field}` : c.kind);

/** The name of its column in an answer. @param {Choice} c */
export function columnOf(c) {
  if (c.field) return `${c.kind}_${c.field}`;
  return /** @type {Record<string, string>} */ ({ length: "length_m", area: "area_m2" })[c.kind] ?? c.kind;
}

/** What the service's numbers are divided by to be shown: metres and square metres are many. @param {Choice} c */
export const divisorOf = (c) => (c.kind === "length" ? 1000 : c.kind === "area" ? 10_000 : 1);

/** Whether areas add up to a whole, so that 0 says that nothing is there. @param {Choice} c */
export const isAdditive = (c) => ["count", "density", "length", "area", "sum"].includes(c.kind);

/** @param {App} app @param {Layer} layer @returns {Option[]} */
export function kindsOf(app, layer) {
  const numbers = numbersOf(layer).length > 0;
  return KINDS.filter((k) => (!k.of || k.of.test(layer.geometry)) && (!k.field || numbers))
    .map((k) => ({ value: k.id, text: app.t(k.zh, k.en) }));
}

/** @param {App} app @returns {{label: string, options: Option[]}[]} */
export function areasOf(app) {
  const { t, words, layers } = app;
  const filled = (/** @type {Layer | undefined} */ x) => x && AREAL.test(x.geometry) && x.count !== 0;
  const named = Object.entries(NAMED).filter(([, id]) => filled(layers.get(id)));
  const others = [...layers.values()].filter((x) => filled(x) && !Object.values(NAMED).includes(x.id));
  return [
    { label: t("区划与网格", "Divisions and grids"),
      options: named.map(([by, id]) => ({ value: by, text: words.text(layers.get(id)?.title) })) },
    { label: t("格网", "Cells"), options: CELLS.map(([value, zh, en]) => ({ value, text: t(zh, en) })) },
    { label: t("其他面图层", "Other layers of areas"), options: others.map((x) => ({ value: x.id, text: words.text(x.title) })) },
  ].filter((g) => g.options.length);
}

/** @param {App} app @returns {{label: string, options: Option[]}[]} */
export function layersOf(app) {
  return app.catalogue.themes.map((theme) => ({ label: app.words.text(theme.title),
    options: theme.layers.flatMap((id) => {
      const layer = app.layers.get(id);
      return layer && layer.count !== 0 ? [{ value: id, text: app.words.text(layer.title) }] : [];
    }) })).filter((g) => g.options.length);
}

/** The measure in words, without its unit. @param {App} app @param {Choice} c */
export function measureWords(app, c) {
  const kind = KINDS.find((k) => k.id === c.kind) ?? KINDS[0];
  const field = c.layer.fields.find((f) => f.name === c.field);
  if (!field) return app.t(kind.zh, kind.en);
  return app.t(`${field.title.zh}${kind.zh.replace("字段", "")}`, `${field.title.en}, ${kind.en.replace(" of a field", "").toLowerCase()}`);
}

/** @param {App} app @param {Choice} c */
export function unitOf(app, c) {
  const { t } = app;
  if (c.field) return c.layer.fields.find((f) => f.name === c.field)?.unit ?? "";
  return { count: t("个", ""), density: t("个/平方公里", "per km²"), length: t("公里", "km"), area: t("公顷", "ha") }[c.kind] ?? "";
}

/**
 * The question as the service takes it: with the layer's filter and the date on screen.
 * @param {App} app
 * @param {Choice} c
 */
export function questionOf(app, c) {
  // Features are always counted, so that it can be told whether the areas hold all of them.
  const query = new URLSearchParams({ by: c.by, measure: c.kind === "count" ? "count" : `count,${measureOf(c)}` });
  const filter = app.view.filters().get(c.layer.id);
  if (filter) query.set("filter", filter);
  const date = dateOf(app, c);
  if (date) query.set("datetime", date);
  return query;
}

/** The date on screen, where the layer or its areas have dates. @param {App} app @param {Choice} c */
export function dateOf(app, c) {
  const timed = c.layer.hasTime || zoningOf(app, c.by)?.hasTime;
  return timed ? app.state.get("date") : null;
}
