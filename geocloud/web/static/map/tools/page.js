// SPDX-License-Identifier: Apache-2.0
// The printed page: title, map, scale bar in metres, north where it is turned, legend of what is on it, date of the
// data, sources, coordinate reference system.

import { drawLegend, readLegend } from "./key.js";
import { distance } from "./geodesic.js";
import { outline, PIN } from "./overlay.js";
import { FAINT, INK, LINE, Paper, SIZES } from "./paper.js";
import { render } from "./render.js";

/**
 * @typedef {import("../types.js").App} App
 * @typedef {object} Wish
 * @property {"A4" | "A3"} paper
 * @property {"landscape" | "portrait"} turn
 * @property {number} dpi
 * @property {number} scale Its denominator; 0: what is on screen fits.
 * @property {string} title
 */

const MARGIN = 10;
const GAP = 4;
const HEAD = 13;
const FOOT = 15;
/** Millimetres of a CSS pixel. */
const PIXEL = 25.4 / 96;
const DANGER = "#b3372f";

/**
 * Where the map lies on the page, in millimetres.
 * @param {Wish} wish
 */
export function layout(wish) {
  const [short, long] = SIZES[wish.paper];
  const [width, height] = wish.turn === "landscape" ? [long, short] : [short, long];
  const inner = { x: MARGIN, y: MARGIN + HEAD, width: width - 2 * MARGIN, height: height - 2 * MARGIN - HEAD - FOOT };
  const big = wish.paper === "A3" ? 1.25 : 1;
  if (wish.turn === "landscape") {
    const side = 56 * big;
    const map = { ...inner, width: inner.width - side - GAP };
    return { width, height, map, legend: { x: map.x + map.width + GAP, y: inner.y, width: side, height: inner.height }, columns: 1 };
  }
  const below = 52 * big;
  const map = { ...inner, height: inner.height - below - GAP };
  return { width, height, map, legend: { x: inner.x, y: map.y + map.height + GAP, width: inner.width, height: below }, columns: 3 };
}

/**
 * What of the earth comes on paper.
 * @param {App} app
 * @param {Wish} wish
 * @returns {import("./render.js").Frame}
 */
export function frameOf(app, wish) {
  const { map } = layout(wish);
  const [width, height] = [map.width / PIXEL, map.height / PIXEL];
  const { lng, lat } = app.map.getCenter();
  const screen = app.map.getContainer();
  let zoom = app.map.getZoom() + Math.log2(Math.min(width / screen.clientWidth, height / screen.clientHeight));
  if (wish.scale) {
    // Metres of a pixel at zoom 0 are the equator's over the 512 pixels of the one tile.
    const metres = (2 * Math.PI * 6378137 * Math.cos((lat * Math.PI) / 180)) / 512;
    zoom = Math.log2(metres / ((wish.scale * PIXEL) / 1000));
  }
  return { center: [lng, lat], zoom: Math.max(0, Math.min(22, zoom)), bearing: app.map.getBearing(), width: Math.round(width), height: Math.round(height) };
}

/**
 * Draws the page.
 * @param {App} app
 * @param {Wish} wish
 * @param {import("./overlay.js").Shape[]} shapes What tools have drawn.
 * @param {{at: number, date: string | null, layers: string[] | null} | null} split
 */
export async function drawPage(app, wish, shapes, split) {
  const place = layout(wish);
  const frame = frameOf(app, wish);
  const dense = (wish.dpi / 96) * (place.map.width / PIXEL / frame.width);
  // Paper is white, whatever the screen is.
  const style = await app.fetchJSON(app.url(`/styles/city?lang=${app.lang}&dark=false`));
  const drawn = await render(app, frame, dense, { style });
  const other = split && await render(app, frame, dense, { style, ...(split.layers && { layers: split.layers }), ...(split.date && { date: split.date }) });
  const paper = new Paper(place.width, place.height, wish.dpi);
  const { map } = place;
  const { context } = paper;
  context.drawImage(drawn.canvas, map.x, map.y, map.width, map.height);
  if (other && split) {
    const at = map.width * (split.at / 100);
    const from = Math.round(other.canvas.width * (split.at / 100));
    context.drawImage(other.canvas, from, 0, other.canvas.width - from, other.canvas.height, map.x + at, map.y, map.width - at, map.height);
    paper.box(map.x + at - 0.2, map.y, 0.4, map.height, { fill: INK });
  }
  drawShapes(app, paper, place, frame, drawn, shapes);
  paper.box(map.x, map.y, map.width, map.height, { stroke: FAINT, line: 0.25 });
  const scale = scaleOf(drawn, frame, place);
  furniture(app, paper, place, scale, frame.bearing);
  head(app, paper, place, wish, scale);
  const ids = [...new Set([...app.visible(), ...(split?.layers ?? [])])].reverse();
  const seen = merged(drawn.seen, other?.seen);
  const groups = await readLegend(app, ids, seen, frame.zoom);
  drawLegend(app, paper, place.legend, place.columns, groups);
  foot(app, paper, place, ids.filter((id) => seen.has(id)), split);
  const at = (/** @type {number} */ x, /** @type {number} */ y) => {
    const { lng, lat } = drawn.unproject([x, y]);
    return /** @type {[number, number]} */ ([lng, lat]);
  };
  const corners = [at(0, frame.height), at(0, 0), at(frame.width, 0), at(frame.width, frame.height)];
  return { paper, place: { ...map, corners }, scale, layers: groups.flatMap((g) => g.layer?.id ?? []) };
}

