// SPDX-License-Identifier: Apache-2.0
// Printing: the map as PNG or PDF at the printer's resolution, made in the browser.

import { h } from "../dom.js";
import { save } from "../download.js";
import { button, choice, labelled, select } from "./kit.js";
import { overlayOf } from "./overlay.js";
import { drawPage, frameOf } from "./page.js";
import { makePdf } from "./pdf.js";
import { makePng } from "./png.js";
import { readSplit } from "./split.js";

const ICON = "M7 9V3h10v6M7 18H4v-8h16v8h-3M7 14h10v7H7z";
const SCALES = [500, 1000, 2000, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];
const DENSITIES = [150, 200, 300];

/**
 * The tool `print`; its choices are in the address as `print=A4/landscape/200/0/title`.
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  const body = h("div", { class: "tool-card", "data-tool": "print" });
  const overlay = overlayOf(app);
  let wish = readWish(app.state.get("print"));
  let open = false;
  let working = false;
  const said = h("p", { class: "hint", role: "status" });

  const keep = (/** @type {Partial<import("./page.js").Wish>} */ part) => {
    wish = { ...wish, ...part };
    app.state.set("print", [wish.paper, wish.turn, wish.dpi, wish.scale, wish.title].join("/"), { step: false });
    outline();
  };

  /** What comes on paper, drawn on the map. */
  function outline() {
    if (!open) {
      overlay.set("print:frame", null);
      return;
    }
    const frame = frameOf(app, wish);
    const middle = app.map.project(frame.center);
    const k = 2 ** (app.map.getZoom() - frame.zoom);
    const [w, h_] = [(frame.width * k) / 2, (frame.height * k) / 2];
    const corners = [[-w, -h_], [w, -h_], [w, h_], [-w, h_]].map(([dx, dy]) => {
      const { lng, lat } = app.map.unproject([middle.x + dx, middle.y + dy]);
      return /** @type {[number, number]} */ ([lng, lat]);
    });
    overlay.set("print:frame", { type: "frame", places: corners });
  }

  function show() {
    if (!open) return;
    const { t } = app;
    const title = /** @type {HTMLInputElement} */ (h("input", { type: "text", id: "print-title", maxlength: 80, value: wish.title,
      placeholder: t(`${app.catalogue.city.zh}地图`, `Map of ${app.catalogue.city.en}`), oninput: () => keep({ title: title.value.replaceAll("/", "／") }) }));
    body.replaceChildren(
      labelled(t("标题", "Title"), title),
      choice(t("纸张", "Paper"), [{ value: "A4", text: "A4" }, { value: "A3", text: "A3" }], wish.paper, (paper) => keep({ paper: /** @type {any} */ (paper) })),
      choice(t("方向", "Orientation"), [{ value: "landscape", text: t("横向", "Landscape") }, { value: "portrait", text: t("纵向", "Portrait") }],
        wish.turn, (turn) => keep({ turn: /** @type {any} */ (turn) })),
      labelled(t("比例尺", "Scale"), select([{ value: "0", text: t("与屏幕相同的范围", "What is on screen") },
        ...SCALES.map((s) => ({ value: String(s), text: `1:${s.toLocaleString("en-US")}` }))], String(wish.scale),
      (scale) => keep({ scale: Number(scale) }), { id: "print-scale" })),
      labelled(t("分辨率", "Resolution"), select(DENSITIES.map((d) => ({ value: String(d), text: `${d} dpi` })), String(wish.dpi),
        (dpi) => keep({ dpi: Number(dpi) }), { id: "print-dpi" })),
      h("p", { class: "hint" }, t("图例、比例尺、数据日期、来源与坐标系自动写入；地图上的虚线框为图幅范围。",
        "Legend, scale bar, date, sources and CRS are written by themselves; the dashed frame shows what comes on paper.")),
      h("div", { class: "tool-buttons" },
        button("PDF", () => make("pdf"), { "data-act": "pdf", class: "tool-button primary" }),
        button("PNG", () => make("png"), { "data-act": "png", class: "tool-button primary" })),
      said);
    outline();
  }

  async function make(/** @type {"pdf" | "png"} */ kind) {
    if (working) return;
    working = true;
    const { t } = app;
    said.textContent = t("正在出图…", "Drawing …");
    body.setAttribute("aria-busy", "true");
    try {
      const shapes = overlay.shapes("print:");
      const split = readSplit(app.state.get("split"), (id) => app.layers.has(id));
      const { paper, place, layers } = await drawPage(app, wish, shapes, split);
      const title = wish.title || t(`${app.catalogue.city.zh}地图`, `Map of ${app.catalogue.city.en}`);
      const blob = kind === "png" ? await makePng(paper.canvas, wish.dpi)
        : await makePdf({ width: paper.width, height: paper.height, canvas: paper.canvas, words: paper.words, place, title,
          lang: t("zh-CN", "en"), made: new Date() });
      save(blob, `${title.replace(/[\\/:*?"<>|]/g, " ")}.${kind}`);
      said.textContent = t(`已生成 ${wish.paper} ${kind.toUpperCase()}，${layers.length} 个图层，${(blob.size / 1e6).toFixed(1)} MB。`,
        `${wish.paper} ${kind.toUpperCase()} made: ${layers.length} layers, ${(blob.size / 1e6).toFixed(1)} MB.`);
    } catch (error) {
      said.textContent = "";
      app.problem(error, t("未能出图", "The page could not be made"));
    } finally {
      working = false;
      body.removeAttribute("aria-busy");
    }
  }

  const card = () => app.inspector.show({ id: "print", title: app.t("打印与导出", "Print"), body, onclose: () => tool.off() });
  const tool = app.strip.add({
    id: "print",
    icon: ICON,
    clicks: false,
    label: () => app.t("打印", "Print"),
    toggle(on) {
      open = on;
      if (on) {
        keep({});
        show();
        card();
      } else {
        app.state.set("print", null, { step: false });
        outline();
        app.inspector.close("print");
      }
    },
  });
  app.map.on("move", () => { if (open) outline(); });
  app.on("lang", () => {
    if (!open) return;
    show();
    card();
  });
  app.state.subscribe("print", (text) => {
    if (text && !open) {
      wish = readWish(text);
      tool.on();
    }
  });
  if (app.state.get("print") && !app.strip.active()) tool.on();
}

/**
 * @param {string | null} text
 * @returns {import("./page.js").Wish}
 */
function readWish(text) {
  const [paper, turn, dpi, scale, ...title] = (text ?? "").split("/");
  return {
    paper: paper === "A3" ? "A3" : "A4",
    turn: turn === "portrait" ? "portrait" : "landscape",
    dpi: DENSITIES.includes(Number(dpi)) ? Number(dpi) : 200,
    scale: SCALES.includes(Number(scale)) ? Number(scale) : 0,
    title: title.join("/").slice(0, 80),
  };
}
