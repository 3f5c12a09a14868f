// SPDX-License-Identifier: Apache-2.0
// Measuring: geodesic length and ellipsoidal area; estimated while drawing, exact from the service when finished.

import { h } from "../dom.js";
import { area, length } from "./geodesic.js";
import { choice, copyable, drawButtons, exact, inAddress } from "./kit.js";
import { overlayOf } from "./overlay.js";
import { readSketch, Sketch } from "./sketch.js";

const ICON = "M3 17L17 3l4 4L7 21zM7 13l2 2M10 10l2 2M13 7l2 2";
const KINDS = /** @type {const} */ (["line", "area"]);

/**
 * The tool `measure`; what is measured is in the address as `measure=line/lon,lat/…` or `measure=area/…`.
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  const body = h("div", { class: "tool-card", "data-tool": "measure" });
  /** @type {any} The service's answer for what is drawn. */
  let truth = null;
  /** @type {unknown} */
  let failed = null;
  /** @type {AbortController | null} */
  let asking = null;
  let open = false;

  const sketch = new Sketch(app, "measure", "line", () => {
    truth = null;
    failed = null;
    asking?.abort();
    if (open) app.state.set("measure", sketch.text() || null);
    if (sketch.done) ask();
    show();
  });

  async function ask() {
    asking = new AbortController();
    try {
      truth = await app.fetchJSON(app.url(`/measure?geometry=${inAddress(sketch.geometry())}`), { signal: asking.signal });
    } catch (error) {
      if (/** @type {any} */ (error)?.name === "AbortError") return;
      failed = error;
    }
    show();
    if (truth) app.announce(said());
  }

  const said = () => (sketch.kind === "area" && truth ? app.words.area(truth.area_m2) : app.words.length(figures().length_m));

  /** @returns {{length_m: number, area_m2?: number}} */
  function figures() {
    if (truth) return truth;
    const { places, kind } = sketch;
    if (kind === "line") return { length_m: length(places) };
    return { length_m: places.length > 2 ? length([...places, places[0]]) : length(places), area_m2: places.length > 2 ? area(places) : 0 };
  }

  function show() {
    const { t, words } = app;
    const isArea = sketch.kind === "area";
    const found = figures();
    const first = isArea ? words.area(found.area_m2 ?? 0) : words.length(found.length_m);
    const last = sketch.places.at(-1);
    overlayOf(app).set("measure:label", last && sketch.places.length > (isArea ? 2 : 1)
      ? { type: "label", places: [last], label: first } : null);
    if (!open) return;
    const rows = [];
    if (sketch.places.length > 1) {
      if (isArea) {
        const m2 = found.area_m2 ?? 0;
        rows.push([t("平方米", "Square metres"), exact(m2, 2), "m²", "area_m2"]);
        rows.push([t("公顷", "Hectares"), exact(m2 / 10_000, 6), t("公顷", "ha"), "area_ha"]);
        rows.push([t("亩", "Mu"), exact(m2 / (10_000 / 15), 4), t("亩", "mu"), "area_mu"]);
        rows.push([t("周长", "Perimeter"), exact(found.length_m, 3), "m", "length_m"]);
      } else {
        rows.push([t("米", "Metres"), exact(found.length_m, 3), "m", "length_m"]);
        rows.push([t("千米", "Kilometres"), exact(found.length_m / 1000, 6), "km", "length_km"]);
      }
    }
    const state = truth ? "exact" : sketch.done ? "asking" : "drawing";
    const word = { exact: t("CGCS2000 椭球精确值", "Exact on the CGCS2000 ellipsoid"),
      asking: failed ? t("服务器未给出精确值，此为估算", "An estimate; the server gave no exact value") : t("正在计算精确值…", "Working out the exact value…"),
      drawing: t("估算，画完后给出精确值", "An estimate; the exact value comes when finished") }[state];
    const focused = /** @type {HTMLElement | null} */ (body.contains(document.activeElement) ? document.activeElement : null);
    const key = focused?.dataset.act ?? focused?.dataset.value;
    body.replaceChildren(
      choice(t("量什么", "What to measure"), [{ value: "line", text: t("长度", "Length") }, { value: "area", text: t("面积", "Area") }],
        isArea ? "area" : "line", (value) => sketch.clear(/** @type {any} */ (value))),
      ...(rows.length
        ? [h("p", { class: "tool-figure", "data-state": state }, first), h("p", { class: "hint" }, word),
          h("table", { class: "tool-table" }, h("tbody", {}, ...rows.map(([label, value, unit, name]) =>
            h("tr", {}, h("th", { scope: "row" }, label), h("td", { "data-figure": name },
              copyable(app, value.replaceAll(",", ""), value), h("span", { class: "unit" }, ` ${unit}`))))))]
        : [h("p", { class: "tool-hint" }, isArea
          ? t("在地图上依次点出各角，双击或回车结束。", "Click the corners on the map one by one; a double click or Enter ends.")
          : t("在地图上依次点出各点，双击或回车结束。", "Click along the line on the map; a double click or Enter ends."))]),
      drawButtons(app, sketch),
      h("p", { class: "hint keys" }, t("键盘:方向键移动地图，空格加中心点，退格撤销。画完后可拖动各点。",
        "Keyboard: arrows move the map, Space adds its centre, Backspace takes back. Corners can be dragged afterwards.")),
    );
    if (key) /** @type {HTMLElement | null} */ (body.querySelector(`[data-act="${key}"], [data-value="${key}"]`))?.focus();
  }

  const tool = app.strip.add({
    id: "measure",
    icon: ICON,
    label: () => app.t("测量", "Measure"),
    toggle(on) {
      open = on;
      if (on) {
        sketch.start();
        show();
        app.inspector.show({ id: "measure", title: app.t("测量", "Measure"), body, onclose: () => tool.off() });
      } else {
        sketch.stop();
        // What was measured stays for printing and sharing; closing the tool takes it away.
        if (!app.strip.active()) {
          asking?.abort();
          sketch.load("line", []);
          app.state.set("measure", null);
        }
        app.inspector.close("measure");
      }
    },
  });

  const follow = () => {
    const text = app.state.get("measure");
    if (text === (sketch.text() || null)) return;
    const asked = readSketch(text, KINDS);
    if (asked) {
      tool.on();
      sketch.load(asked.kind, asked.places);
    } else if (open && sketch.text()) sketch.clear();
  };
  app.state.subscribe("measure", follow);
  app.on("lang", () => {
    if (open) app.inspector.show({ id: "measure", title: app.t("测量", "Measure"), body, onclose: () => tool.off() });
    show();
  });
  follow();
}
