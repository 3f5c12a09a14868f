// SPDX-License-Identifier: Apache-2.0
// Drawing a line, an area or a rectangle on the map by mouse, finger or keyboard.

import { overlayOf } from "./overlay.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./geodesic.js").Place} Place
 * @typedef {"line" | "area" | "box"} Kind
 */

/** Pixels within which a click is on a corner that is already there. */
const NEAR = 12;

/**
 * A shape being drawn. Clicks add corners; a double click, Enter, or a click on the last corner (of an area also on
 * the first) ends it; Backspace takes the last corner back; Space adds the map's centre, for who has no mouse; corners
 * of what is drawn can be dragged, or moved by arrow keys. `changed` is called after every change.
 */
export class Sketch {
  /** @type {Place[]} */
  places = [];
  /** @type {Kind} */
  kind;
  done = false;
  #app;
  #name;
  #changed;
  #on = false;
  /** @type {Place | null} */
  #pointer = null;
  /** @type {HTMLElement[]} */
  #handles = [];
  #cross;

  /**
   * @param {App} app
   * @param {string} name Of the tool; one shape of that name is on the map.
   * @param {Kind} kind
   * @param {() => void} changed
   */
  constructor(app, name, kind, changed) {
    this.#app = app;
    this.#name = name;
    this.kind = kind;
    this.#changed = changed;
    this.#cross = document.createElement("div");
    this.#cross.className = "sketch-cross";
    this.#cross.hidden = true;
    app.map.getCanvasContainer().append(this.#cross);
    app.map.on("move", () => this.#placeHandles());
    app.map.on("click", (/** @type {any} */ event) => this.#click(event));
    app.map.on("dblclick", (/** @type {any} */ event) => this.#doubleClick(event));
    app.map.on("mousemove", (/** @type {any} */ event) => this.#move(event));
    // Before the map's own keys and before Esc closes the tool.
    document.addEventListener("keydown", (event) => this.#key(event), true);
  }

  /** Takes clicks and keys until `stop`. */
  start() {
    this.#on = true;
    this.#app.map.doubleClickZoom.disable();
    this.#app.map.getCanvas().classList.add("sketching");
    this.#show();
  }

  /** Leaves what is drawn on the map, and clicks to others. */
  stop() {
    this.#on = false;
    this.#pointer = null;
    this.#app.map.doubleClickZoom.enable();
    this.#app.map.getCanvas().classList.remove("sketching");
    this.#show();
  }

  /** @param {Kind} [kind] Begins anew, perhaps with another kind. */
  clear(kind = this.kind) {
    this.kind = kind;
    this.places = [];
    this.done = false;
    this.#pointer = null;
    this.#show();
    this.#changed();
  }

  /**
   * Takes over places that come from elsewhere, such as the address.
   * @param {Kind} kind
   * @param {Place[]} places
   */
  load(kind, places) {
    this.kind = kind;
    this.places = places;
    this.done = places.length >= this.#least();
    this.#show();
    this.#changed();
  }

  /** Adds the centre of the map. */
  addCentre() {
    const { lng, lat } = this.#app.map.getCenter();
    this.#add([lng, lat]);
  }

  undo() {
    if (this.kind === "box" && this.done) this.places = [];
    else this.places = this.places.slice(0, -1);
    this.done = false;
    this.#show();
    this.#changed();
  }

  finish() {
    if (this.places.length < this.#least()) return;
    this.done = true;
    this.#pointer = null;
    this.#show();
    this.#changed();
  }

  /** Places of the ring or line; a rectangle's four corners. */
  ring() {
    return this.places;
  }

  /** @returns {any} GeoJSON of what is finished, null before. */
  geometry() {
    if (!this.done) return null;
    if (this.kind === "line") return { type: "LineString", coordinates: this.places };
    return { type: "Polygon", coordinates: [[...this.places, this.places[0]]] };
  }

  /** Text for the address: `line/115.98,36.45/116.02,36.47`, empty while unfinished. */
  text() {
    return this.done ? [this.kind, ...this.places.map((p) => p.join(","))].join("/") : "";
  }

  #least() {
    return this.kind === "line" ? 2 : this.kind === "box" ? 4 : 3;
  }

  /** @param {Place} place */
  #add(place) {
    const rounded = round(place);
    if (this.done) this.places = [];
    this.done = false;
    if (this.kind === "box" && this.places.length === 1) {
      const corners = box(this.places[0], rounded);
      if (!corners) return;
      this.places = corners;
      this.finish();
      return;
    }
    const last = this.places.at(-1);
    if (last && last[0] === rounded[0] && last[1] === rounded[1]) return;
    this.places = [...this.places, rounded];
    this.#show();
    this.#changed();
    this.#app.announce(this.#app.t(`已加第 ${this.places.length} 点`, `Corner ${this.places.length} added`));
  }

  /** @param {any} event */
  #click(event) {
    if (!this.#on || event.defaultPrevented) return;
    const corner = this.places.findIndex((p) => near(this.#app.map.project(p), event.point));
    const ends = corner >= 0 && (corner === this.places.length - 1 || (this.kind === "area" && corner === 0));
    if (!this.done && ends) this.finish();
    else this.#add([event.lngLat.lng, event.lngLat.lat]);
  }

  /** @param {any} event */
  #doubleClick(event) {
    if (!this.#on) return;
    event.preventDefault();
    if (!this.done) this.finish();
  }

  /** @param {any} event */
  #move(event) {
    if (!this.#on || this.done || !this.places.length) return;
    this.#pointer = [event.lngLat.lng, event.lngLat.lat];
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const canvas = target === document.body || target.closest("#map");
    if (!this.#on || !canvas || event.altKey || event.ctrlKey || event.metaKey) return;
    if (target.classList.contains("sketch-corner") && event.key.startsWith("Arrow")) return;
    if (event.key === " ") this.addCentre();
    else if (event.key === "Enter" && !this.done) this.finish();
    else if (event.key === "Backspace" || event.key === "Delete") this.undo();
    else if (event.key === "Escape" && this.places.length && !this.done) this.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #show() {
    this.#draw();
    this.#cross.hidden = !this.#on || this.done;
    this.#handles.forEach((handle) => handle.remove());
    this.#handles = this.#on ? this.places.map((_, i) => this.#handle(i)) : [];
    this.#placeHandles();
  }

  #draw() {
    let places = this.places;
    if (this.#pointer && !this.done) {
      places = this.kind === "box" ? box(places[0], this.#pointer) ?? places : [...places, this.#pointer];
    }
    const type = this.kind === "line" || places.length < 3 ? "line" : "area";
    overlayOf(this.#app).set(this.#name, places.length > 1
      ? { type: this.kind === "box" && places.length === 4 ? "frame" : type, places } : null);
  }

  /** @param {number} index */
  #handle(index) {
    const handle = document.createElement("button");
    handle.type = "button";
    handle.className = "sketch-corner";
    handle.setAttribute("aria-label", this.#app.t(`第 ${index + 1} 点，方向键移动`, `Corner ${index + 1}, arrow keys move it`));
    // A finished corner is dragged; the map below must not move with it, nor take the release for a click.
    for (const name of ["mousedown", "touchstart", "click", "dblclick"]) {
      handle.addEventListener(name, (event) => {
        if (this.done) event.stopPropagation();
      });
    }
    handle.addEventListener("pointerdown", (event) => this.#drag(event, handle, index));
    handle.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const step = /** @type {Record<string, number[]>} */ (steps)[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const by = event.shiftKey ? 10 : 1;
      const { x, y } = this.#app.map.project(this.places[index]);
      this.#moveTo(index, [x + step[0] * by, y + step[1] * by]);
      this.#changed();
    });
    this.#app.map.getCanvasContainer().append(handle);
    return handle;
  }

  /**
   * @param {PointerEvent} event
   * @param {HTMLElement} handle
   * @param {number} index
   */
  #drag(event, handle, index) {
    if (!this.done) return;
    event.preventDefault();
    event.stopPropagation();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const frame = this.#app.map.getCanvasContainer().getBoundingClientRect();
    const move = (/** @type {PointerEvent} */ at) => this.#moveTo(index, [at.clientX - frame.left, at.clientY - frame.top]);
    const end = () => {
      handle.removeEventListener("pointermove", move);
      this.#changed();
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end, { once: true });
    handle.addEventListener("pointercancel", end, { once: true });
  }

  /**
   * @param {number} index
   * @param {number[]} point
   */
  #moveTo(index, point) {
    const { lng, lat } = this.#app.map.unproject(point);
    const place = round([lng, lat]);
    if (this.kind === "box") {
      const corners = box(this.places[(index + 2) % 4], place);
      if (!corners) return;
      // The corner in hand keeps its number.
      const at = corners.findIndex((p) => p[0] === place[0] && p[1] === place[1]);
      this.places = corners.map((_, i) => corners[(i + at - index + 4) % 4]);
    } else {
      this.places = this.places.map((p, i) => (i === index ? place : p));
    }
    this.#draw();
    this.#placeHandles();
  }

  #placeHandles() {
    this.#handles.forEach((handle, i) => {
      const { x, y } = this.#app.map.project(this.places[i]);
      handle.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
      handle.dataset.done = String(this.done);
    });
  }
}

/**
 * What an address says of a drawing; null when it is none.
 * @param {string | null} text
 * @param {readonly Kind[]} kinds
 * @returns {{kind: Kind, places: Place[]} | null}
 */
export function readSketch(text, kinds) {
  const [kind, ...parts] = (text ?? "").split("/");
  if (!kinds.includes(/** @type {Kind} */ (kind)) || parts.length < 2 || parts.length > 600) return null;
  const places = parts.map((part) => part.split(",").map(Number));
  const good = places.every((p) => p.length === 2 && Math.abs(p[0]) <= 180 && Math.abs(p[1]) <= 90);
  return good ? { kind: /** @type {Kind} */ (kind), places: /** @type {Place[]} */ (places) } : null;
}

/** @param {Place} place To the centimetre, so that an address gives the same figure again. */
function round([lng, lat]) {
  return /** @type {Place} */ ([Math.round(lng * 1e7) / 1e7, Math.round(lat * 1e7) / 1e7]);
}

/**
 * @param {Place} a
 * @param {Place} b
 * @returns {Place[] | null} Four corners, null when they make no rectangle.
 */
function box(a, b) {
  if (a[0] === b[0] || a[1] === b[1]) return null;
  return [a, [b[0], a[1]], b, [a[0], b[1]]];
}

/**
 * @param {{x: number, y: number}} a
 * @param {{x: number, y: number}} b
 */
function near(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y) <= NEAR;
}