/**
 * @param {Map<string, import("./render.js").Seen>} a
 * @param {Map<string, import("./render.js").Seen>} [b]
 */
function merged(a, b) {
  for (const [id, { codes, kinds }] of b ?? []) {
    const before = a.get(id);
    a.set(id, { codes: new Set([...(before?.codes ?? []), ...codes]), kinds: new Set([...(before?.kinds ?? []), ...kinds]) });
  }
  return a;
}

/**
 * @param {App} app
 * @param {Paper} paper
 * @param {ReturnType<typeof layout>} place
 * @param {import("./render.js").Frame} frame
 * @param {import("./render.js").Drawn} drawn
 * @param {import("./overlay.js").Shape[]} shapes
 */
function drawShapes(app, paper, { map }, frame, drawn, shapes) {
  const { context } = paper;
  context.save();
  context.beginPath();
  context.rect(map.x, map.y, map.width, map.height);
  context.clip();
  const accent = "#1c6e8c";
  for (const shape of shapes) {
    context.save();
    context.translate(map.x, map.y);
    context.scale(map.width / frame.width, map.height / frame.height);
    if (shape.type === "point" || shape.type === "label") {
      const { x, y } = drawn.project(shape.places[0]);
      context.translate(x, y);
      if (shape.type === "point") {
        context.fillStyle = DANGER;
        context.strokeStyle = "#ffffff";
        context.lineWidth = 1.5;
        const pin = new Path2D(PIN);
        context.fill(pin);
        context.stroke(pin);
      }
      context.restore();
      if (shape.label) {
        const [px, py] = [map.x + x * PIXEL, map.y + (y + (shape.type === "point" ? 16 : -12)) * PIXEL];
        const width = paper.measure(shape.label, 3.2, true);
        context.fillStyle = "rgba(255,255,255,0.85)";
        context.fillRect(px - width / 2 - 0.8, py - 3.2, width + 1.6, 4.2);
        paper.text(shape.label, px, py, 3.2, { bold: true, align: "center" });
      }
      continue;
    }
    const path = new Path2D(outline(shape, (p) => drawn.project(p)));
    if (shape.type !== "line") {
      context.fillStyle = "rgba(28,110,140,0.14)";
      context.fill(path);
    }
    context.lineJoin = context.lineCap = "round";
    for (const [colour, width] of /** @type {const} */ ([["rgba(255,255,255,0.9)", 5], [accent, 2.5]])) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke(path);
    }
    context.restore();
  }
  context.restore();
}

/**
 * Metres of a millimetre of paper in the middle of the map.
 * @param {import("./render.js").Drawn} drawn
 * @param {import("./render.js").Frame} frame
 * @param {ReturnType<typeof layout>} place
 */
function scaleOf(drawn, frame, place) {
  const [x, y] = [frame.width / 2, frame.height / 2];
  const [a, b] = [drawn.unproject([x - 50, y]), drawn.unproject([x + 50, y])];
  const metres = distance([a.lng, a.lat], [b.lng, b.lat]);
  return metres / (100 * (place.map.width / frame.width));
}

/**
 * @param {App} app
 * @param {Paper} paper
 * @param {ReturnType<typeof layout>} place
 * @param {number} scale
 * @param {number} bearing
 */
function furniture(app, paper, { map }, scale, bearing) {
  const most = Math.min(50, map.width / 3) * scale;
  const power = 10 ** Math.floor(Math.log10(most));
  const metres = [5, 2, 1].map((k) => k * power).find((k) => k <= most) ?? power;
  const width = metres / scale;
  const [x, y] = [map.x + 4, map.y + map.height - 4];
  const words = (/** @type {number} */ m) => m.toLocaleString("en-US", { maximumFractionDigits: 2 });
  const last = `${words(metres)} ${app.t("米", "m")}`;
  const end = width - paper.measure(words(metres), 2.6) / 2 + paper.measure(last, 2.6);
  paper.box(x - 2, y - 6.6, end + 4, 8.6, { fill: "rgba(255,255,255,0.88)" });
  for (let i = 0; i < 4; i++) {
    paper.box(x + (width * i) / 4, y - 1.4, width / 4, 1.4, { fill: i % 2 ? "#ffffff" : INK, stroke: INK, line: 0.15 });
  }
  paper.text("0", x, y - 2.4, 2.6, { align: "center" });
  paper.text(words(metres / 2), x + width / 2, y - 2.4, 2.6, { align: "center" });
  paper.text(last, x + width - paper.measure(words(metres), 2.6) / 2, y - 2.4, 2.6);
  if (Math.abs(bearing) < 0.5) return;
  const { context } = paper;
  context.save();
  context.translate(map.x + map.width - 10, map.y + 11);
  context.fillStyle = "rgba(255,255,255,0.88)";
  context.beginPath();
  context.arc(0, 0, 8, 0, 2 * Math.PI);
  context.fill();
  context.rotate((-bearing * Math.PI) / 180);
  context.fillStyle = INK;
  context.beginPath();
  context.moveTo(0, -4.6);
  context.lineTo(2.2, 4);
  context.lineTo(0, 2.4);
  context.lineTo(-2.2, 4);
  context.fill();
  context.restore();
  const turn = (-bearing * Math.PI) / 180;
  paper.text(app.t("北", "N"), map.x + map.width - 10 + 6.3 * Math.sin(turn), map.y + 12 - 6.3 * Math.cos(turn), 2.8, { bold: true, align: "center" });
}

