// SPDX-License-Identifier: Apache-2.0
// The sectors' tool: what bureaus calculate over the city. What it needs is loaded when first opened.

const ICON = "M4 20V9l5-3v3l5-3v14M14 20V4h6v16M2.5 20h19M7 13v.1M7 16.5v.1M11 13v.1M11 16.5v.1M17 8v.1M17 12v.1M17 16v.1";

/**
 * The tool `sectors`; the address holds `sector` (`-` the list, or sector and process), `sector.in` (inputs as JSON) and
 * `sector.job` (a run).
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  /** @type {import("../sectors/panel.js").Panel | null} */
  let panel = null;
  let open = false;
  /** @type {Promise<void> | null} */
  let loading = null;

  const tool = app.strip.add({
    id: "sectors",
    icon: ICON,
    label: () => app.t("行业", "Sectors"),
    // Only who picks or draws keeps the clicks, or who clicks on the answer; else they identify.
    get clicks() {
      return panel !== null && panel.draws();
    },
    claims: (event) => panel !== null && panel.claims(event),
    toggle(on) {
      open = on;
      if (!on) panel?.close(app.strip.active() === null);
      else turnOn();
    },
  });

  async function load() {
    const { Panel } = await import("../sectors/panel.js");
    panel = new Panel(app, () => tool.off());
  }

  async function turnOn() {
    try {
      await (loading ??= load());
      if (open) panel?.open();
    } catch (error) {
      loading = null;
      tool.off();
      app.problem(error, app.t("行业面板未能打开", "The panel of sectors could not be opened"));
    }
  }

  const follow = () => {
    if (app.state.get("sector")) tool.on();
    else tool.off();
  };
  app.state.subscribe("sector", follow);
  if (app.state.get("sector")) follow();
}
