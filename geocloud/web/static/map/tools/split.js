// SPDX-License-Identifier: Apache-2.0
// Split view: a second map beside the first, of another date or with other layers, under one camera.

import { h, icon, ICONS } from "../dom.js";
import { Differences } from "./differences.js";
import { choice, labelled } from "./kit.js";
import { overlayOf } from "./overlay.js";

const ICON = "M4 5h16v14H4zM12 3v18M8 10l-2 2 2 2M16 10l2 2-2 2";
/** How far the divider goes, in percent of the map. */
const [LEAST, MOST] = [5, 95];

/**
 * @typedef {object} Split
 * @property {number} at Place of the divider in percent from the left.
 * @property {string | null} date On the right; null: the same as on the left.
 * @property {string[] | null} layers On the right; null: the same as on the left.
 * @property {boolean} diff Whether what differs between both dates is drawn.
 */

/**
 * The tool `split`; what it shows is in the address as `split=50/2024-01-01/base.road,base.poi`, `-` for the same as
 * on the left, with `/diff` behind it where differences are shown.
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  const stage = /** @type {HTMLElement} */ (document.getElementById("map"));
  const body = h("div", { class: "tool-card", "data-tool": "split" });
  const canvas = h("div", { class: "split-map", "aria-hidden": "true" });
  const divider = h("div", { class: "split-divider", role: "separator", tabindex: 0, "aria-orientation": "vertical",
    "aria-valuemin": LEAST, "aria-valuemax": MOST }, h("span", { class: "split-grip" }, icon("M9 8l-4 4 4 4M15 8l4 4-4 4")));
  const [left, right] = ["left", "right"].map((side) => h("p", { class: `split-side ${side}` }));
  /** @type {Split | null} */
  let now = null;
  /** @type {any} */
  let other = null;
  let follow = () => {};
  let open = false;
  /** Changes of what the right side shows, so that an older one does not overtake a newer. */
  let turn = 0;
  let drawn = "";

  const differences = new Differences(app);
  const write = (/** @type {Split} */ s) =>
    [s.at, s.date ?? "-", s.layers?.join(",") ?? "-", ...(s.diff ? ["diff"] : [])].join("/");
  const change = (/** @type {Partial<Split>} */ part, step = true) =>
    app.state.set("split", write({ .../** @type {Split} */ (now), ...part }), { step });

  function begin() {
    // Below what tools have drawn, above the first map.
    overlayOf(app).svg.before(canvas);
    stage.append(divider, left, right);
    const { maplibre, map } = app;
    other = new maplibre.Map({
      container: canvas, style: { version: 8, sources: {}, layers: [] }, ...camera(), interactive: false,
      attributionControl: false, fadeDuration: 0, maxZoom: 20, maxPitch: 0,
      localIdeographFontFamily: map._localIdeographFontFamily ?? map.style?.glyphManager?.localIdeographFontFamily,
    });
    app.split = { map: other, at: sideAt };
    map.on("move", together);
    map.on("resize", together);
  }

  /** What lies at a pixel, null left of the divider. */
  function sideAt(/** @type {number} */ x) {
    if (!now || !other || x < (stage.clientWidth * now.at) / 100) return null;
    return { map: other, layers: now.layers ?? app.visible(), date: now.date };
  }

  const camera = () => ({ center: app.map.getCenter(), zoom: app.map.getZoom(), bearing: app.map.getBearing() });
  const together = () => other?.jumpTo(camera());

  function end() {
    if (!other) return;
    differences.show(null, []);
    follow();
    follow = () => {};
    app.map.off("move", together);
    app.map.off("resize", together);
    other.remove();
    other = null;
    app.split = undefined;
    drawn = "";
    for (const part of [canvas, divider, left, right]) part.remove();
  }

  /** Shows what the address says. */
  async function show() {
    now = readSplit(app.state.get("split"), (id) => app.layers.has(id));
    if (!now) {
      end();
      form();
      return;
    }
    if (!other) begin();
    place(now.at);
    tags();
    compare();
    form();
    const wanted = write({ ...now, at: 0 });
    if (wanted === drawn) return;
    drawn = wanted;
    const mine = ++turn;
    follow();
    /** @type {{layers?: string[], date?: string | null}} */
    const options = {};
    if (now.layers) options.layers = now.layers;
    if (now.date) options.date = now.date;
    const stop = await app.styleFor(other, options);
    if (mine === turn && other) follow = stop;
    else stop();
  }

  function place(/** @type {number} */ at) {
    canvas.style.clipPath = `inset(0 0 0 ${at}%)`;
    divider.style.left = `${at}%`;
    left.style.right = `${100 - at}%`;
    right.style.left = `${at}%`;
    divider.setAttribute("aria-valuenow", String(Math.round(at)));
    divider.setAttribute("aria-label", app.t("分隔线，左右方向键移动", "Divider, left and right arrows move it"));
  }

  function tags() {
    if (!now) return;
    const { t, words } = app;
    const dated = (/** @type {string | null} */ date) => (date ? words.date(date.slice(0, 10)) : t("现在", "Now"));
    const mine = app.state.get("date");
    const title = (/** @type {string} */ id) => words.text(app.layers.get(id)?.title);
    const here = app.visible();
    const there = now.layers ?? here;
    const more = there.filter((id) => !here.includes(id));
    const less = here.filter((id) => !there.includes(id));
    const some = (/** @type {string[]} */ ids) => ids.slice(0, 2).map(title).join(t("、", ", ")) + (ids.length > 2 ? t(" 等", " …") : "");
    const differs = [more.length && t(`加 ${some(more)}`, `with ${some(more)}`), less.length && t(`无 ${some(less)}`, `without ${some(less)}`)].filter(Boolean);
    const say = (/** @type {string | null} */ date, /** @type {string} */ layers) =>
      [(now?.date || mine) && dated(date), now?.layers && layers].filter(Boolean).join(" · ") || t("两侧相同", "Both sides alike");
    left.textContent = say(mine, t("左侧图层", "Layers of the left"));
    right.textContent = say(now.date ?? mine, differs.join(t("，", ", ")) || t("图层相同", "the same layers"));
  }

  /** The dates of both sides, the earlier first; null where there are no two. */
  function span() {
    if (!now?.date || now.layers) return null;
    const [a, b] = [app.state.get("date"), now.date].map((x) => x?.slice(0, 10) ?? null);
    if (a === b || !b) return null;
    const today = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10);
    if (a === null) return b < today ? { from: b, to: null } : b > today ? { from: today, to: b } : null;
    return a < b ? { from: a, to: b } : { from: b, to: a };
  }

  function compare() {
    differences.show(now?.diff && other ? span() : null, other ? [app.map, other] : []);
  }

  function form() {
    if (!open) return;
    const { t, words } = app;
    if (!now) {
      body.replaceChildren();
      return;
    }
    const mode = now.layers ? "layers" : "date";
    const timed = app.visible().filter((id) => app.layers.get(id)?.hasTime);
    const field = /** @type {HTMLInputElement} */ (h("input", { type: "date", id: "split-date", value: now.date ?? "",
      onchange: () => change({ date: field.value || null }) }));
    const folded = /** @type {HTMLDetailsElement | null} */ (body.querySelector("details"));
    const parts = mode === "date" ? [
      labelled(t("右侧日期", "Date on the right"), field),
      h("p", { class: "hint" }, timed.length || now.diff
        ? t(`左侧为${app.state.get("date") ? words.date(app.state.get("date") ?? "") : "现在"}，用下方时间条调整。`,
          `The left shows ${app.state.get("date") ? words.date(app.state.get("date") ?? "") : "the present"}; change it by the time bar.`)
        : t("打开的图层都没有时间变化，两侧会相同。请先打开有时间的图层。", "No visible layer has dates, so both sides are alike. Turn on one that has."))]
      : [h("details", { open: folded ? folded.open : true }, h("summary", {}, icon(ICONS.right), t("右侧图层", "Layers on the right")),
        h("div", { class: "split-layers" }, ...app.view.drawable().map(box)))];
    const key = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.value ?? document.activeElement?.id;
    body.replaceChildren(
      choice(t("比较什么", "What to compare"), [{ value: "date", text: t("两个日期", "Two dates") },
        { value: "layers", text: t("两组图层", "Two sets of layers") }], mode, (value) => {
        if (value === "layers") change({ layers: app.visible(), date: null });
        else change({ layers: null, date: null });
      }),
      ...parts,
      ...(mode === "date" ? [differ()] : []),
      h("p", { class: "hint keys" }, t("拖动地图上的分隔线；键盘选中分隔线后用左右方向键移动。", "Drag the divider on the map; with the keyboard, focus it and use the left and right arrows.")));
    if (key) /** @type {HTMLElement | null} */ (body.querySelector(`[data-value="${key}"], [id="${key}"]`))?.focus();
  }

  /** The switch for differences, and their legend. */
  function differ() {
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: "split-diff", checked: !!now?.diff,
      disabled: !span(), onchange: () => change({ diff: input.checked }) }));
    return h("div", { class: "split-diff" },
      h("label", { class: "split-layer" }, input, app.t("显示差异", "Show differences")),
      !span() && h("p", { class: "hint" }, app.t("给右侧选一个与左侧不同的日期。", "Choose a date on the right that is not that of the left.")),
      now?.diff && span() && differences.list);
  }

  function box(/** @type {string} */ id) {
    const layer = app.layers.get(id);
    if (!layer || !now?.layers) return "";
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", id: `split-${id}`, checked: now.layers.includes(id),
      onchange: () => {
        const ids = app.view.drawable().filter((x) => (x === id ? input.checked : now?.layers?.includes(x)));
        change({ layers: ids });
      } }));
    return h("label", { class: "split-layer" }, input, app.words.text(layer.title),
      layer.synthetic && h("span", { class: "badge" }, app.t("示例数据", "Sample")));
  }

  divider.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    divider.focus();
    divider.setPointerCapture(event.pointerId);
    const frame = stage.getBoundingClientRect();
    let at = now?.at ?? 50;
    const move = (/** @type {PointerEvent} */ e) => {
      at = within(((e.clientX - frame.left) / frame.width) * 100);
      place(at);
    };
    divider.addEventListener("pointermove", move);
    divider.addEventListener("lostpointercapture", () => {
      divider.removeEventListener("pointermove", move);
      change({ at }, false);
    }, { once: true });
  });
  for (const name of ["mousedown", "touchstart", "click", "dblclick"]) {
    divider.addEventListener(name, (event) => event.stopPropagation());
  }
  divider.addEventListener("keydown", (event) => {
    const at = now?.at ?? 50;
    const by = event.shiftKey ? 10 : 2;
    const next = { ArrowLeft: at - by, ArrowRight: at + by, Home: LEAST, End: MOST }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    change({ at: within(next) }, false);
  });

  const card = () => app.inspector.show({ id: "split", title: app.t("分屏比较", "Split view"), body, onclose: () => tool.off() });
  const tool = app.strip.add({
    id: "split",
    icon: ICON,
    clicks: false,
    label: () => app.t("分屏比较", "Split view"),
    toggle(on) {
      open = on;
      if (on) {
        if (!app.state.get("split")) app.state.set("split", write({ at: 50, date: null, layers: null, diff: false }));
        show();
        card();
      } else {
        // Another tool may be used on what is being compared; closing the tool ends it.
        if (!app.strip.active()) app.state.set("split", null);
        app.inspector.close("split");
      }
    },
  });
  app.state.subscribe("split", () => {
    if (!app.state.get("split") && open) tool.off();
    show();
  });
  app.on("layers", () => { tags(); compare(); form(); });
  app.on("theme", compare);
  app.on("time", () => { compare(); form(); });
  app.on("lang", () => {
    if (now) place(now.at);
    tags();
    compare();
    form();
    if (open) card();
  });
  if (readSplit(app.state.get("split"), (id) => app.layers.has(id))) {
    if (app.strip.active()) show();
    else tool.on();
  }
}

/**
 * What an address says of the split; null when it is none.
 * @param {string | null} text
 * @param {(id: string) => boolean} has Whether there is such a layer.
 * @returns {Split | null}
 */
export function readSplit(text, has) {
  const [at, date, ids, diff] = (text ?? "").split("/");
  const number = Number(at);
  if (!text || !Number.isFinite(number)) return null;
  const given = date && date !== "-" && !Number.isNaN(Date.parse(date)) ? date : null;
  const layers = ids && ids !== "-" ? ids.split(",").filter(has) : null;
  return { at: within(number), date: given, layers, diff: diff === "diff" };
}

/** @param {number} at */
function within(at) {
  return Math.round(Math.min(MOST, Math.max(LEAST, at)) * 10) / 10;
}
