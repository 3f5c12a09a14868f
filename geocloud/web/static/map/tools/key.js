// SPDX-License-Identifier: Apache-2.0
// The legend on paper: what is on the map and nothing else, in the style's own words, colours and images.

import { FAINT, INK } from "./paper.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {import("../types.js").Layer} Layer
 * @typedef {import("../legend.js").Entry} Entry
 * @typedef {{layer: Layer | null, entries: (Entry & {picture: Picture | null})[]}} Group
 * @typedef {{sheet: HTMLImageElement, x: number, y: number, width: number, height: number, ratio: number}} Picture
 */

const DANGER = "#b3372f";
const SHARED = ["cluster", "cells", "ring"];
const EDGE = "rgba(31,42,48,0.45)";

/**
 * Legend entries of what was drawn, of the light style.
 * @param {App} app
 * @param {string[]} ids Collections, the topmost first.
 * @param {Map<string, import("./render.js").Seen>} seen
 * @param {number} zoom
 * @returns {Promise<Group[]>}
 */
export async function readLegend(app, ids, seen, zoom) {
  const [document, images, sheet] = await Promise.all([
    app.fetchJSON(app.url(`/styles/city/legend?lang=${app.lang}&dark=false`)),
    app.fetchJSON(app.url("/sprites/light@2x.json")).catch(() => ({})),
    load(app.url("/sprites/light@2x.png")).catch(() => null),
  ]);
  const byId = new Map(document.layers.map((/** @type {any} */ x) => [x.collection, x.entries]));
  /** @type {Map<string, Group["entries"][number]>} How layers are drawn alike is explained once. */
  const shared = new Map();
  const groups = ids.filter((id) => seen.has(id)).map((id) => {
    const layer = /** @type {Layer} */ (app.layers.get(id));
    const { codes, kinds } = /** @type {import("./render.js").Seen} */ (seen.get(id));
    const all = /** @type {Entry[]} */ (byId.get(id) ?? []);
    const shown = all.filter((e) => {
      if (zoom < (e.minzoom ?? 0) || zoom >= (e.maxzoom ?? 99)) return false;
      if (e.symbol === "cluster") return kinds.has("cluster");
      if (e.symbol === "cells") return kinds.has("cover") || kinds.has("h3");
      if (e.symbol === "ring") return kinds.has("ring");
      return !e.codes?.length || e.codes.some((c) => [...codes].some((code) => code === c || code.startsWith(c)));
    });
    const entries = (shown.length ? shown : all).map((e) => {
      const image = e.icon ? images[e.icon] : null;
      const { x, y, width, height } = image ?? {};
      return { ...e, picture: image && sheet ? { sheet, x, y, width, height, ratio: image.pixelRatio ?? 1 } : null };
    });
    for (const e of entries) if (SHARED.includes(e.symbol) && !shared.has(e.label)) shared.set(e.label, e);
    return { layer, entries: entries.filter((e) => !SHARED.includes(e.symbol)) };
  });
  return shared.size ? [...groups, { layer: null, entries: [...shared.values()] }] : groups;
}

/** @param {string} address */
async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/**
 * @param {App} app
 * @param {import("./paper.js").Paper} paper
 * @param {{x: number, y: number, width: number, height: number}} box
 * @param {number} columns
 * @param {Group[]} groups
 */
export function drawLegend(app, paper, box, columns, groups) {
  paper.text(app.t("图例", "Legend"), box.x, box.y + 3.4, 3.6, { bold: true });
  // Across a page the words that explain every layer take the last line, where they need not be cut.
  const notes = columns > 1 ? groups.filter((g) => !g.layer).flatMap((g) => g.entries) : [];
  let at = box.x;
  for (const entry of notes) {
    swatch(paper, null, entry, at, box.y + box.height - 3, 4, 2.6);
    at += 5.5 + paper.text(entry.label, at + 5, box.y + box.height - 0.8, 2.4) + 5;
  }
  const rows = groups.filter((g) => g.layer || !notes.length).flatMap(({ layer, entries }) => {
    const name = layer ? app.words.text(layer.title) : app.t("各图层", "Every layer");
    if (entries.length === 0) return [];
    if (entries.length === 1 && !entries[0].codes?.length) return [{ text: name, entry: entries[0], layer, first: true }];
    return [{ text: name, entry: null, layer, first: true },
      ...entries.map((entry) => ({ text: entry.label, entry, layer, first: false }))];
  });
  const room = box.height - 6 - (notes.length ? 5 : 0);
  // A long legend is set smaller before it is set in more columns, and cut only where neither helps.
  let [size, count] = [3, columns];
  let flow = places(rows, room / (size * 1.7), count);
  while (flow.length < rows.length && size > 2.2) flow = places(rows, room / ((size -= 0.1) * 1.7), count);
  while (flow.length < rows.length && box.width / (count + 1) > 26) flow = places(rows, room / (size * 1.7), (count += 1));
  const shown = flow.length < rows.length ? flow.length - 1 : rows.length;
  const width = (box.width - (count - 1) * 4) / count;
  flow.forEach(({ column, at }, i) => {
    const [x, y] = [box.x + column * (width + 4), box.y + 6 + (at + 0.7) * size * 1.7];
    if (i >= shown) {
      const rest = rows.length - shown;
      paper.text(app.t(`另有 ${rest} 项，见在线地图`, `${rest} more: see the web map`), x, y, size, { colour: FAINT });
      return;
    }
    const { text, entry, layer, first } = rows[i];
    const indent = entry ? 7.5 : 0;
    if (entry) swatch(paper, layer, entry, x, y - size * 0.9, 6, size * 1.05);
    const mark = first && layer?.synthetic ? app.t("示例数据", "Sample") : "";
    const taken = mark ? paper.measure(mark, size * 0.8) + 1.2 : 0;
    const free = width - indent - taken;
    // Long words are set a little smaller before they are cut.
    const set = size * Math.max(0.78, Math.min(1, free / paper.measure(text, size, !entry)));
    const end = x + indent + paper.text(paper.cut(text, free, set, !entry), x + indent, y, set, { bold: !entry });
    if (mark) paper.text(mark, end + 1.2, y, size * 0.8, { colour: DANGER });
  });
}

