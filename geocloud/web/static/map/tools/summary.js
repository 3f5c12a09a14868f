// SPDX-License-Identifier: Apache-2.0
// Sums by areas, opened from a layer's settings in the tree. What it needs is loaded when first opened.

/**
 * It has no button in the strip, so that measuring and the rest work beside it; the address holds `sum` (layer, areas and
 * measure) and `sum.zone` (the area that is chosen).
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  /** @type {import("../summary/panel.js").Panel | null} */
  let panel = null;
  /** @type {Promise<void> | null} */
  let loading = null;

  async function load() {
    const { Panel } = await import("../summary/panel.js");
    panel = new Panel(app);
  }

  async function follow() {
    if (!app.state.get("sum")) {
      panel?.close();
      return;
    }
    try {
      await (loading ??= load());
      if (app.state.get("sum")) panel?.open();
    } catch (error) {
      loading = null;
      app.problem(error, app.t("分区统计未能打开", "The sums by areas could not be opened"));
    }
  }

  app.state.subscribe("sum", follow);
  follow();
}
