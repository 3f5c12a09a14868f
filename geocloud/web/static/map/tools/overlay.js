// SPDX-License-Identifier: Apache-2.0
// What tools draw on the map, as SVG above it: it stays when the style changes, and print draws it again on paper.

import { path as geodesic } from "./geodesic.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("./geodesic.js").Place} Place
 * @typedef {object} Shape
 * @property {"line" | "area" | "point" | "frame" | "label"} type A frame has the edges of a map and not of a geodesic.
 * @property {Place[]} places An area's ring is not closed.
 * @property {string} [label] Stands below a pin, or alone.
 */

/** A pin whose tip is at 0, 0. */
export const PIN = "M0 0C-3-7-10-10-10-18a10 10 0 1120 0C10-10 3-7 0 0z";
const SVG = "http://www.w3.org/2000/svg";
/** @type {WeakMap<App, Overlay>} */
const overlays = new WeakMap();

/**
 * The overlay of the app's map, made when first asked for.
 * @param {App} app
 */
export function overlayOf(app) {
  let found = overlays.get(app);
  if (!found) overlays.set(app, (found = new Overlay(app)));
  return found;
}

export class Overlay {
  /** @type {Map<string, {shape: Shape, element: SVGElement}>} */
  #entries = new Map();
  #app;

  /** @param {App} app */
  constructor(app) {
    this.#app = app;
    this.svg = element("svg", { class: "overlay", "aria-hidden": "true" });
    app.map.getCanvasContainer().append(this.svg);
    app.map.on("move", () => this.#entries.forEach((entry) => this.#place(entry)));
    app.map.on("resize", () => this.#entries.forEach((entry) => this.#place(entry)));
  }

  /**
   * Draws or replaces a shape by its name; null takes it away.
   * @param {string} name
   * @param {Shape | null} shape
   */
  set(name, shape) {
    this.#entries.get(name)?.element.remove();
    this.#entries.delete(name);
    if (!shape || !shape.places.length) return;
    const entry = { shape, element: this.#make(shape, name) };
    this.#entries.set(name, entry);
    this.#place(entry);
    // Pins and labels stand above areas.
    this.svg.insertBefore(entry.element, isPlaced(shape) ? null : this.svg.querySelector("g"));
  }

  /**
   * Every shape on the map, the lowest first, but for those whose name begins so.
   * @param {string} without
   */
  shapes(without) {
    return [...this.#entries].filter(([name]) => !name.startsWith(without)).map(([, entry]) => entry.shape);
  }

  /**
   * @param {Shape} shape
   * @param {string} name
   */
  #make(shape, name) {
    if (!isPlaced(shape)) return element("path", { class: `drawn ${shape.type}`, "data-name": name });
    const group = element("g", { class: `drawn ${shape.type}`, "data-name": name });
    // The tip of the pin is the place.
    if (shape.type === "point") group.append(element("path", { d: PIN }), element("circle", { cx: 0, cy: -18, r: 4 }));
    if (shape.label) {
      const text = element("text", { x: 0, y: shape.type === "point" ? 16 : -12, "text-anchor": "middle" });
      text.textContent = shape.label;
      group.append(text);
    }
    return group;
  }

  /** @param {{shape: Shape, element: SVGElement}} entry */
  #place({ shape, element: drawn }) {
    if (isPlaced(shape)) {
      const { x, y } = this.#app.map.project(shape.places[0]);
      drawn.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    } else {
      drawn.setAttribute("d", outline(shape, (place) => this.#app.map.project(place)));
    }
  }
}

/** @param {Shape} shape */
function isPlaced(shape) {
  return shape.type === "point" || shape.type === "label";
}

/**
 * SVG path data of a line, an area or a frame.
 * @param {Shape} shape
 * @param {(place: Place) => {x: number, y: number}} project
 */
export function outline(shape, project) {
  const { places, type } = shape;
  const round = type !== "line" && places.length > 2;
  const corners = round ? [...places, places[0]] : places;
  const along = corners.slice(1).flatMap((to, i) => (type === "frame" ? [to] : geodesic(corners[i], to)));
  const points = [corners[0], ...along].map((place) => project(place));
  return `M${points.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}${round ? "Z" : ""}`;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @returns {any}
 */
function element(tag, attributes) {
  const found = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, String(value));
  return found;
}
