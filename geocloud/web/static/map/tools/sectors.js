// SPDX-License-Identifier: Apache-2.0
// The sectors' tool: what bureaus calculate over the city.

import { installPanel } from "./frame.js";

const ICON = "M4 20V9l5-3v3l5-3v14M14 20V4h6v16M2.5 20h19M7 13v.1M7 16.5v.1M11 13v.1M11 16.5v.1M17 8v.1M17 12v.1M17 16v.1";

/**
 * The tool `sectors`; the address holds `sector` (`-` the list, or sector and process), `sector.in` (inputs as JSON) and
 * `sector.job` (a run).
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  installPanel(app, {
    id: "sectors",
    icon: ICON,
    key: "sector",
    label: () => app.t("行业", "Sectors"),
    load: async (off) => new (await import("../sectors/panel.js")).Panel(app, off),
    failed: () => app.t("行业面板未能打开", "The panel of sectors could not be opened"),
  });
}
