// SPDX-License-Identifier: Apache-2.0
// The time bar: a slider over the dates at which visible layers change, with steps and play.

import { h, icon, ICONS, quiet } from "../dom.js";

/** @typedef {{date: string, begins: number, ends: number}} Step */

const DAY = 86_400_000;
const BEAT = 1200;
const PLAY = "M8 5l11 7-11 7z";
const PAUSE = "M8 5v14M16 5v14";
const LEFT = "M15 6l-6 6 6 6";

/**
 * The time bar, in the page's slot for it; the date is in the address as `date=2024-05-01`.
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  const bar = app.slots.timebar;
  /** @type {Map<string, Promise<Step[]>>} */
  const known = new Map();
  /** @type {Step[]} */
  let steps = [];
  let first = 0;
  let last = 0;
  let timer = 0;
  let round = 0;
  /** @type {string | null} The date under a slider that is still moving. */
  let pending = null;

  const slider = /** @type {HTMLInputElement} */ (h("input", { type: "range", class: "time-slider", step: 1 }));
  const label = h("output", { class: "time-date" });
  const marks = h("div", { class: "time-marks", "aria-hidden": "true" });
  const ends = h("div", { class: "time-ends", "aria-hidden": "true" });
  const field = /** @type {HTMLInputElement} */ (h("input", { type: "date", class: "time-field" }));
  const back = h("button", { type: "button", class: "plain small", "data-act": "back", onclick: () => step(-1) }, icon(LEFT));
  const play = h("button", { type: "button", class: "plain small", "data-act": "play", onclick: () => (timer ? stop() : start()) }, icon(PLAY));
  const next = h("button", { type: "button", class: "plain small", "data-act": "next", onclick: () => step(1) }, icon(ICONS.right));
  const now = h("button", { type: "button", class: "plain", "data-act": "now", onclick: () => { stop(); app.setDate(null); show(); } });
  bar.append(h("div", { class: "time-buttons", role: "group" }, back, play, next),
    h("div", { class: "time-track" }, marks, slider, ends), label, field, now);

  const today = () => beijing(Date.now());

  function name() {
    const { t } = app;
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", t("时间", "Time"));
    slider.setAttribute("aria-label", t("日期", "Date"));
    field.setAttribute("aria-label", t("输入日期", "Type a date"));
    for (const [button, zh, en] of /** @type {const} */ ([[back, "上一次变化", "Change before"], [next, "下一次变化", "Next change"]])) {
      button.setAttribute("aria-label", t(zh, en));
      button.title = t(zh, en);
    }
    now.textContent = t("现在", "Now");
  }

  /** Dates of the visible layers that have time. */
  async function load() {
    const turn = ++round;
    const ids = app.visible().filter((id) => app.layers.get(id)?.hasTime);
    const date = app.state.get("date");
    if (!ids.length && !date) {
      stop();
      bar.hidden = true;
      return;
    }
    /** @type {Map<string, Step>} */
    const sum = new Map();
    for (const id of ids) {
      let asked = known.get(id);
      if (!asked) {
        asked = app.fetchJSON(app.url(`/collections/${encodeURIComponent(id)}/times`)).then((/** @type {any} */ x) => x.steps);
        asked.catch(() => known.delete(id));
        known.set(id, asked);
      }
      try {
        for (const s of await asked) {
          const before = sum.get(s.date) ?? { date: s.date, begins: 0, ends: 0 };
          sum.set(s.date, { date: s.date, begins: before.begins + s.begins, ends: before.ends + s.ends });
        }
      } catch (error) {
        app.problem(error, app.t("时间未能读取", "The dates could not be read"));
      }
    }
    if (turn !== round) return;
    steps = [...sum.values()].sort((a, b) => (a.date < b.date ? -1 : 1));
    const dates = [...steps.map((s) => s.date), today(), ...(date ? [date.slice(0, 10)] : [])].sort();
    first = dayOf(dates[0]);
    last = dayOf(/** @type {string} */ (dates.at(-1)));
    if (first === last) first -= 365;
    slider.min = String(first);
    slider.max = String(last);
    bar.hidden = false;
    draw();
    show();
  }

  function draw() {
    const most = Math.max(1, ...steps.map((s) => s.begins + s.ends));
    marks.replaceChildren(...steps.map((s) => {
      const mark = h("i", {});
      mark.style.left = `${((dayOf(s.date) - first) / (last - first)) * 100}%`;
      mark.style.height = `${Math.round(20 + 80 * Math.sqrt((s.begins + s.ends) / most))}%`;
      return mark;
    }));
    ends.replaceChildren(h("span", {}, app.words.date(textOf(first))), h("span", {}, app.words.date(textOf(last))));
  }

  /** Writes the date of the address into the bar. */
  function show(given = pending ?? app.state.get("date")?.slice(0, 10) ?? null) {
    const date = given ?? today();
    const words = given ? app.words.date(date) : app.t(`现在(${app.words.date(date)})`, `Now (${app.words.date(date)})`);
    slider.value = String(dayOf(date));
    slider.setAttribute("aria-valuetext", words);
    label.textContent = words;
    field.value = date;
    now.toggleAttribute("disabled", given === null);
    const at = steps.findIndex((s) => s.date === date);
    bar.dataset.step = String(at);
    play.setAttribute("aria-label", timer ? app.t("暂停", "Pause") : app.t("播放", "Play"));
    play.title = play.getAttribute("aria-label") ?? "";
    play.replaceChildren(icon(timer ? PAUSE : PLAY));
  }

  function set(/** @type {string} */ date) {
    pending = null;
    app.setDate(date);
    show(date);
  }
  const soon = quiet(set, 120);

  /**
   * To the change after or before; false when there is none.
   * @param {number} by
   */
  function step(by, playing = false) {
    if (!playing) stop();
    const here = app.state.get("date")?.slice(0, 10) ?? today();
    const found = by > 0 ? steps.find((s) => s.date > here) : steps.findLast((s) => s.date < here);
    if (!found) return false;
    set(found.date);
    app.announce(app.words.date(found.date));
    return true;
  }

  function start() {
    const here = app.state.get("date")?.slice(0, 10) ?? today();
    if (steps.length && !steps.some((s) => s.date > here)) set(steps[0].date);
    timer = window.setInterval(() => { if (!step(1, true)) stop(); }, BEAT);
    show();
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    show();
  }

  slider.addEventListener("input", () => {
    if (timer) stop();
    const date = textOf(Number(slider.value));
    pending = date;
    show();
    soon(date);
  });
  field.addEventListener("change", () => {
    stop();
    if (field.value) set(field.value);
  });
  app.state.subscribe("date", () => show());
  app.on("layers", load);
  app.on("refresh", (change) => {
    if (!known.delete(change.collection)) return;
    load();
  });
  app.on("lang", () => {
    name();
    draw();
    show();
  });
  name();
  load();
}

/** @param {string} date Days since 1970. */
function dayOf(date) {
  return Math.round(Date.parse(`${date.slice(0, 10)}T00:00:00Z`) / DAY);
}

/** @param {number} day */
function textOf(day) {
  return new Date(day * DAY).toISOString().slice(0, 10);
}

/** @param {number} moment The date in Beijing. */
function beijing(moment) {
  return new Date(moment + 8 * 3_600_000).toISOString().slice(0, 10);
}
