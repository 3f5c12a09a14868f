// SPDX-License-Identifier: Apache-2.0
// The keyboard: `/` finds, arrows move, + and - zoom, Esc closes what was opened last.

const STEP = 120;

/** @param {import("./types.js").App} app */
export function installKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.isContentEditable ||
      target.matches?.("select, textarea, input:not([type=checkbox], [type=radio], [type=range], [type=button])");
    if (event.key === "Escape") {
      if (event.defaultPrevented) return;
      close(typing ? target : null);
      return;
    }
    if (typing) return;
    if (event.key === "/") {
      const box = app.slots.search.querySelector("input") ?? document.querySelector("#tree input[type=search]");
      if (box) {
        event.preventDefault();
        /** @type {HTMLInputElement} */ (box).focus();
      }
      return;
    }
    // The map's own canvas moves by itself; elsewhere arrows belong to what has the focus.
    const free = target === document.body || target.id === "map";
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const move = /** @type {Record<string, number[]>} */ (moves)[event.key];
    if (free && move) {
      event.preventDefault();
      app.map.panBy(move);
    } else if ((event.key === "+" || event.key === "=") && !target.closest?.(".maplibregl-canvas")) app.map.zoomIn();
    else if (event.key === "-" && !target.closest?.(".maplibregl-canvas")) app.map.zoomOut();
  });

  function close(/** @type {HTMLElement | null} */ field) {
    if (field) {
      field.blur();
      return;
    }
    const inspector = /** @type {HTMLElement} */ (document.getElementById("inspector"));
    const drawer = /** @type {HTMLElement} */ (document.getElementById("table"));
    const notice = /** @type {HTMLElement} */ (document.getElementById("notice"));
    if (!notice.hidden) notice.hidden = true;
    else if (app.strip.active()) app.strip.off();
    else if (!inspector.hidden) app.inspector.close();
    else if (!drawer.hidden) app.state.set("table", null);
    else return;
    /** @type {HTMLElement} */ (document.querySelector(".maplibregl-canvas")).focus();
  }
}
