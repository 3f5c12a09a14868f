// SPDX-License-Identifier: Apache-2.0
// The answer of a check: the verdict first, then the rules by verdict, each with what to do and what it rests on.

import { h, icon, ICONS } from "../dom.js";
import { exact } from "../tools/kit.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {"refuse" | "consent" | "note" | "unknown" | "clear"} Verdict
 */

const MU = 10_000 / 15;
/** Verdicts, the worst first: words, and a sign of a shape of its own. @type {Record<Verdict, [string, string, string]>} */
export const VERDICTS = {
  refuse: ["不符合", "Refused", "M8 3h8l5 5v8l-5 5H8l-5-5V8zM9 9l6 6M15 9l-6 6"],
  consent: ["需征求同意", "Needs consent", "M12 3l10 18H2zM12 10v5M12 17.8v.2"],
  note: ["需注意", "To be noted", "M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v6M12 7.5v.5"],
  unknown: ["未判定", "Not judged", "M4 4h16v16H4zM9.5 9.5a2.5 2.5 0 113.6 2.3c-.8.4-1.1.9-1.1 1.7M12 16.8v.2"],
  clear: ["未发现问题", "Clear", "M12 3a9 9 0 100 18 9 9 0 000-18zM8 12l3 3 5-6"],
};
const ORDER = /** @type {Verdict[]} */ (["refuse", "consent", "note", "unknown", "clear"]);

/** @param {App} app @param {Verdict} verdict */
export const verdictText = (app, verdict) => app.t(VERDICTS[verdict][0], VERDICTS[verdict][1]);

/** @param {Verdict} verdict */
export function sign(verdict) {
  return h("span", { class: `sign ${verdict}`, "aria-hidden": "true" }, icon(VERDICTS[verdict][2]));
}

/**
 * Area of a site as people say it: square metres and mu; the title has all digits.
 * @param {App} app
 * @param {number} m2
 */
export function siteArea(app, m2) {
  const { words, t } = app;
  const mu = words.figure(m2 / MU);
  return h("span", { title: `${exact(m2, 2)} m²`, "data-m2": m2 }, t(`${words.figure(m2)} 平方米（${mu} 亩）`, `${words.figure(m2)} m² (${mu} mu)`));
}

/**
 * @param {App} app
 * @param {any} report
 * @param {string} job
 * @param {{pick: (rule: any | null) => void}} does
 */
export function answerOf(app, report, job, does) {
  const { t, words } = app;
  const verdict = /** @type {Verdict} */ (report.verdict);
  /** @type {HTMLElement[]} */
  const heads = [];
  const pick = (/** @type {any} */ rule, /** @type {HTMLElement} */ head) => {
    const off = head.getAttribute("aria-pressed") === "true";
    heads.forEach((other) => other.setAttribute("aria-pressed", String(other === head && !off)));
    does.pick(off ? null : rule);
  };
  const of = (/** @type {Verdict} */ v) => report.rules.filter((/** @type {any} */ r) => r.verdict === v);
  const groups = ORDER.filter((v) => of(v).length).map((v) => {
    const rules = of(v).map((/** @type {any} */ r) => ruleOf(app, r, v, (head) => pick(r, head), heads));
    const folded = v === "clear";
    return h("details", { class: "rule-group", "data-group": v, open: !folded },
      h("summary", {}, icon(ICONS.right), sign(v), h("b", {}, verdictText(app, v)), h("span", { class: "num" }, rules.length)),
      h("ul", { class: "rules" }, ...rules));
  });
  const unknown = report.counts.unknown ?? 0;
  const files = [["pdf", "PDF"], ["docx", "DOCX"], ["page", t("网页报告", "Page")]].map(([output, name]) =>
    h("a", { class: "button", href: app.url(`/jobs/${encodeURIComponent(job)}/results/${output}`), target: "_blank",
      rel: "noopener", "data-output": output }, icon(output === "page" ? ICONS.right : ICONS.download), name));
  return h("div", { class: "answer", "data-verdict": verdict },
    h("div", { class: `verdict ${verdict}` }, sign(verdict),
      h("div", {}, h("p", { class: "verdict-word", tabindex: -1 }, verdictText(app, verdict)),
        h("p", {}, siteArea(app, report.site.area_m2)),
        h("p", { class: "hint" }, t(`按${words.date(report.date)}的规划`, `By the plans of ${words.date(report.date)}`)))),
    h("ul", { class: "verdict-counts", "aria-label": t("各结论的规则数", "Rules by verdict") }, ...ORDER.map((v) =>
      h("li", { "data-count": v, class: report.counts[v] ? "" : "none" }, h("b", {}, report.counts[v] ?? 0),
        h("span", {}, verdictText(app, v))))),
    unknown > 0 && verdict !== "unknown" && h("p", { class: "hint" },
      t(`另有 ${unknown} 条规则未能判定，不等于没有问题。`, `${unknown} more rules could not be judged; that does not mean clear.`)),
    report.synthetic && h("p", { class: "badge wide" }, t("含示例数据，不得用于办事", "Made with sample data, not for real use")),
    h("div", { class: "tool-buttons", role: "group", "aria-label": t("报告", "Report") }, ...files),
    report.site.notes.length > 0 && h("details", { class: "site-notes" },
      h("summary", {}, icon(ICONS.right), t(`对用地范围的处理（${report.site.notes.length}）`, `What was done to the site (${report.site.notes.length})`)),
      h("ul", {}, ...report.site.notes.map((/** @type {any} */ note) => h("li", {}, words.text(note.text))))),
    ...groups,
    h("p", { class: "hint" }, t("指纹 ", "Fingerprint "), h("code", {}, report.fingerprint.slice(0, 16))));
}

