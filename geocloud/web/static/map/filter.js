// SPDX-License-Identifier: Apache-2.0
// Filter by attribute: conditions joined by AND, written as CQL2 text, used by tiles, table and counts alike.

import { h, icon, ICONS } from "./dom.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 * @typedef {import("./types.js").Field} Field
 * @typedef {{field: string, op: string, value: string}} Condition
 */

const OPERATORS = {
  code: ["=", "<>", "null", "notnull"],
  text: ["has", "=", "begins", "null", "notnull"],
  number: ["=", ">=", "<=", ">", "<", "null", "notnull"],
  boolean: ["=", "null", "notnull"],
  date: ["=", ">=", "<=", "null", "notnull"],
};

/** @param {App} app */
const operatorNames = (app) => ({
  "=": app.t("等于", "is"), "<>": app.t("不等于", "is not"), has: app.t("包含", "contains"),
  begins: app.t("开头是", "begins with"), ">=": app.t("不小于", "at least"), "<=": app.t("不大于", "at most"),
  ">": app.t("大于", "more than"), "<": app.t("小于", "less than"), null: app.t("为空", "is empty"),
  notnull: app.t("不为空", "is not empty"),
});

/** @param {Field} field */
function kindOf(field) {
  if (field.codes) return "code";
  if (field.type === "integer" || field.type === "number") return "number";
  if (field.type === "boolean") return "boolean";
  return field.type === "date" || field.type === "datetime" ? "date" : "text";
}

/**
 * Conditions as CQL2 text; those without a value are left out.
 * @param {Condition[]} conditions
 * @param {Layer} layer
 */
export function toCql(conditions, layer) {
  const parts = conditions.map(({ field, op, value }) => {
    const found = layer.fields.find((f) => f.name === field);
    if (!found) return "";
    const name = `"${field}"`;
    if (op === "null") return `${name} IS NULL`;
    if (op === "notnull") return `${name} IS NOT NULL`;
    if (value === "") return "";
    const kind = kindOf(found);
    const text = value.replaceAll("'", "''");
    const pattern = text.replace(/[\\%_]/g, (c) => `\\${c}`);
    if (op === "has") return `CASEI(${name}) LIKE CASEI('%${pattern}%')`;
    if (op === "begins") return `CASEI(${name}) LIKE CASEI('${pattern}%')`;
    if (kind === "number") return Number.isFinite(Number(value)) ? `${name} ${op} ${Number(value)}` : "";
    if (kind === "boolean") return `${name} ${op} ${value === "true" ? "TRUE" : "FALSE"}`;
    if (kind === "date" && found.type === "date") return `${name} ${op} DATE('${text}')`;
    if (kind === "date") {
      const bound = op === "<=" ? `${text}T23:59:59+08:00` : `${text}T00:00:00+08:00`;
      return op === "=" ? `${name} >= TIMESTAMP('${utc(`${text}T00:00:00+08:00`)}') AND ${name} <= TIMESTAMP('${
        utc(`${text}T23:59:59+08:00`)}')` : `${name} ${op} TIMESTAMP('${utc(bound)}')`;
    }
    return `${name} ${op} '${text}'`;
  });
  return parts.filter(Boolean).join(" AND ");
}

/** @param {string} text */
function utc(text) {
  return new Date(text).toISOString().replace(".000Z", "Z");
}

/**
 * Conditions read back from CQL2 text that this form wrote; null when it says more than the form can show.
 * @param {string} text
 * @param {Layer} layer
 * @returns {Condition[] | null}
 */
export function fromCql(text, layer) {
  /** @type {Condition[]} */
  const found = [];
  const one = new RegExp(
    String.raw`^(?:CASEI\("(\w+)"\) LIKE CASEI\('(%?)((?:[^']|'')*)%'\)|"(\w+)" IS (NOT )?NULL|` +
    String.raw`"(\w+)" (=|<>|>=|<=|>|<) (?:DATE\('([^']*)'\)|'((?:[^']|'')*)'|(-?[\d.eE+-]+)|(TRUE|FALSE)))(?: AND |$)`,
  );
  let rest = text;
  while (rest) {
    const hit = one.exec(rest);
    if (!hit) return null;
    const plain = (/** @type {string} */ s) => s.replaceAll("''", "'");
    if (hit[1]) {
      found.push({ field: hit[1], op: hit[2] ? "has" : "begins", value: plain(hit[3]).replace(/\\([\\%_])/g, "$1") });
    } else if (hit[4]) found.push({ field: hit[4], op: hit[5] ? "notnull" : "null", value: "" });
    else {
      const value = hit[8] ?? (hit[9] === undefined ? hit[10] ?? hit[11].toLowerCase() : plain(hit[9]));
      found.push({ field: hit[6], op: hit[7], value });
    }
    rest = rest.slice(hit[0].length);
  }
  return found.every((c) => layer.fields.some((f) => f.name === c.field)) ? found : null;
}

/**
 * The form of a layer's filter.
 * @param {App} app
 * @param {Layer} layer
 */
