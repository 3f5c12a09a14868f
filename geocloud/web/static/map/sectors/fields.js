// SPDX-License-Identifier: Apache-2.0
// One input of a process as a control of the form, made from its JSON Schema.

import { h } from "../dom.js";
import { labelled, select } from "../tools/kit.js";
import { featureField, placeField } from "./place.js";
import { shapeOf, typeOf, valuesOf } from "./schema.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {() => any} read The value, undefined where nothing was given; throws an Error in words.
 * @property {(value: any) => void} write
 * @property {() => boolean} [draws] Whether clicks on the map belong to it.
 * @property {() => void} [rest] Leaves the map to others.
 * @property {() => void} [end] Takes what it drew from the map.
 * @property {() => void} [start] Takes clicks on the map where it has no value yet.
 * @property {() => void} [renew] Another input has another value.
 * @typedef {{app: App, name: string, title: string, plain: string, schema: any, ask: any, required: boolean, changed: () => void,
 *   other: (input: string) => any, alone: () => void}} Given `other`: the value of another input; `alone`: all other
 *   controls leave the map.
 */

const SEVERAL_OPEN = 8;

/** @param {Given} given @returns {Field} */
export function fieldOf(given) {
  const { app, name, schema, ask } = given;
  const shape = shapeOf(name, schema, ask, (id) => app.layers.has(id));
  if (shape === "point" || shape === "line" || shape === "area" || shape === "box") return placeField(given, shape);
  if (ask?.layer) return featureField(given, typeOf(schema) === "array");
  if (shape === "choice") return choiceField(given);
  if (shape === "several") return severalField(given);
  if (shape === "yesno") return yesNoField(given);
  if (shape === "number") return numberField(given);
  if (shape === "period") return periodField(given);
  if (shape === "instant") return instantField(given);
  if (shape === "date") return plainField(given, "date");
  if (shape === "layer") return layerField(given);
  if (shape === "list") return listField(given);
  if (shape === "json") return jsonField(given);
  return plainField(given, "text");
}

/**
 * Words of a value: those of the ask, of its code list, of a layer that it names.
 * @param {App} app @param {any} ask @param {any} value
 */
export function wordOf(app, ask, value) {
  const word = ask?.words?.[String(value)] ??
    (app.catalogue.codes[ask?.codes ?? ""] ?? []).find((c) => c.code === String(value))?.title ?? app.layers.get(String(value))?.title;
  return word ? app.words.text(word) : String(value);
}

/** Values to choose from, each with its words. @param {Given} given @param {any} schema */
function options({ app, ask }, schema) {
  const values = valuesOf(schema);
  const known = values.length ? values : ask?.codes ? (app.catalogue.codes[ask.codes] ?? []).map((c) => c.code) : Object.keys(ask?.words ?? {});
  return known.map((/** @type {any} */ value) => ({ value, text: wordOf(app, ask, value) }));
}

/** @param {Given} given */
const nothing = ({ app }) => app.t("不限", "Any");

/** @param {Given} given @returns {Field} */
function choiceField(given) {
  const found = options(given, given.schema);
  const empty = given.required || given.schema.default !== undefined ? [] : [{ value: "", text: nothing(given) }];
  const box = select([...empty, ...found.map((o) => ({ value: String(o.value), text: o.text }))], String(given.schema.default ?? ""),
    given.changed, { "data-input": given.name });
  return { element: labelled(given.title, box), write: (value) => { box.value = String(value ?? ""); },
    read: () => found.find((o) => String(o.value) === box.value)?.value };
}

