// SPDX-License-Identifier: Apache-2.0
// Start of the web map: reads the catalogue, makes the map and its panels, then installs the tools.

import * as maplibre from "../vendor/maplibre-gl/maplibre-gl.mjs";
import { Words } from "./i18n.js";
import { State } from "./state.js";
import { installDrawer } from "./table.js";
import { installInspector } from "./inspector.js";
import { installKeys } from "./keys.js";
import { installLive } from "./live.js";
import { installMargin } from "./margin.js";
import { installSheet } from "./sheet.js";
import { installStrip } from "./strip.js";
import { installSwitches } from "./switches.js";
import { installTree } from "./tree.js";
import { MapView } from "./view.js";
import { installWho } from "./who.js";
import { TOOLS } from "./tools/index.js";
import { notices } from "./notices.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Catalogue} Catalogue
 */

const root = document.documentElement.dataset.root ?? "";

/** @returns {Promise<App>} */
async function start() {
  const state = new State(window);
  const asked = state.get("lang");
  const lang = asked === "en" || asked === "zh" ? asked : document.documentElement.lang === "en" ? "en" : "zh";
  const words = new Words(lang);
  /** @type {Map<string, Set<(data: any) => void>>} */
  const listeners = new Map();

  /** @type {App} */
  const app = /** @type {any} */ ({
    maplibre,
    state,
    words,
    t: words.t,
    get lang() {
      return words.lang;
    },
    get dark() {
      return document.documentElement.dataset.theme === "dark";
    },
    url: (/** @type {string} */ path) => root + path,
    on(/** @type {string} */ event, /** @type {(data: any) => void} */ fn) {
      const set = listeners.get(event) ?? new Set();
      listeners.set(event, set.add(fn));
      return () => set.delete(fn);
    },
    emit(/** @type {string} */ event, /** @type {any} */ data) {
      for (const fn of listeners.get(event) ?? []) {
        try {
          fn(data);
        } catch (error) {
          app.problem(error);
          console.error(error);
        }
      }
    },
    slots: {
      search: document.getElementById("search"),
      timebar: document.getElementById("timebar"),
      print: document.getElementById("print"),
    },
  });
  Object.assign(app, notices(app));
  installSwitches(app);

  const catalogue = /** @type {Catalogue} */ (await app.fetchJSON(app.url("/map/layers")));
  app.catalogue = catalogue;
  app.layers = new Map(Object.entries(catalogue.layers));

  const view = new MapView(app);
  app.view = view;
  app.map = view.map;
  app.visible = () => view.visible();
  app.setDate = (iso) => view.setDate(iso);
  app.styleFor = (other, options) => view.styleFor(other, options);

  installStrip(app);
  installTree(app);
  installInspector(app);
  installWho(app);
  installDrawer(app);
  installSheet(app);
  installMargin(app);
  installKeys(app);
  words.apply(document);

  await view.ready();
  installLive(app);
  for (const name of TOOLS) {
    try {
      const tool = await import(`./tools/${name}.js`);
      tool.default(app);
    } catch (error) {
      app.problem(error, app.t(`工具“${name}”未能启动`, `The tool “${name}” did not start`));
      console.error(error);
    }
  }
  document.documentElement.dataset.ready = "true";
  app.emit("ready", app);
  return app;
}

/** Resolves with the application when the map is drawn and every tool is installed. */
export const started = start();