/**
 * @param {App} app
 * @param {any} rule
 * @param {Verdict} verdict
 * @param {(head: HTMLElement) => void} pick
 * @param {HTMLElement[]} heads
 */
function ruleOf(app, rule, verdict, pick, heads) {
  const { t, words } = app;
  const hit = verdict !== "clear" && verdict !== "unknown";
  const layer = app.layers.get(rule.layer);
  const bureau = (app.catalogue.codes.planning_bureau ?? []).find((c) => c.code === rule.bureau);
  const head = h("button", { type: "button", class: "rule-head", "aria-pressed": "false",
    title: t("在地图上显示", "Show on the map"), onclick: () => pick(head) },
  h("span", { class: "rule-number" }, rule.number), h("span", { class: "rule-title" }, words.text(rule.title)), icon(ICONS.target));
  heads.push(head);
  /** @type {[string, Node | string | null | false][]} */
  const facts = [
    [t("重叠面积", "Overlap"), hit && rule.overlap_m2 > 0 && h("span", {}, siteArea(app, rule.overlap_m2),
      t(`，占 ${words.figure(rule.share * 100)}%`, `, ${words.figure(rule.share * 100)}%`))],
    [t("最近距离", "Nearest"), rule.nearest_m > 0 && words.length(rule.nearest_m)],
    [t("为何未判定", "Why not"), rule.why && words.text(rule.why)],
    [t("下一步", "What to do"), verdict !== "clear" && words.text(rule.next_step)],
    [t("责任部门", "Bureau"), bureau ? words.text(bureau.title) : rule.bureau],
    [t("图层", "Layer"), layer ? words.text(layer.title) : rule.layer],
    [t("依据", "Rests on"), h("span", {}, words.text(rule.legal.text), " ",
      h("span", { class: "hint" }, [words.text(rule.legal.source), rule.legal.article].filter(Boolean).join(" ")), " ",
      rule.legal.example && h("span", { class: "badge", title: t("未与原文核对", "Not compared with its text") }, t("示例", "Example")))],
  ];
  return h("li", { class: `rule ${verdict}`, "data-rule": rule.number, "data-overlap": rule.overlap_m2 }, head,
    h("dl", { class: "rule-facts" }, ...facts.filter(([, value]) => value).flatMap(([name, value]) =>
      [h("dt", {}, name), h("dd", {}, /** @type {any} */ (value))])));
}

/**
 * A field to name the coordinate system in.
 * @param {App} app
 * @param {(crs: string) => void} name
 */
function systemField(app, name) {
  const { t } = app;
  const field = /** @type {HTMLInputElement} */ (h("input", { type: "text", placeholder: "EPSG:4548", "data-act": "crs", required: true,
    pattern: "\\s*[A-Za-z]+:\\d+\\s*", title: "EPSG:4548" }));
  return h("form", { class: "system", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    name(field.value.trim().toUpperCase());
  } }, h("label", { class: "tool-field" }, h("span", {}, t("指明坐标系", "Name the coordinate system")), field),
  h("button", { type: "submit" }, t("再查一次", "Check again")));
}

/**
 * Why a site was refused, as the service says it.
 * @param {App} app
 * @param {any} details Problem details.
 * @param {{show: (place: number[]) => void, name: (crs: string) => void}} does
 */
export function refusalOf(app, details, does) {
  const { t, words } = app;
  const guesses = /** @type {any[]} */ (details.guesses ?? []);
  const nameless = String(details.type ?? "").endsWith("crs-undecided");
  return h("div", { class: "refusal", role: "alert", "data-fault": details.fault ?? details.type ?? "" }, sign("refuse"),
    h("div", {}, h("p", { class: "verdict-word" }, details.fault ? t("用地范围不可用", "The site cannot be used") : t("未能体检", "The check was not made")),
      h("p", {}, String(details.detail ?? details.title ?? details).replace(/^(用地范围不可用[:：]|The site cannot be used: )/, "")),
      details.gap_m && h("p", {}, t(`缺口 ${words.figure(details.gap_m)} 米`, `The gap is ${words.figure(details.gap_m)} m`)),
      details.todo && !nameless && h("p", { class: "hint" }, details.todo, details.id ? ` ${details.id}` : ""),
      guesses.length > 0 && h("div", { class: "tool-buttons" }, ...guesses.map((guess) => h("button", { type: "button", class: "tool-button",
        "data-crs": guess.crs, onclick: () => does.name(guess.crs) }, `${t("按", "Take as")} ${words.text(guess.name) || guess.crs}`))),
      nameless && systemField(app, does.name),
      details.place && h("div", { class: "actions" }, h("button", { type: "button", class: "plain", "data-act": "place",
        onclick: () => does.show(details.place) }, icon(ICONS.target), t("查看出错位置", "Show the place")))));
}