export function filterForm(app, layer) {
  const { t, words } = app;
  const key = `f.${layer.id}`;
  const fields = layer.fields.filter((f) => f.queryable);
  const first = fields.find((f) => f.name === layer.colorBy) ?? fields.find((f) => f.codes) ?? fields[0];
  const current = app.state.get(key) ?? "";
  const read = current ? fromCql(current, layer) : [];
  const blank = () => ({ field: first.name, op: OPERATORS[kindOf(first)][0], value: "" });
  /** @type {Condition[]} */
  let conditions = read?.length ? read : [blank()];
  let byHand = read === null;
  const names = /** @type {Record<string, string>} */ (operatorNames(app));
  const form = h("form", { class: "conditions", onsubmit: (/** @type {Event} */ e) => { e.preventDefault(); apply(); } });

  function apply() {
    const area = /** @type {HTMLTextAreaElement | null} */ (form.querySelector("textarea"));
    const text = byHand ? (area?.value ?? "").trim() : toCql(conditions, layer);
    check(text);
  }

  async function check(/** @type {string} */ text) {
    const status = /** @type {HTMLElement} */ (form.querySelector(".status"));
    try {
      const query = new URLSearchParams({ limit: "1", properties: layer.key[0], ...(text && { filter: text }) });
      const page = await app.fetchJSON(app.url(`${layer.items}?${query}`));
      app.state.set(key, text);
      if (text && !app.visible().includes(layer.id)) app.view.show(layer.id, true);
      const n = page.numberMatched;
      status.textContent = n === undefined ? t("已应用，符合条件的要素很多。", "Applied; very many features match.")
        : n === 0 ? t("没有要素符合条件。可放宽条件后再试。", "No feature matches. Try wider conditions.")
          : t(`已应用：全市 ${words.count(n)} 个要素符合条件。`, `Applied: ${words.count(n)} features in the city match.`);
      status.className = "status hint";
      app.announce(status.textContent ?? "");
    } catch (error) {
      status.textContent = /** @type {Error} */ (error).message;
      status.className = "status wrong";
    }
  }

  function draw() {
    const rows = byHand ? [h("textarea", { rows: 3, spellcheck: "false", "aria-label": t("CQL2 条件", "CQL2 condition"),
      value: app.state.get(key) || toCql(conditions, layer) })] : conditions.map(row);
    form.replaceChildren(...rows,
      h("div", { class: "actions" },
        h("button", { type: "submit", class: "primary" }, t("应用", "Apply")),
        !byHand && h("button", { type: "button", onclick: () => { conditions.push(blank()); draw(); } },
          t("添加条件", "Add a condition")),
        h("button", { type: "button", onclick: clear }, t("清除", "Clear")),
        h("button", { type: "button", class: "plain", onclick: () => { byHand = !byHand; draw(); } },
          byHand ? t("用表单", "Use the form") : t("写 CQL2", "Write CQL2"))),
      h("p", { class: "status hint", role: "status" }));
  }

  function clear() {
    conditions = [blank()];
    byHand = false;
    app.state.set(key, null);
    draw();
  }

  function row(/** @type {Condition} */ condition, /** @type {number} */ i) {
    const field = fields.find((f) => f.name === condition.field) ?? first;
    const kind = /** @type {keyof typeof OPERATORS} */ (kindOf(field));
    const change = (/** @type {Partial<Condition>} */ part) => { Object.assign(condition, part); draw(); };
    const needsValue = condition.op !== "null" && condition.op !== "notnull";
    return h("div", { class: "condition" },
      h("select", { "aria-label": t("字段", "Field"), onchange: (/** @type {any} */ e) => {
        const next = /** @type {Field} */ (fields.find((f) => f.name === e.target.value));
        change({ field: next.name, op: OPERATORS[kindOf(next)][0], value: "" });
      } }, ...fields.map((f) => h("option", { value: f.name, selected: f === field }, words.text(f.title)))),
      h("select", { class: "op", "aria-label": t("比较", "Comparison"),
        onchange: (/** @type {any} */ e) => change({ op: e.target.value }) },
      ...OPERATORS[kind].map((op) => h("option", { value: op, selected: op === condition.op }, names[op]))),
      needsValue && valueField(condition, field, kind),
      conditions.length > 1 && h("button", { type: "button", class: "plain small",
        "aria-label": t("删除条件", "Remove the condition"),
        onclick: () => { conditions.splice(i, 1); draw(); } }, icon(ICONS.close)));
  }

  function valueField(/** @type {Condition} */ condition, /** @type {Field} */ field, /** @type {string} */ kind) {
    const keep = (/** @type {any} */ e) => { condition.value = e.target.value; };
    const label = { "aria-label": t("值", "Value"), class: "value", oninput: keep };
    if (kind === "code" || kind === "boolean") {
      const options = kind === "boolean"
        ? [["true", t("是", "yes")], ["false", t("否", "no")]]
        : (app.catalogue.codes[field.codes ?? ""] ?? []).map((c) => [c.code, words.text(c.title)]);
      return h("select", label, h("option", { value: "" }, t("请选择", "Choose")),
        ...options.map(([value, text]) => h("option", { value, selected: value === condition.value }, text)));
    }
    const type = kind === "number" ? "number" : kind === "date" ? "date" : "text";
    return h("input", { ...label, type, step: kind === "number" ? "any" : null, value: condition.value,
      placeholder: field.unit ?? "" });
  }

  draw();
  return form;
}
