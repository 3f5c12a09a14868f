// SPDX-License-Identifier: Apache-2.0
// Lets the browser paint the page before it is busy with the map's library.

/** Resolves when the page has been painted, or at once where nobody sees it. */
const painted = new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
  window.setTimeout(done, 300);
});

window.geocloud = painted.then(() => import("./app.js")).then((module) => module.started);
window.geocloud.catch((error) => {
  console.error(error);
  const notice = /** @type {HTMLElement} */ (document.getElementById("notice"));
  const words = document.documentElement.lang === "en" ? "The map did not start: " : "地图未能启动：";
  notice.textContent = words + (error?.details?.detail ?? error?.message ?? error);
  notice.hidden = false;
});
