// SPDX-License-Identifier: Apache-2.0
// What stands at the edge of every map: sources of what is visible, date of the data, reference system.

import { h } from "./dom.js";

/**
 * Sources, latest change and the mark of synthetic data of some layers, for the screen and for paper.
 * @param {import("./types.js").App} app
 * @param {string[]} ids
 */
export function creditsOf(app, ids) {
  const layers = ids.map((id) => app.layers.get(id)).filter((x) => x !== undefined);
  const sources = [...new Set(layers.flatMap((x) => x.sources.map((s) => `${app.words.text(s.title)} (${s.licence})`)))];
  const updated = layers.map((x) => x.updated ?? "").sort().at(-1) ?? "";
  return { sources, updated, synthetic: layers.some((x) => x.synthetic), crs: "CGCS2000 / Web Mercator" };
}

/** @param {import("./types.js").App} app */
export function installMargin(app) {
  const box = /** @type {HTMLElement} */ (document.getElementById("margin"));

  function draw() {
    const { t, words } = app;
    const { sources, updated, synthetic, crs } = creditsOf(app, app.visible());
    const date = app.state.get("date");
    const parts = [
      synthetic && h("span", { class: "badge" }, t("含示例数据", "Contains sample data")),
      sources.length > 0 && h("span", { class: "credits", title: sources.join("\n") },
        t("来源：", "Sources: "), sources.join("; ")),
      date ? h("span", {}, t("所示日期：", "As of "), words.date(date))
        : updated && h("span", {}, t("更新于 ", "Updated "), words.date(updated)),
      h("span", {}, crs),
    ];
    box.replaceChildren(.../** @type {Node[]} */ (parts.filter(Boolean)));
  }

  app.on("layers", draw);
  app.on("lang", draw);
  app.on("time", draw);
  draw();
}
