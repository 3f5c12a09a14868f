// SPDX-License-Identifier: Apache-2.0
// Cards of the inspector: a feature with its fields in words, or what a cluster or cell stands for.

import { copy, h, icon, ICONS } from "./dom.js";
import { swatch } from "./legend.js";
import { lifeOf } from "./life.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Field} Field
 * @typedef {import("./types.js").Layer} Layer
 */

/**
 * A value as people read it: a code with its meaning, a unit, a date in words.
 * @param {App} app
 * @param {Field} field
 * @param {any} value
 * @returns {string}
 */
export function valueText(app, field, value) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "boolean") return value ? app.t("是", "yes") : app.t("否", "no");
  const title = titleOf(app, field, value);
  if (title) return title;
  if (field.type === "date" || field.type === "datetime") return app.words.date(String(value));
  if (field.type === "number" && typeof value === "number") {
    return `${value.toLocaleString("en-US", { maximumFractionDigits: 6 })}${field.unit ? ` ${field.unit}` : ""}`;
  }
  return `${value}${field.unit ? ` ${field.unit}` : ""}`;
}

/**
 * @param {App} app
 * @param {Field} field
 * @param {any} value
 */
function titleOf(app, field, value) {
  if (!field.codes) return "";
  const entry = (app.catalogue.codes[field.codes] ?? []).find((c) => c.code === String(value));
  return entry ? app.words.text(entry.title) : "";
}

/** @param {App} app @param {string} text */
function codeOf(app, text) {
  const words = app.t("复制", "Copy");
  const button = h("button", { type: "button", class: "code", title: words, "aria-label": `${words} ${text}` }, text);
  button.addEventListener("click", async () => {
    if (!(await copy(text))) return;
    button.classList.add("copied");
    app.announce(app.t("已复制", "Copied"));
    window.setTimeout(() => button.classList.remove("copied"), 1200);
  });
  return button;
}

/**
 * @param {App} app
 * @param {{collection: string, fid: string}} hit
 * @param {any} feature GeoJSON, null when it could not be read.
 * @param {any} error
 * @param {boolean} open
 */
export function featureCard(app, hit, feature, error, open) {
  const layer = /** @type {Layer} */ (app.layers.get(hit.collection));
  const { t, words } = app;
  if (!feature) {
    return h("article", { class: "card", "data-card": `${hit.collection}/${hit.fid}` }, head(app, layer, hit.fid),
      h("p", { class: "wrong" }, error?.message ?? t("该要素已不存在。", "This feature is gone.")));
  }
  const values = feature.properties;
  const name = values[layer.label ?? ""] ?? values.name ?? "";
  const filled = layer.fields.filter((f) => values[f.name] !== null && values[f.name] !== undefined && values[f.name] !== "");
  const empty = layer.fields.length - filled.length;
  const list = h("dl", { class: "facts" }, ...filled.flatMap((f) => {
    const isCode = Boolean(f.codes) || layer.key.includes(f.name) || /(^|_)code$/.test(f.name);
    const text = valueText(app, f, values[f.name]);
    const raw = String(values[f.name]);
    return [h("dt", { title: f.description ? words.text(f.description) : null }, words.text(f.title)),
      isCode && text === raw ? h("dd", { class: "alone" }, codeOf(app, raw)) : h("dd", {}, text, isCode && codeOf(app, raw))];
  }));
  const page = app.url(`${layer.items}/${hit.fid}`);
  const details = h("details", { open }, h("summary", {}, icon(ICONS.right), swatch(layer),
    h("span", { class: "name" }, String(name) || `${words.text(layer.title)} ${hit.fid}`),
    h("span", { class: "hint" }, words.text(layer.title))),
  layer.synthetic && h("p", { class: "badge wide" }, t("示例数据，并非真实情况", "Sample data, not the real city")),
  list,
  empty > 0 && h("p", { class: "hint" }, t(`另有 ${empty} 个字段为空`, `${empty} fields are empty`)),
  h("p", { class: "hint" }, t("提供：", "Provided by: "),
    layer.sources.map((s) => words.text(s.title)).join("; ") || t("未登记", "not recorded")),
  h("div", { class: "actions" },
    h("button", { type: "button", class: "plain", onclick: () => zoomTo(app, feature) }, icon(ICONS.target),
      t("缩放至", "Zoom to")),
    h("a", { class: "button plain", href: `${page}?f=html&lang=${app.lang}`, target: "_blank" }, t("网页", "Page")),
    h("a", { class: "button plain", href: `${page}?f=json`, target: "_blank" }, "GeoJSON")));
  details.querySelector("summary")?.addEventListener("click", () => app.view.highlight([feature]));
  if (app.readings?.has(layer.id)) list.before(app.readings.card(layer.id, hit.fid));
  if (layer.hasTime) details.append(lifeOf(app, layer, hit.fid));
  return h("article", { class: "card", "data-card": `${hit.collection}/${hit.fid}` }, details);
}

