// SPDX-License-Identifier: Apache-2.0
// The planning tool: check a site against the plans, and where plans disagree.

import { installPanel } from "./frame.js";

const ICON = "M4 5l6-1.5 4 1.5 6-1.5v15L14 20l-4-1.5L4 20zM7.5 12.5l3 3 6-6.5";

/**
 * The tool `planning`; the address holds `plan` (the tab), `site` and `job` (a check), `spots` (the filter of spots).
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  installPanel(app, {
    id: "planning",
    icon: ICON,
    key: "plan",
    label: () => app.t("规划体检与差异", "Plans: check and conflicts"),
    load: async (off) => new (await import("../planning/panel.js")).Panel(app, off),
    failed: () => app.t("规划面板未能打开", "The planning panel could not be opened"),
  });
}
