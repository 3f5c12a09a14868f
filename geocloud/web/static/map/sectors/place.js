// SPDX-License-Identifier: Apache-2.0
// Inputs that come from the map: a place that is clicked, a shape that is drawn, a feature that is picked.

import { h } from "../dom.js";
import { button, choice, drawButtons, labelled } from "../tools/kit.js";
import { overlayOf } from "../tools/overlay.js";
import { Sketch } from "../tools/sketch.js";
import { typeOf } from "./schema.js";

/**
 * @typedef {import("./fields.js").Field} Field
 * @typedef {import("./fields.js").Given} Given
 */

const NEAR = 6;
const DIGITS = 6;

/** Sketches listen to the map as long as it is there, so one of a name is kept for the next form.
 * @type {Map<string, {sketch: Sketch, changed: () => void}>} */
const sketches = new Map();

/**
 * @param {import("../types.js").App} app
 * @param {string} name
 * @param {import("../tools/sketch.js").Kind} kind
 * @param {() => void} changed
 */
function sketchOf(app, name, kind, changed) {
  let kept = sketches.get(name);
  if (!kept) {
    const fresh = { sketch: new Sketch(app, `sector:${name}`, kind, () => fresh.changed()), changed };
    sketches.set(name, (kept = fresh));
  }
  kept.changed = () => {};
  kept.sketch.load(kind, []);
  kept.changed = changed;
  return kept.sketch;
}

/**
 * @param {Given} given
 * @param {"point" | "line" | "area" | "box"} shape
 * @returns {Field}
 */
export function placeField(given, shape) {
  return shape === "point" ? pointField(given) : drawnField(given, shape);
}

/** Calls `fn` with clicks on the map until the returned function is called. @param {any} map @param {(event: any) => void} fn */
function onClicks(map, fn) {
  map.on("click", fn);
  map.getCanvas().classList.add("sketching");
  return () => {
    map.off("click", fn);
    map.getCanvas().classList.remove("sketching");
  };
}

/**
 * Longitude and latitude of a text; in the other order where only that can be.
 * @param {string} text
 * @returns {[number, number] | null}
 */
export function readPlace(text) {
  const numbers = text.split(/[,，\s]+/).filter(Boolean).map(Number);
  if (numbers.length !== 2 || !numbers.every(Number.isFinite)) return null;
  const [a, b] = numbers;
  const [lon, lat] = Math.abs(b) > 90 && Math.abs(a) <= 90 ? [b, a] : [a, b];
  return Math.abs(lon) <= 180 && Math.abs(lat) <= 85 ? [lon, lat] : null;
}

/** @param {Given} given @returns {Field} */
function pointField(given) {
  const { app, name, title } = given;
  const mark = `sector:${name}`;
  /** @type {[number, number] | null} */
  let place = null;
  /** @type {(() => void) | null} */
  let ends = null;
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "text", inputmode: "text", "data-input": name, autocomplete: "off",
    placeholder: app.t("经度, 纬度", "Longitude, latitude"), onchange: () => {
      const read = readPlace(box.value);
      set(read);
      if (read) app.view.goTo(read);
      given.changed();
    } }));
  const pick = button("", () => (ends ? rest() : arm()), { "data-act": `pick-${name}` });
  const centre = button(app.t("用地图中心", "Map centre"), () => {
    const { lng, lat } = app.map.getCenter();
    take([lng, lat]);
  }, { "data-act": `centre-${name}` });
  const element = h("div", { class: "sector-place" }, labelled(title, box), h("div", { class: "tool-buttons" }, pick, centre));

  function set(/** @type {[number, number] | null} */ at) {
    place = at && [Number(at[0].toFixed(DIGITS)), Number(at[1].toFixed(DIGITS))];
    if (place) box.value = place.join(", ");
    overlayOf(app).set(mark, place && { type: "point", places: [place], label: given.plain });
    show();
  }
  function take(/** @type {[number, number]} */ at) {
    set(at);
    rest();
    app.announce(app.t(`已选 ${box.value}`, `Chosen ${box.value}`));
    given.changed();
  }
  function show() {
    pick.textContent = ends ? app.t("请在地图上点一下…", "Click on the map …") : place ? app.t("重新点选", "Pick again") : app.t("在地图上点选", "Pick on the map");
    pick.setAttribute("aria-pressed", String(ends !== null));
  }
  function arm() {
    given.alone();
    ends = onClicks(app.map, (event) => take([event.lngLat.lng, event.lngLat.lat]));
    show();
  }
  function rest() {
    ends?.();
    ends = null;
    show();
  }
  show();
  return { element, draws: () => ends !== null, rest, start: () => { if (!place) arm(); },
    end: () => { rest(); overlayOf(app).set(mark, null); },
    write: (value) => { box.value = ""; set(value?.coordinates ? [value.coordinates[0], value.coordinates[1]] : null); },
    read: () => {
      if (!place && box.value.trim()) throw new Error(app.t("请写“经度, 纬度”，例如 115.98, 36.45。", "Write longitude, latitude, such as 115.98, 36.45."));
      return place ? { type: "Point", coordinates: place } : undefined;
    } };
}

