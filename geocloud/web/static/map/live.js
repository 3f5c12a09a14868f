// SPDX-License-Identifier: Apache-2.0
// Changes of rows while the map is open: only the source that changed is loaded again.

/** @param {import("./types.js").App} app */
export function installLive(app) {
  /** @type {EventSource | null} */
  let stream = null;
  let listened = "";

  function listen() {
    const ids = app.visible().slice().sort().join(",");
    if (ids === listened || document.hidden) return;
    stream?.close();
    listened = ids;
    if (!ids) return;
    stream = new EventSource(app.url(`/events?collections=${encodeURIComponent(ids)}`));
    stream.addEventListener("change", (event) => {
      const change = JSON.parse(/** @type {MessageEvent} */ (event).data);
      app.view.refresh(change.collection);
      app.emit("refresh", change);
    });
  }

  function pause() {
    if (!document.hidden) {
      // What changed meanwhile was not heard of.
      if (!stream) app.visible().forEach((id) => app.view.refresh(id));
      listen();
      return;
    }
    stream?.close();
    stream = null;
    listened = "";
  }

  app.on("layers", listen);
  document.addEventListener("visibilitychange", pause);
  window.addEventListener("pagehide", () => stream?.close());
  listen();
}
