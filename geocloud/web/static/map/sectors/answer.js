// SPDX-License-Identifier: Apache-2.0
// An answer in words: figures first, what is said beside them, files; and what a failed run is told with.

import { h, icon, ICONS } from "../dom.js";
import { at, figuresOf, said, signOf, valueElement, valueWords } from "./values.js";

/** @typedef {import("../types.js").App} App */

/** Width in letters from which a figure is a sentence; a Chinese one is two wide. */
const LONG = 26;
/** @param {string} text */
const widthOf = (text) => text.replace(/[\u2e80-\uffef]/g, "  ").length;

const NOTES = ["note", "notes", "warnings", "caveats", "hints"];

/**
 * @param {App} app
 * @param {any} one The function.
 * @param {any} process Its description.
 * @param {Record<string, any>} outputs Those that are JSON.
 * @param {string} job
 */
export function answerHead(app, one, process, outputs, job) {
  const { t, words, lang } = app;
  const columns = one.figures.length || one.rows ? one.figures : figuresOf(outputs);
  const figures = columns.filter((/** @type {any} */ c) => valueWords(app, c, at(outputs, c.name, lang)) !== "");
  const documents = Object.values(outputs).filter((d) => d && typeof d === "object");
  const synthetic = documents.some((d) => d.synthetic === true);
  const notes = documents.flatMap((d) => NOTES.flatMap((name) => [d[name] ?? []].flat()).map((n) => said(app, n?.text ?? n?.message ?? n)).filter(Boolean));
  const files = Object.entries(process.outputs).map(([name, output]) => fileOf(app, process.id, job, name, output));
  return h("div", { class: "sector-head" },
    figures.length > 0 && h("dl", { class: "sector-figures" }, ...figures.map((/** @type {any} */ c) => h("div", { "data-figure": c.name, class: widthOf(valueWords(app, c, at(outputs, c.name, lang))) > LONG ? "long" : null },
      h("dt", {}, words.text(c.title)), h("dd", {}, valueElement(app, c, at(outputs, c.name, lang)))))),
    // In English each time says so itself.
    lang === "zh" && [...figures, ...one.columns].some((/** @type {any} */ c) => c.kind === "time") && h("p", { class: "hint" }, "时刻均为北京时间。"),
    notes.length > 0 && h("ul", { class: "sector-notes" }, ...[...new Set(notes)].map((n) => h("li", {}, signOf("note"), n))),
    synthetic && h("p", { class: "badge wide" }, t("含示例数据，不得用于办事", "Made with sample data, not for real use")),
    h("div", { class: "tool-buttons sector-files", role: "group", "aria-label": t("下载", "Downloads") }, ...files));
}

/** @type {Record<string, string>} */
const KINDS = { "application/pdf": "PDF", "text/csv": "CSV", "application/geo+json": "GeoJSON", "application/json": "JSON", "text/html": "HTML", "text/plain": "TXT",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX", "image/png": "PNG", "image/tiff": "GeoTIFF", "image/svg+xml": "SVG", "application/zip": "ZIP" };

/** @param {App} app @param {string} process @param {string} job @param {string} name @param {any} output */
function fileOf(app, process, job, name, output) {
  const media = String(output.schema?.contentMediaType ?? "application/json").split(";")[0];
  const page = media === "text/html" || media === "application/pdf";
  return h("a", { class: "button", href: app.url(`/jobs/${encodeURIComponent(job)}/results/${encodeURIComponent(name)}`), "data-output": name,
    target: page ? "_blank" : null, rel: page ? "noopener" : null, download: page ? null : `${process}-${name}${suffix(media)}` },
  icon(page ? ICONS.right : ICONS.download), h("span", {}, output.title ?? name, " ", h("span", { class: "hint" }, KINDS[media] ?? media)));
}

/** @param {string} media */
function suffix(media) {
  return { "text/csv": ".csv", "application/geo+json": ".geojson", "application/json": ".json" }[media] ?? "";
}

/**
 * What a process says of its inputs, with their titles in place of their names.
 * @param {App} app
 * @param {any} process
 * @param {string} text
 */
function withTitles(app, process, text) {
  const quoted = (/** @type {string} */ name) => `“${process.inputs[name].title}”`;
  const known = (/** @type {string} */ name) => Boolean(process?.inputs[name]?.title);
  const plain = text.replace(/`([^`]+)`/g, (_, name) => (known(name) ? quoted(name) : name));
  // In a Chinese sentence a Latin word that is the name of an input is one.
  return app.lang !== "zh" ? plain : plain.replace(/(?<![\w./-])([a-z][a-z0-9_]*)(?![\w./-])/g, (word) => (known(word) ? quoted(word) : word)).replace(/ ?(“[^”]+”) ?/g, "$1");
}

/**
 * Why there is no answer. What is wrong with an input stands beside it in the form; the rest is listed.
 * @param {App} app
 * @param {any} process Its description.
 * @param {any} told Problem details.
 * @param {(input: string, text: string) => boolean} say
 */
export function failureOf(app, process, told, say) {
  const { t, lang } = app;
  const details = { ...told, detail: withTitles(app, process, String(told.detail ?? told.title ?? told)), todo: told.todo && withTitles(app, process, String(told.todo)) };
  const violations = /** @type {any[]} */ (details.violations ?? []).map((v) => ({ pointer: String(v.pointer ?? ""), text: String(v[lang] ?? v.detail ?? "") }));
  const rest = violations.filter((v) => {
    const input = /^\/inputs\/([^/]+)/.exec(v.pointer)?.[1];
    return !input || !say(input, v.text);
  });
  if (details.parameter) say(details.parameter, details.detail);
  return h("div", { class: "refusal", role: "alert" }, signOf("danger"),
    h("div", {}, h("p", { class: "verdict-word", tabindex: -1 }, t("没有得到结果", "There is no answer")),
      h("p", {}, details.detail),
      rest.length > 0 && h("ul", {}, ...rest.map((v) => h("li", {}, h("code", {}, v.pointer), " ", v.text))),
      details.todo && h("p", { class: "hint" }, details.todo)));
}
