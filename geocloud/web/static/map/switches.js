// SPDX-License-Identifier: Apache-2.0
// Language and dark theme: switched at once, kept in the address.

import { icon, ICONS } from "./dom.js";

/** @param {import("./types.js").App} app */
export function installSwitches(app) {
  const page = document.documentElement;
  const language = /** @type {HTMLButtonElement} */ (document.getElementById("language"));
  const dark = /** @type {HTMLButtonElement} */ (document.getElementById("dark"));
  const preferred = window.matchMedia("(prefers-color-scheme: dark)");
  dark.append(icon(ICONS.moon));

  const showLanguage = () => {
    page.lang = app.t("zh-CN", "en");
    language.textContent = app.t("EN", "中文");
    language.setAttribute("aria-label", app.t("English", "中文"));
    language.lang = app.t("en", "zh-CN");
    document.title = app.catalogue
      ? app.t(`${app.catalogue.city.zh}地图`, `${app.catalogue.city.en} map`) : document.title;
    app.words.apply(document);
  };
  const showTheme = () => {
    const asked = app.state.get("dark");
    const on = asked === null ? preferred.matches : asked === "1";
    page.dataset.theme = on ? "dark" : "light";
    dark.setAttribute("aria-pressed", String(on));
  };

  language.addEventListener("click", () => app.state.set("lang", app.t("en", "zh")));
  dark.addEventListener("click", () => app.state.set("dark", app.dark ? "0" : "1"));
  app.state.subscribe("lang", (value) => {
    if (value !== "en" && value !== "zh") return;
    app.words.lang = value;
    showLanguage();
    app.emit("lang", value);
  });
  app.state.subscribe("dark", () => {
    showTheme();
    app.emit("theme", app.dark);
  });
  preferred.addEventListener("change", () => {
    if (app.state.get("dark") !== null) return;
    showTheme();
    app.emit("theme", app.dark);
  });
  showTheme();
  showLanguage();
  app.on("ready", showLanguage);
}
