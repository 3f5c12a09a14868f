// SPDX-License-Identifier: Apache-2.0
// Asking the service, and saying in words what went wrong.

import { h, icon, ICONS } from "./dom.js";

/** @typedef {import("./types.js").App} App */

/** Problem details of an answer (RFC 9457), as an error. */
export class Problem extends Error {
  /**
   * @param {{title?: string, detail?: string, status?: number, todo?: string}} details
   * @param {string} url
   */
  constructor(details, url) {
    super(details.detail ?? details.title ?? url);
    this.details = details;
    this.status = details.status ?? 0;
    this.url = url;
  }
}

/**
 * What every module uses to fetch and to speak: `fetchJSON`, `problem`, `announce`.
 * @param {App} app
 * @returns {Pick<App, "fetchJSON" | "problem" | "announce">}
 */
export function notices(app) {
  const box = /** @type {HTMLElement} */ (document.getElementById("notice"));
  const live = /** @type {HTMLElement} */ (document.getElementById("live"));
  let timer = 0;

  async function fetchJSON(/** @type {string} */ url, /** @type {RequestInit} */ init = {}) {
    let answer;
    try {
      answer = await fetch(url, {
        ...init,
        headers: { accept: "application/geo+json, application/json", "accept-language": app.lang, ...init.headers },
      });
    } catch (error) {
      if (/** @type {any} */ (error)?.name === "AbortError") throw error;
      throw new Problem({ detail: app.t("服务器没有应答。", "The server does not answer.") }, url);
    }
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const details = await answer.json().catch(() => ({}));
    throw new Problem({ title: answer.statusText, ...details, status: answer.status }, url);
  }

  function problem(/** @type {any} */ problem, /** @type {string} */ heading = "") {
    if (problem?.name === "AbortError") return;
    const details = problem?.details ?? problem;
    const words = details?.detail ?? details?.title ?? details?.message ?? String(problem);
    const todo = details?.todo ?? app.t("请稍后重试，或刷新页面。", "Try again in a moment, or reload the page.");
    box.replaceChildren(
      h("div", {}, h("strong", {}, heading || app.t("出错了", "Something went wrong")), h("p", {}, words),
        h("p", { class: "hint" }, todo)),
      h("button", { type: "button", class: "plain", "aria-label": app.t("关闭", "Close"), onclick: hide },
        icon(ICONS.close)),
    );
    box.hidden = false;
    clearTimeout(timer);
    timer = window.setTimeout(hide, 15_000);
  }

  function hide() {
    box.hidden = true;
  }

  function announce(/** @type {string} */ text) {
    live.textContent = "";
    window.setTimeout(() => { live.textContent = text; }, 50);
  }

  return { fetchJSON, problem, announce };
}