/**
 * Column and height, in rows, of as many rows as there is room for; columns are filled evenly, and a group's heading
 * is not left alone at the foot of one.
 * @param {{first: boolean, entry: unknown}[]} rows
 * @param {number} deep
 * @param {number} count
 */
function places(rows, deep, count) {
  const gap = (/** @type {{first: boolean}} */ row) => (row.first ? 0.4 : 0);
  const total = rows.reduce((sum, row) => sum + 1 + gap(row), 0);
  const wanted = Math.min(deep, Math.max(total / count + 1, 4));
  /** @type {{column: number, at: number}[]} */
  const found = [];
  let [column, next] = [0, 0];
  for (const row of rows) {
    const at = next === 0 ? 0 : next + gap(row);
    const needs = row.entry ? 1 : 2;
    if (next > 0 && at + needs > wanted) {
      column += 1;
      next = 0;
    }
    if (column >= count) break;
    const here = next === 0 ? 0 : at;
    found.push({ column, at: here });
    next = here + 1;
  }
  return found;
}

/**
 * @param {import("./paper.js").Paper} paper
 * @param {Layer | null} layer
 * @param {Group["entries"][number]} entry
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} height
 */
function swatch(paper, layer, entry, x, y, width, height) {
  const { context } = paper;
  const colour = entry.color ?? layer?.color ?? INK;
  const [cx, cy] = [x + width / 2, y + height / 2];
  if (entry.picture) {
    const { sheet, width: w, height: h, ratio } = entry.picture;
    // A marker is as high as its line of text, small ones as they are on screen.
    const k = Math.min((height * 1.25) / h, (25.4 / 96) / ratio);
    context.drawImage(sheet, entry.picture.x, entry.picture.y, w, h, cx - (w * k) / 2, cy - (h * k) / 2, w * k, h * k);
  } else if (entry.symbol === "marker" || entry.symbol === "cluster" || entry.symbol === "ring") {
    context.beginPath();
    context.arc(cx, cy, height * (entry.symbol === "marker" ? 0.42 : 0.52), 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.strokeStyle = entry.symbol === "ring" ? colour : "#ffffff";
    context.lineWidth = 0.3;
    if (entry.symbol !== "ring") context.fill();
    context.stroke();
  } else if (entry.symbol === "line" || entry.symbol === "railway") {
    line(paper, entry, x, cy, width, colour);
  } else {
    paper.box(x, y, width, height, { fill: colour, stroke: entry.outline ?? EDGE, line: 0.15 });
    if (layer?.synthetic) paper.hatch(x, y, width, height);
  }
}

/**
 * @param {import("./paper.js").Paper} paper
 * @param {Entry} entry
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {string} colour
 */
function line(paper, entry, x, y, width, colour) {
  const { context } = paper;
  const thick = Math.max(0.3, Math.min(1.6, (entry.width ?? 1.5) * 0.26));
  const stroke = (/** @type {string} */ style, /** @type {number} */ wide, /** @type {number[]} */ dashes = []) => {
    context.save();
    context.strokeStyle = style;
    context.lineWidth = wide;
    context.setLineDash(dashes);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + width, y);
    context.stroke();
    context.restore();
  };
  const edge = entry.casing ?? entry.outline;
  if (edge) stroke(edge, thick + 0.35);
  stroke(colour, thick, entry.symbol === "railway" ? [] : (entry.dashes ?? []).map((d) => d * thick));
  if (entry.symbol === "railway") stroke(entry.gap ?? "#ffffff", thick * 0.5, [0.9, 0.9]);
  if (!edge && /^#f{3,6}$/i.test(colour)) stroke(INK, 0.1);
}
