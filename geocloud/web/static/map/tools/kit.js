// SPDX-License-Identifier: Apache-2.0
// Parts that the tools' cards share.

import { copy, h } from "../dom.js";

/** @typedef {import("../types.js").App} App */

/**
 * A choice of a few, as one row of buttons of which one is pressed.
 * @param {string} label
 * @param {{value: string, text: string}[]} options
 * @param {string} value
 * @param {(value: string) => void} chosen
 */
export function choice(label, options, value, chosen) {
  const buttons = options.map((option) => h("button", { type: "button", class: "choice", "data-value": option.value,
    "aria-pressed": String(option.value === value), onclick: () => {
      buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.value === option.value)));
      chosen(option.value);
    } }, option.text));
  return h("div", { class: "choices", role: "group", "aria-label": label }, ...buttons);
}

/**
 * A field with its label above.
 * @param {string} label
 * @param {HTMLElement} control
 */
export function labelled(label, control) {
  return h("label", { class: "tool-field" }, h("span", {}, label), control);
}

/**
 * A list to choose from.
 * @param {{value: string, text: string}[]} options
 * @param {string} value
 * @param {(value: string) => void} chosen
 * @param {Record<string, unknown>} [attributes]
 */
export function select(options, value, chosen, attributes = {}) {
  const box = /** @type {HTMLSelectElement} */ (h("select", { ...attributes, onchange: () => chosen(box.value) },
    ...options.map((o) => h("option", { value: o.value, selected: o.value === value }, o.text))));
  return box;
}

/**
 * @param {string} text
 * @param {() => void} act
 * @param {Record<string, unknown>} [attributes]
 */
export function button(text, act, attributes = {}) {
  return /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "tool-button", onclick: act, ...attributes }, text));
}

/**
 * A value that goes to the clipboard when it is pressed.
 * @param {App} app
 * @param {string} text
 * @param {string} [shown]
 */
export function copyable(app, text, shown = text) {
  return h("button", { type: "button", class: "copyable", title: app.t("复制", "Copy"), onclick: async () => {
    app.announce((await copy(text)) ? app.t("已复制", "Copied") : app.t("未能复制", "Could not be copied"));
  } }, shown);
}

/**
 * Buttons for who draws: with a finger there is no Backspace, without a mouse no click.
 * @param {App} app
 * @param {import("./sketch.js").Sketch} sketch
 */
export function drawButtons(app, sketch) {
  return h("div", { class: "tool-buttons" },
    button(app.t("加地图中心点", "Add map centre"), () => sketch.addCentre(), { "data-act": "centre" }),
    button(app.t("撤销", "Undo"), () => sketch.undo(), { "data-act": "undo", disabled: !sketch.places.length }),
    button(app.t("完成", "Finish"), () => sketch.finish(), { "data-act": "finish",
      disabled: sketch.done || sketch.places.length < (sketch.kind === "line" ? 2 : 3) || sketch.kind === "box" }),
    button(app.t("重画", "Start again"), () => sketch.clear(), { "data-act": "clear", disabled: !sketch.places.length }));
}

/**
 * A number for a table: all of it, thousands apart.
 * @param {number} number
 * @param {number} digits After the point.
 */
export function exact(number, digits) {
  return number.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * GeoJSON in an address, escaped where it must be and no further: addresses are limited.
 * @param {any} geometry
 */
export function inAddress(geometry) {
  return encodeURIComponent(JSON.stringify(geometry)).replace(/%(2C|3A)/g, decodeURIComponent);
}
