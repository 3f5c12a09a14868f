// SPDX-License-Identifier: Apache-2.0
// Draw and ask: an area on the map, and of each visible layer what lies inside, counted by the service.

import { h } from "../dom.js";
import { choice, drawButtons, inAddress } from "./kit.js";
import { insideCard } from "./inside.js";
import { readSketch, Sketch } from "./sketch.js";

const ICON = "M4 8l7-4 9 5-3 10H7zM9.5 10.5a2.5 2.5 0 113.5 2.3V14.5M13 17v.1";
const KINDS = /** @type {const} */ (["area", "box"]);
/** Layers asked at a time. */
const AT_ONCE = 3;

/**
 * The tool `ask`; the area is in the address as `ask=area/lon,lat/…` or `ask=box/…`.
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  const form = h("div", { class: "tool-form" });
  const found = h("div", { class: "inside", "aria-live": "polite" });
  const body = h("div", { class: "tool-card", "data-tool": "ask" }, form, found);
  let open = false;
  let asking = new AbortController();
  let asked = "";

  const sketch = new Sketch(app, "ask", "area", () => {
    if (open) app.state.set("ask", sketch.text() || null);
    show();
    ask();
  });

  function show() {
    if (!open) return;
    const { t } = app;
    const focused = /** @type {HTMLElement | null} */ (form.contains(document.activeElement) ? document.activeElement : null);
    const key = focused?.dataset.act ?? focused?.dataset.value;
    form.replaceChildren(
      choice(t("画什么", "What to draw"), [{ value: "area", text: t("多边形", "Polygon") },
        { value: "box", text: t("矩形", "Rectangle") }], sketch.kind, (value) => sketch.clear(/** @type {any} */ (value))),
      ...(sketch.done ? [] : [h("p", { class: "tool-hint" }, sketch.kind === "box"
        ? t("点出矩形的两个对角，即可查询其中的要素。", "Click two opposite corners to ask what lies inside.")
        : t("点出多边形各角，双击或回车结束，即可查询其中的要素。", "Click the corners; a double click or Enter asks what lies inside."))]),
      drawButtons(app, sketch),
    );
    if (key) /** @type {HTMLElement | null} */ (form.querySelector(`[data-act="${key}"], [data-value="${key}"]`))?.focus();
  }

  /** What decides the answers: the same question is not asked again. */
  const question = () => [sketch.text(), app.visible().join(), app.state.get("date"), app.lang,
    ...app.view.filters().entries()].join("|");

  async function ask() {
    const now = open && sketch.done ? question() : "";
    if (now === asked) return;
    asked = now;
    asking.abort();
    asking = new AbortController();
    const signal = asking.signal;
    if (!now) {
      found.replaceChildren();
      return;
    }
    const ids = app.visible().slice().reverse();
    if (!ids.length) {
      found.replaceChildren(h("p", { class: "tool-hint" }, app.t("没有打开的图层。请先在左侧打开图层。", "No layer is on. Turn layers on at the left first.")));
      return;
    }
    found.setAttribute("aria-busy", "true");
    const geometry = sketch.geometry();
    /** @type {Map<string, HTMLElement>} */
    const places = new Map(ids.map((id) => [id, h("div", { "data-inside": id })]));
    const summary = h("p", { class: "hint", role: "status" }, app.t("正在查询…", "Asking …"));
    found.replaceChildren(summary, ...places.values());
    const waiting = [...ids];
    let empty = 0;
    const work = async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        const layer = /** @type {import("../types.js").Layer} */ (app.layers.get(id));
        const place = /** @type {HTMLElement} */ (places.get(id));
        const query = condition(id);
        try {
          const address = `/collections/${encodeURIComponent(id)}/summary?geometry=${inAddress(geometry)}${query && `&${query}`}`;
          const answer = await app.fetchJSON(app.url(`${address}&lang=${app.lang}`), { signal });
          if (answer.count === 0) empty += 1;
          else place.replaceChildren(insideCard(app, layer, answer, itemsQuery(id, geometry)));
        } catch (error) {
          if (signal.aborted) return;
          place.replaceChildren(h("p", { class: "wrong" }, `${app.words.text(layer.title)}: ${/** @type {Error} */ (error).message}`));
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (signal.aborted) return;
    found.removeAttribute("aria-busy");
    summary.textContent = empty === ids.length
      ? app.t("范围内没有要素。可换个范围，或打开其他图层。", "Nothing lies inside. Try another area, or turn on other layers.")
      : empty ? app.t(`另有 ${empty} 个图层在范围内没有要素。`, `${empty} more layers have nothing inside.`)
        : app.t("各图层在范围内的要素:", "What lies inside, by layer:");
  }

  /** The layer's own filter and date, as the map shows it. */
  function condition(/** @type {string} */ id) {
    const query = new URLSearchParams();
    const filter = app.view.filters().get(id);
    const date = app.state.get("date");
    if (filter) query.set("filter", filter);
    if (date && app.layers.get(id)?.hasTime) query.set("datetime", date);
    return String(query);
  }

  function itemsQuery(/** @type {string} */ id, /** @type {any} */ geometry) {
    const query = new URLSearchParams(condition(id));
    const inside = `S_INTERSECTS(geom,${wkt(geometry)})`;
    const filter = query.get("filter");
    query.set("filter", filter ? `${inside} AND (${filter})` : inside);
    return query;
  }

  const card = () => app.inspector.show({ id: "ask", title: app.t("范围内有什么", "What lies inside"), body, onclose: () => tool.off() });
  const tool = app.strip.add({
    id: "ask",
    icon: ICON,
    label: () => app.t("圈选查询", "Draw and ask"),
    toggle(on) {
      open = on;
      if (on) {
        sketch.start();
        show();
        card();
        ask();
      } else {
        sketch.stop();
        if (!app.strip.active()) {
          sketch.load("area", []);
          app.state.set("ask", null);
        }
        app.inspector.close("ask");
      }
    },
  });

  const follow = () => {
    const text = app.state.get("ask");
    const given = readSketch(text, KINDS);
    if (text === (sketch.text() || null)) return;
    if (given) {
      tool.on();
      sketch.load(given.kind, given.places);
    } else if (open && sketch.text()) sketch.clear();
  };
  app.state.subscribe("ask", follow);
  for (const event of /** @type {const} */ (["layers", "time", "refresh"])) {
    app.on(event, () => {
      if (event === "refresh") asked = "";
      ask();
    });
  }
  app.on("lang", () => {
    if (!open) return;
    card();
    show();
    ask();
  });
  follow();
}

/**
 * A polygon as CQL2 text writes it.
 * @param {any} polygon GeoJSON
 */
export function wkt(polygon) {
  const rings = polygon.coordinates.map((/** @type {number[][]} */ ring) => `(${ring.map((p) => p.join(" ")).join(",")})`);
  return `POLYGON(${rings.join(",")})`;
}
