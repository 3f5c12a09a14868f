// SPDX-License-Identifier: Apache-2.0
// On a phone the map comes first and everything else is one sheet at the bottom, with a tab for each panel.

import { h, icon, ICONS } from "./dom.js";

const PANELS = [
  { id: "tree", path: ICONS.layers, zh: "图层", en: "Layers" },
  { id: "inspector", path: ICONS.info, zh: "详情", en: "Details" },
  { id: "table", path: ICONS.table, zh: "表格", en: "Table" },
];

/** @param {import("./types.js").App} app */
export function installSheet(app) {
  const page = document.documentElement;
  const bar = /** @type {HTMLElement} */ (document.getElementById("sheet-bar"));
  const phone = window.matchMedia("(max-width: 720px)");
  /** @type {string | null} */
  let open = null;

  function show(/** @type {string | null} */ id) {
    open = id;
    if (id) page.dataset.sheet = id;
    else delete page.dataset.sheet;
    for (const tab of bar.querySelectorAll("[role=tab]")) {
      tab.setAttribute("aria-selected", String(/** @type {HTMLElement} */ (tab).dataset.panel === id));
    }
  }

  function press(/** @type {string} */ id) {
    if (open === id) {
      show(null);
      return;
    }
    if (id === "table" && !app.state.get("table")) {
      const visible = app.visible();
      const top = [...visible].reverse().find((x) => !x.startsWith("base.")) ?? visible.at(-1);
      if (top) app.state.set("table", top);
    }
    show(id);
  }

  bar.append(h("button", { type: "button", class: "grip", "data-zh": "展开或收起面板", "data-en": "Open or close the panel",
    "data-for": "aria-label", onclick: () => show(open ? null : "tree") }));
  for (const { id, path, zh, en } of PANELS) {
    bar.append(h("button", { type: "button", role: "tab", "data-panel": id, "aria-selected": "false",
      "aria-controls": id, onclick: () => press(id) }, icon(path), h("span", { "data-zh": zh, "data-en": en })));
  }
  drag(bar, (up) => show(up ? open ?? "tree" : null));
  app.on("panel", (id) => {
    if (id) show(id);
    else if (open !== "tree") show(null);
  });
  phone.addEventListener("change", () => app.map.resize());
  show(null);
}

/**
 * Tells whether the bar was dragged up or down.
 * @param {HTMLElement} bar
 * @param {(up: boolean) => void} tell
 */
function drag(bar, tell) {
  let from = 0;
  bar.addEventListener("pointerdown", (event) => { from = event.clientY; });
  bar.addEventListener("pointerup", (event) => {
    const by = event.clientY - from;
    if (Math.abs(by) > 24) tell(by < 0);
  });
}