/** @param {Given} given @param {"line" | "area" | "box"} shape @returns {Field} */
function drawnField(given, shape) {
  const { app, name, title, schema } = given;
  let on = false;
  const kinds = shape === "area" ? /** @type {const} */ (["area", "box"]) : [shape];
  const buttons = h("div", {});
  const hint = h("p", { class: "tool-hint" });
  const sketch = sketchOf(app, name, shape, () => { show(); given.changed(); });
  const element = h("fieldset", { class: "sector-place", "data-input": name }, h("legend", {}, title), hint,
    kinds.length > 1 ? choice(title, [{ value: "area", text: app.t("多边形", "Polygon") }, { value: "box", text: app.t("矩形", "Rectangle") }], shape,
      (kind) => { sketch.clear(/** @type {any} */ (kind)); arm(); }) : "", buttons);
  function show() {
    hint.hidden = sketch.done;
    hint.textContent = on ? app.t("在地图上依次点出，双击或回车结束。", "Click on the map; a double click or Enter ends.") : app.t("尚未画出。", "Nothing drawn yet.");
    buttons.replaceChildren(on ? drawButtons(app, sketch) : h("div", { class: "tool-buttons" },
      button(sketch.done ? app.t("修改", "Change") : app.t("在地图上画", "Draw on the map"), arm, { "data-act": `draw-${name}` })));
  }
  function arm() {
    given.alone();
    on = true;
    sketch.start();
    show();
  }
  function rest() {
    if (!on) return;
    on = false;
    sketch.stop();
    show();
  }
  show();
  // A schema that takes many polygons alone is given one of them.
  const many = schema.properties?.type?.const?.startsWith("Multi");
  // One that takes several shapes is given a list of the one that is drawn.
  const list = typeOf(schema) === "array" && typeOf(schema.items ?? {}) === "object";
  return { element, draws: () => on, rest, start: () => { if (!sketch.done) arm(); },
    end: () => { rest(); sketchOf(app, name, shape, () => {}); },
    write: (said) => {
      const value = list ? said?.[0] : said;
      const rings = /^Multi/.test(value?.type ?? "") ? value.coordinates[0] : value?.coordinates;
      const places = !rings ? [] : shape === "line" ? rings : rings[0].slice(0, -1);
      sketch.load(shape === "box" && places.length !== 4 ? "area" : shape, places);
    },
    read: () => {
      const drawn = sketch.geometry();
      if (!drawn) return undefined;
      const one = many ? { type: `Multi${drawn.type}`, coordinates: [drawn.coordinates] } : drawn;
      return list ? [one] : one;
    } };
}

/**
 * A value that features of a layer have: typed, or taken by a click on one of them; with `several` each click adds.
 * @param {Given} given
 * @param {boolean} several
 * @returns {Field}
 */