/** @param {Given} given @returns {Field} */
function severalField(given) {
  const found = options(given, given.schema.items);
  const boxes = found.map((o) => /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", onchange: () => tell(), value: String(o.value) })));
  const summary = h("summary", {});
  const chosen = () => found.filter((_, i) => boxes[i].checked);
  const tell = (quietly = false) => {
    const on = chosen();
    summary.textContent = `${given.title}${given.app.t("：", ": ")}${on.length ? on.map((o) => o.text).join(given.app.t("、", ", ")) : nothing(given)}`;
    if (!quietly) given.changed();
  };
  const list = h("div", { class: "several" }, ...found.map((o, i) => h("label", {}, boxes[i], h("span", {}, o.text))));
  const element = h("details", { class: "sector-several", "data-input": given.name, open: found.length <= SEVERAL_OPEN && given.required }, summary, list);
  tell(true);
  return { element, read: () => { const on = chosen(); return on.length || given.required ? on.map((o) => o.value) : undefined; },
    write: (values) => {
      const on = new Set([values ?? []].flat().map(String));
      found.forEach((o, i) => { boxes[i].checked = on.has(String(o.value)); });
      tell(true);
    } };
}

/** @param {Given} given @returns {Field} */
function yesNoField(given) {
  const { app, schema } = given;
  const box = select([...(schema.default === undefined && !given.required ? [{ value: "", text: nothing(given) }] : []),
    { value: "true", text: app.t("是", "Yes") }, { value: "false", text: app.t("否", "No") }], String(schema.default ?? ""), given.changed,
  { "data-input": given.name });
  return { element: labelled(given.title, box), read: () => (box.value === "" ? undefined : box.value === "true"),
    write: (value) => { box.value = value === undefined || value === null ? "" : String(value); } };
}

/** @param {Given} given @returns {Field} */
function numberField(given) {
  const { app, schema } = given;
  const whole = typeOf(schema) === "integer";
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "number", inputmode: whole ? "numeric" : "decimal", step: whole ? 1 : "any",
    min: schema.minimum ?? null, max: schema.maximum ?? null, value: schema.default ?? "", "data-input": given.name, oninput: given.changed }));
  return { element: labelled(given.title, box), write: (value) => { box.value = value ?? ""; }, read: () => {
    if (box.validity.badInput) throw new Error(app.t("请填数字。", "Give a number."));
    if (box.value === "") return undefined;
    const value = Number(box.value);
    const [low, high] = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum];
    const fits = value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity) && value > (schema.exclusiveMinimum ?? -Infinity) &&
      value < (schema.exclusiveMaximum ?? Infinity) && (!whole || Number.isInteger(value));
    if (!fits) throw new Error(app.t(`可填 ${whole ? "整数" : "数"}${low ?? "…"} 至 ${high ?? "…"}。`, `Give ${whole ? "a whole number" : "a number"} from ${low ?? "…"} to ${high ?? "…"}.`));
    return value;
  } };
}

/** Text of a local time in Beijing, as the browser's field wants it. @param {string} text */
const local = (text) => (/T/.test(text) ? new Date(Date.parse(text) + 8 * 3_600_000).toISOString().slice(0, 16) : `${text}T00:00`);
/** @param {string} text */
const instant = (text) => `${text.length === 16 ? `${text}:00` : text}+08:00`;

/** @param {Given} given @returns {Field} */
function instantField(given) {
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "datetime-local", "data-input": given.name, oninput: given.changed }));
  return { element: labelled(given.app.t(`${given.title}（北京时间）`, `${given.title} (Beijing time)`), box),
    read: () => (box.value ? instant(box.value) : undefined), write: (value) => { box.value = value ? local(String(value)) : ""; } };
}

/** Begin and end as one interval; either may stay open. @param {Given} given @returns {Field} */
function periodField(given) {
  const { app } = given;
  const box = (/** @type {string} */ end) => /** @type {HTMLInputElement} */ (h("input", { type: "datetime-local", "data-input": `${given.name}.${end}`, oninput: given.changed }));
  const [from, to] = [box("from"), box("to")];
  const element = h("div", { class: "sector-period", role: "group", "aria-label": given.title },
    labelled(app.t(`${given.title}自（北京时间）`, `${given.title} from (Beijing time)`), from), labelled(app.t("至", "to"), to));
  return { element, write: (value) => {
    const [a, b] = String(value ?? "").split("/");
    from.value = a && a !== ".." ? local(a) : "";
    to.value = b && b !== ".." ? local(b) : b === undefined && a && !/T/.test(a) ? `${a}T23:59` : "";
  }, read: () => {
    if (!from.value && !to.value) return undefined;
    if (from.value && to.value && from.value > to.value) throw new Error(app.t("结束早于开始。", "It ends before it begins."));
    return `${from.value ? instant(from.value) : ".."}/${to.value ? instant(to.value) : ".."}`;
  } };
}

