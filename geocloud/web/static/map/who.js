// SPDX-License-Identifier: Apache-2.0
// Who is responsible for the point that was clicked: departments, grids, persons, phones, and where they disagree.

import { h } from "./dom.js";
import { swatch } from "./legend.js";

/**
 * @typedef {import("./types.js").App} App
 * @typedef {{fid: number, on_border: boolean, code?: string, name?: string, owner?: string, person?: string,
 *   phone?: string, responsible?: string}} Grid
 * @typedef {{layer: string, title: string, department: string | null, verdict: "one" | "several" | "border" | "none",
 *   grids: Grid[]}} Department
 * @typedef {{community: {code: string, name?: string} | null, departments: Department[], synthetic: boolean,
 *   disagreements: {kind: string, layers: string[], message: string}[]}} Answer
 */

const CONFLICTS = "grid.boundary_conflict";

/** Asks for every click where departments' grids are published; elsewhere nothing is shown.
 * @param {App} app */
export function installWho(app) {
  const published = [...app.layers.values()].filter((layer) =>
    layer.theme === "grid" && layer.id !== CONFLICTS && /polygon/.test(layer.geometry));
  if (!published.length) return;
  let asking = new AbortController();
  /** @type {{lng: number, lat: number, date: string | null} | null} */
  let place = null;

  async function ask() {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    if (!place || !published.some((layer) => holds(layer.extent, place))) {
      app.inspector.close("who");
      return;
    }
    const query = new URLSearchParams({ lon: place.lng.toFixed(7), lat: place.lat.toFixed(7), lang: app.lang });
    const date = place.date ?? app.state.get("date");
    if (date) query.set("date", date);
    try {
      const answer = /** @type {Answer} */ (await app.fetchJSON(app.url(`/responsible?${query}`), { signal }));
      if (signal.aborted) return;
      if (!answer.departments.some((d) => d.grids.length)) app.inspector.close("who");
      else show(whoCard(app, answer), answer);
    } catch (error) {
      if (!signal.aborted) show(h("div", { class: "who" }, h("p", { class: "wrong" }, /** @type {any} */ (error).message)));
    }
  }

  function show(/** @type {HTMLElement} */ body, /** @type {Answer | null} */ answer = null) {
    const wrong = answer?.disagreements.length ?? 0;
    const more = wrong ? app.t(` · ${wrong} 处不一致`, ` · ${wrong} to be settled`) : "";
    app.inspector.show({ id: "who", title: app.t("谁负责", "Who is responsible") + more, body, last: true,
      onclose: () => { place = null; } });
  }

  app.map.on("click", (/** @type {any} */ event) => {
    if (app.strip.takesClicks() || app.strip.kept(event) || event.defaultPrevented) return;
    const side = app.split?.at(event.point.x);
    place = { lng: event.lngLat.lng, lat: event.lngLat.lat, date: side?.date ?? null };
    ask();
  });
  // Whoever closes the panel while the answer is on its way does not want it.
  app.on("panel", (id) => { if (id === null) asking.abort(); });
  for (const event of /** @type {const} */ (["lang", "time"])) app.on(event, () => { if (place) ask(); });
  app.state.subscribe("date", () => { if (place) ask(); });
  app.on("refresh", (change) => { if (place && change.collection.startsWith("grid.")) ask(); });
}

/** @param {[number, number, number, number] | null} extent @param {{lng: number, lat: number}} at */
function holds(extent, { lng, lat }) {
  return extent !== null && extent[0] <= lng && lng <= extent[2] && extent[1] <= lat && lat <= extent[3];
}

/**
 * @param {App} app
 * @param {Answer} answer
 */
function whoCard(app, answer) {
  const { t } = app;
  const here = answer.departments.filter((d) => d.grids.length);
  return h("div", { class: "who" },
    answer.synthetic && h("p", { class: "badge wide" },
      t("示例数据，人员与电话均为虚构", "Sample data; persons and phones are invented")),
    answer.community && h("p", { class: "hint" }, t("所在社区：", "Community: "), answer.community.name ?? "",
      ` ${answer.community.code}`),
    answer.disagreements.length > 0 && h("ul", { class: "differs", "aria-label": t("部门之间不一致", "Where departments disagree") },
      ...answer.disagreements.map((d) => h("li", { "data-kind": d.kind }, d.message))),
    ...here.map((d) => department(app, d)));
}

/** @param {App} app @param {Department} d */
function department(app, d) {
  const layer = app.layers.get(d.layer);
  return h("section", { class: "department", "data-department": d.layer },
    h("h3", {}, layer && swatch(layer), d.title, d.department && h("span", { class: "hint" }, d.department)),
    d.verdict === "border" && h("p", { class: "hint" }, app.t("在网格边界上", "On the border of grids")),
    ...d.grids.map((g) => h("div", { class: "grid" },
      h("span", { class: "person" }, g.person ?? g.responsible ?? app.t("未登记责任人", "Nobody is named")),
      h("span", { class: "area" }, [g.name, g.code].filter(Boolean).join(" · ")),
      g.phone && h("a", { class: "tel", href: `tel:${g.phone.replace(/[^\d+-]/g, "")}`,
        "aria-label": `${app.t("拨打", "Call")} ${g.person ?? ""} ${g.phone}` }, g.phone))));
}