/**
 * @param {App} app
 * @param {any} feature
 */
function zoomTo(app, feature) {
  const box = boxOf(feature.geometry);
  if (box) app.view.fit(box);
}

/**
 * Box around a GeoJSON geometry.
 * @param {any} geometry
 * @returns {number[] | null}
 */
export function boxOf(geometry) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (/** @type {any} */ c) => {
    if (typeof c[0] !== "number") return c.forEach(walk);
    box[0] = Math.min(box[0], c[0]);
    box[1] = Math.min(box[1], c[1]);
    box[2] = Math.max(box[2], c[0]);
    box[3] = Math.max(box[3], c[1]);
  };
  if (!geometry) return null;
  if (geometry.geometries) geometry.geometries.forEach((/** @type {any} */ g) => walk(g.coordinates));
  else walk(geometry.coordinates);
  return Number.isFinite(box[0]) ? box : null;
}

/**
 * What a cluster, a cell or a merged line stands for.
 * @param {App} app
 * @param {any} feature A feature of a tile.
 */
export function aggregateCard(app, feature) {
  const { t, words } = app;
  const layer = /** @type {Layer} */ (app.layers.get(feature.sourceLayer));
  const p = feature.properties;
  const mix = Object.entries(parse(p.mix)).sort((a, b) => b[1] - a[1]);
  const field = layer.fields.find((f) => f.name === layer.colorBy);
  const most = mix.length ? mix[0][1] : 0;
  const facts = [
    p.count !== undefined && t(`${words.count(p.count)} 个要素`, `${words.count(p.count)} features`),
    p.area_m2 !== undefined && words.area(p.area_m2),
    p.share !== undefined && t(`占单元 ${words.figure(p.share * 100)}%`, `${words.figure(p.share * 100)}% of the cell`),
    p.length_m !== undefined && words.length(p.length_m),
  ].filter(Boolean);
  return h("article", { class: "card", "data-card": feature.sourceLayer }, head(app, layer, ""),
    h("p", { class: "figure" }, facts.join(" · ")),
    mix.length > 0 && h("ul", { class: "mix" }, ...mix.slice(0, 8).map(([code, n]) => {
      const bar = h("span", { class: "bar" });
      bar.style.width = `${Math.max(2, (n / most) * 100)}%`;
      return h("li", {}, h("span", { class: "name" }, (field && titleOf(app, field, code)) || code ||
        t("未分类", "Unclassified")), h("span", { class: "track" }, bar), h("span", { class: "num" }, words.count(n)));
    })),
    h("p", { class: "hint" }, t("放大后可查看单个要素。", "Zoom in to see single features.")));
}

/** @param {any} text @returns {Record<string, number>} */
function parse(text) {
  try {
    return typeof text === "string" ? JSON.parse(text) : text ?? {};
  } catch {
    return {};
  }
}

/** @param {App} app @param {Layer} layer @param {string} fid */
function head(app, layer, fid) {
  return h("h3", {}, swatch(layer), app.words.text(layer.title), fid && ` ${fid}`,
    layer.synthetic && h("span", { class: "badge" }, app.t("示例数据", "Sample")));
}