/** @param {Given} given @returns {Field} */
function layerField(given) {
  const { app } = given;
  const empty = given.schema.default !== undefined ? [] : [{ value: "", text: given.required ? app.t("请选择…", "Choose …") : nothing(given) }];
  const fits = (/** @type {string} */ id) => !given.ask?.geometry || app.layers.get(id)?.geometry === "geometry" || String(app.layers.get(id)?.geometry).includes(given.ask.geometry);
  const known = app.catalogue.themes.flatMap((theme) => theme.layers.filter(fits).map((id) => ({ value: id, text: `${app.words.text(theme.title)} · ${wordOf(app, null, id)}` })));
  const usual = String(given.schema.default ?? "");
  if (usual && !app.layers.has(usual)) known.unshift({ value: usual, text: usual });
  const box = select([...empty, ...known], usual, given.changed, { "data-input": given.name });
  return { element: labelled(given.title, box), read: () => box.value || undefined, write: (value) => { box.value = value ?? ""; } };
}

/** @param {Given} given @param {"text" | "date"} type @returns {Field} */
function plainField(given, type) {
  const { schema } = given;
  const shown = type === "text" ? (schema.examples?.[0] ?? "") : "";
  const box = /** @type {HTMLInputElement} */ (h("input", { type, maxlength: schema.maxLength ?? null, value: schema.default ?? "",
    placeholder: shown, "data-input": given.name, autocomplete: "off", oninput: given.changed }));
  return { element: labelled(given.title, box), write: (value) => { box.value = value ?? ""; }, read: () => {
    const value = box.value.trim();
    if (value && schema.pattern && !new RegExp(schema.pattern, "u").test(value)) {
      throw new Error(given.app.t(`格式不符：${schema.pattern}`, `It does not fit: ${schema.pattern}`));
    }
    return value || undefined;
  } };
}

/** @param {Given} given @returns {Field} */
function listField(given) {
  const { app } = given;
  const numbers = ["number", "integer"].includes(typeOf(given.schema.items ?? {}));
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "text", "data-input": given.name, oninput: given.changed,
    placeholder: app.t("多个以逗号分隔", "Several with commas"), value: (given.schema.default ?? []).join(", ") }));
  return { element: labelled(given.title, box), write: (values) => { box.value = [values ?? []].flat().join(", "); }, read: () => {
    const parts = box.value.split(/[,，;；\s]+/).filter(Boolean);
    if (numbers && parts.some((p) => !Number.isFinite(Number(p)))) throw new Error(app.t("请只填数字，以逗号分隔。", "Give numbers with commas."));
    return parts.length ? (numbers ? parts.map(Number) : parts) : undefined;
  } };
}

/** What no control fits, as it is sent. @param {Given} given @returns {Field} */
function jsonField(given) {
  const box = /** @type {HTMLTextAreaElement} */ (h("textarea", { rows: 3, spellcheck: "false", "data-input": given.name, oninput: given.changed,
    value: given.schema.default === undefined ? "" : JSON.stringify(given.schema.default) }));
  return { element: labelled(`${given.title} (JSON)`, box), write: (value) => { box.value = value === undefined ? "" : JSON.stringify(value); }, read: () => {
    if (!box.value.trim()) return undefined;
    try {
      return JSON.parse(box.value);
    } catch {
      throw new Error(given.app.t("不是 JSON。", "It is no JSON."));
    }
  } };
}