export function featureField(given, several) {
  const { app, name, title, ask, schema } = given;
  /** @type {(() => void) | null} */
  let ends = null;
  /** @type {Map<string, string>} Names by value, of those that were clicked. */
  const names = new Map();
  const box = /** @type {HTMLInputElement} */ (h("input", { type: "text", "data-input": name, autocomplete: "off", oninput: () => { tell(); given.changed(); },
    placeholder: several ? app.t("多个以逗号分隔", "Several with commas") : "", value: several ? "" : (schema.default ?? "") }));
  const said = h("p", { class: "hint", role: "status" });
  const pick = button("", () => (ends ? rest() : arm()), { "data-act": `pick-${name}` });
  const element = h("div", { class: "sector-place" }, labelled(title, box), said, h("div", { class: "tool-buttons" }, pick));
  const parts = () => box.value.split(/[,，;；\s]+/).filter(Boolean);
  const layerId = () => (ask.layer.startsWith("{") ? given.other(ask.layer.slice(1, -1)) : ask.layer);

  function tell() {
    said.textContent = parts().map((value) => names.get(value)).filter(Boolean).join(app.t("、", ", "));
    said.hidden = !said.textContent;
  }
  function show() {
    const layer = app.layers.get(layerId());
    const what = layer ? app.words.text(layer.title) : String(layerId() ?? "");
    pick.textContent = ends ? several ? app.t("点选完毕", "Done picking") : app.t(`请点一个${what}…`, `Click one: ${what} …`) : app.t(`在地图上选${what}`, `Pick on the map: ${what}`);
    pick.setAttribute("aria-pressed", String(ends !== null));
    pick.disabled = !layer;
  }
  async function clicked(/** @type {any} */ event) {
    const layer = app.layers.get(layerId());
    if (!layer) return;
    const { x, y } = event.point;
    // What has an area is hit where it is clicked; a point is smaller than a finger.
    const reach = /polygon/.test(layer.geometry) ? 0.01 : NEAR;
    const [a, b] = [app.map.unproject([x - reach, y + reach]), app.map.unproject([x + reach, y - reach])];
    const query = new URLSearchParams({ limit: "1", bbox: [a.lng, a.lat, b.lng, b.lat].map((v) => v.toFixed(7)).join(",") });
    try {
      const page = await app.fetchJSON(app.url(`${layer.items}?${query}`));
      const found = page.features[0];
      const value = found?.properties[ask.field];
      if (value === undefined || value === null) {
        app.announce(app.t("此处没有可选的要素", "Nothing to pick here"));
        said.hidden = false;
        said.textContent = app.t("此处没有可选的要素，请再点一次。", "There is nothing to pick here; click again.");
        return;
      }
      const text = String(value);
      names.set(text, String(found.properties[layer.label ?? ""] ?? found.properties.name ?? text));
      const before = parts();
      box.value = !several ? text : (before.includes(text) ? before.filter((v) => v !== text) : [...before, text]).join(", ");
      if (!several) {
        rest();
        app.view.highlight([found]);
      }
      tell();
      app.announce(names.get(text) ?? text);
      given.changed();
    } catch (error) {
      app.problem(error);
    }
  }
  function arm() {
    given.alone();
    const id = layerId();
    if (id && app.layers.has(id)) app.view.show(id, true);
    ends = onClicks(app.map, clicked);
    show();
  }
  function rest() {
    ends?.();
    ends = null;
    show();
  }
  show();
  tell();
  return { element, draws: () => ends !== null, rest, end: () => { rest(); app.view.highlight([]); },
    write: (value) => { box.value = [value ?? []].flat().join(", "); tell(); }, renew: show,
    read: () => {
      const values = parts();
      if (!several) {
        if (values[0] && schema.pattern && !new RegExp(schema.pattern, "u").test(values[0])) throw new Error(app.t("编码不完整，请在地图上选，或核对位数。", "The code is not complete; pick it on the map or check its digits."));
        return values[0];
      }
      return values.length ? values : undefined;
    } };
}
