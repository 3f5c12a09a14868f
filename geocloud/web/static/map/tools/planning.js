// SPDX-License-Identifier: Apache-2.0
// The planning tool: check a site against the plans, and where plans disagree. What it needs is loaded when first opened.

const ICON = "M4 5l6-1.5 4 1.5 6-1.5v15L14 20l-4-1.5L4 20zM7.5 12.5l3 3 6-6.5";

/**
 * The tool `planning`; the address holds `plan` (the tab), `site` and `job` (a check), `spots` (the filter of spots).
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  /** @type {import("../planning/panel.js").Panel | null} */
  let panel = null;
  let open = false;

  const tool = app.strip.add({
    id: "planning",
    icon: ICON,
    label: () => app.t("规划体检与差异", "Plans: check and conflicts"),
    // Only who draws keeps the clicks; else they identify.
    get clicks() {
      return panel !== null && panel.draws();
    },
    toggle(on) {
      open = on;
      if (!on) panel?.close(app.strip.active() === null);
      else turnOn();
    },
  });

  /** @type {Promise<void> | null} */
  let loading = null;

  async function load() {
    const { Panel } = await import("../planning/panel.js");
    panel = new Panel(app, () => tool.off());
  }

  async function turnOn() {
    try {
      await (loading ??= load());
      if (open) panel?.open();
    } catch (error) {
      loading = null;
      tool.off();
      app.problem(error, app.t("规划面板未能打开", "The planning panel could not be opened"));
    }
  }

  const follow = () => {
    if (app.state.get("plan")) tool.on();
    else tool.off();
  };
  app.state.subscribe("plan", follow);
  if (app.state.get("plan")) follow();
}
