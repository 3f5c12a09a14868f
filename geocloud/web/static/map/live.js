// SPDX-License-Identifier: Apache-2.0
// Changes of rows while the map is open: only the source that changed is loaded again.

const AGAIN_MS = 5000;

const SECOND_LOOK_MS = 800;
/** @type {Map<string, number>} */
const again = new Map();

/** @param {import("./types.js").App} app */
export function installLive(app) {
  /** @type {EventSource | null} */
  let stream = null;
  let listened = "";
  // What changed while nobody listened was not heard of.
  let missed = false;

  function listen() {
    const ids = app.visible().slice().sort().join(",");
    if (ids === listened || document.hidden) return;
    stop();
    listened = ids;
    if (!ids) return;
    const opened = new EventSource(app.url(`/events?collections=${encodeURIComponent(ids)}`));
    stream = opened;
    opened.addEventListener("open", catchUp);
    opened.addEventListener("change", (event) => {
      const change = JSON.parse(/** @type {MessageEvent} */ (event).data);
      const layer = app.layers.get(change.collection);
      // The number told when the page was opened no longer holds.
      if (layer) layer.count = null;
      app.view.refresh(change.collection);
      // A server process that heard of the change late may have answered once more with what was.
      window.clearTimeout(again.get(change.collection));
      again.set(change.collection, window.setTimeout(() => app.view.refresh(change.collection), SECOND_LOOK_MS));
      app.emit("refresh", change);
    });
    opened.addEventListener("error", () => {
      missed = true;
      // The browser tries again by itself unless the service refused.
      if (opened.readyState !== EventSource.CLOSED || stream !== opened) return;
      stop();
      window.setTimeout(listen, AGAIN_MS);
    });
  }

  function catchUp() {
    if (!missed) return;
    missed = false;
    for (const id of app.visible()) app.view.refresh(id);
  }

  function stop() {
    stream?.close();
    stream = null;
    listened = "";
  }

  function turned() {
    if (!document.hidden) {
      listen();
      return;
    }
    // A browser gives a host six connections, and a tab nobody looks at needs none.
    missed = missed || stream !== null;
    stop();
  }

  app.on("layers", listen);
  document.addEventListener("visibilitychange", turned);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", turned);
  listen();
}