/**
 * @param {App} app
 * @param {Paper} paper
 * @param {ReturnType<typeof layout>} place
 * @param {Wish} wish
 * @param {number} scale
 */
function head(app, paper, place, wish, scale) {
  const { map, width } = place;
  const denominator = wish.scale || Math.round(scale * 1000);
  const rounded = wish.scale ? denominator : Number(denominator.toPrecision(3));
  const said = app.t(`比例尺约 1:${rounded.toLocaleString("en-US")}(图幅中心)`, `Scale about 1:${rounded.toLocaleString("en-US")} at the centre`);
  const side = paper.text(said, width - MARGIN, MARGIN + 6.2, 3, { colour: FAINT, align: "right" });
  const title = wish.title || app.t(`${app.catalogue.city.zh}地图`, `Map of ${app.catalogue.city.en}`);
  paper.text(paper.cut(title, width - 2 * MARGIN - side - 6, 6.4, true), map.x, MARGIN + 6.6, 6.4, { bold: true });
}

/**
 * @param {App} app
 * @param {Paper} paper
 * @param {ReturnType<typeof layout>} place
 * @param {string[]} ids
 * @param {{at: number, date: string | null, layers: string[] | null} | null} split
 */
function foot(app, paper, place, ids, split) {
  const { t, words } = app;
  const layers = ids.map((id) => /** @type {import("../types.js").Layer} */ (app.layers.get(id)));
  const newest = layers.map((x) => x.updated).filter(Boolean).sort().at(-1);
  const date = app.state.get("date");
  const now = words.date(new Date().toISOString());
  const when = [date ? t(`数据日期:${words.date(date)}`, `Data as of ${words.date(date)}`) : t(`数据日期:${now} 现状`, `Data as of now, ${now}`),
    split?.date && t(`右侧:${words.date(split.date)}`, `right side ${words.date(split.date)}`),
    newest && t(`最近更新 ${words.date(newest)}`, `last changed ${words.date(newest)}`)].filter(Boolean).join(t("；", "; "));
  const sources = [...new Set(layers.flatMap((x) => x.sources.map((s) => `${words.text(s.title)} (${s.licence})`)))];
  const lines = [
    when,
    t("坐标参考系:数据 CGCS2000(EPSG:4490)，图面 Web 墨卡托投影(EPSG:3857)", "CRS: data CGCS2000 (EPSG:4490), drawn in Web Mercator (EPSG:3857)"),
    t(`来源:${sources.join("；") || "未登记"}`, `Sources: ${sources.join("; ") || "not recorded"}`),
  ];
  const width = place.width - 2 * MARGIN;
  let y = place.height - MARGIN - FOOT + 5.4;
  paper.box(MARGIN, y - 3.2, width, 0.15, { fill: LINE });
  const made = layers.some((x) => x.synthetic) ? t("含示例数据，并非真实情况", "Contains sample data, not the real city") : "";
  if (made) paper.text(made, place.width - MARGIN, y, 3, { bold: true, colour: DANGER, align: "right" });
  const from = `${app.words.text(app.catalogue.service)} ${window.location.origin}${app.url("/map")}`;
  paper.text(from, place.width - MARGIN, y + 3.8, 2.5, { colour: FAINT, align: "right" });
  const taken = [paper.measure(made, 3, true), paper.measure(from, 2.5)];
  lines.slice(0, 2).forEach((line, i) => {
    const free = width - taken[i] - 4;
    const size = Math.max(2, Math.min(2.5, (2.5 * free) / paper.measure(line, 2.5)));
    paper.text(paper.cut(line, free, size), MARGIN, y, size, { colour: FAINT });
    y += 3.8;
  });
  const rows = paper.lines(lines[2], width, 2.5);
  rows.slice(0, 2).forEach((line, i) => {
    const shown = i === 1 && rows.length > 2 ? paper.cut(`${line}…`, width, 2.5) : line;
    paper.text(shown, MARGIN, y, 2.5, { colour: FAINT });
    y += 3.4;
  });
}
