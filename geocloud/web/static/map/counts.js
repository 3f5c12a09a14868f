// SPDX-License-Identifier: Apache-2.0
// How many features of a layer are in view: exact, from the service.

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 */

const AT_ONCE = 3;

/**
 * Box of the map in view as the service takes it, cut to the world.
 * @param {any} map
 */
export function boxInView(map) {
  const b = map.getBounds();
  const cut = (/** @type {number} */ v, /** @type {number} */ most) => Math.max(-most, Math.min(most, v)).toFixed(5);
  return [cut(b.getWest(), 180), cut(b.getSouth(), 90), cut(b.getEast(), 180), cut(b.getNorth(), 90)].join(",");
}

/**
 * The question for a layer's features in view, with its filter and the date on screen.
 * @param {App} app
 * @param {string} id
 * @param {Record<string, string>} [more]
 */
export function questionInView(app, id, more = {}) {
  const query = new URLSearchParams({ bbox: boxInView(app.map), ...more });
  const filter = app.view.filters().get(id);
  if (filter) query.set("filter", filter);
  const date = app.state.get("date");
  if (date && app.layers.get(id)?.hasTime) query.set("datetime", date);
  return query;
}

/**
 * A function that tells the number of a layer's features in view; newer questions end older ones.
 * @param {App} app
 * @returns {(id: string, tell: (text: string, spoken: string) => void) => void}
 */
export function counter(app) {
  /** @type {Map<string, AbortController>} */
  const asking = new Map();
  /** @type {(() => Promise<void>)[]} */
  const waiting = [];
  /** @type {Map<string, {question: string, matched: number | undefined}>} */
  const known = new Map();
  app.on("refresh", (change) => known.delete(change.collection));
  let running = 0;

  async function next() {
    const job = waiting.shift();
    if (!job || running >= AT_ONCE) {
      if (job) waiting.unshift(job);
      return;
    }
    running += 1;
    try {
      await job();
    } finally {
      running -= 1;
      next();
    }
  }

  return (id, tell) => {
    asking.get(id)?.abort();
    const layer = /** @type {Layer} */ (app.layers.get(id));
    const say = (/** @type {number} */ n) => tell(app.words.count(n), app.t(`视野内 ${n} 个要素`, `${n} features in view`));
    if (layer.count === 0 || (layer.count !== null && whole(app, layer) && !app.view.filters().has(id))) {
      say(layer.count);
      return;
    }
    const answer = (/** @type {number | undefined} */ n) => {
      if (n === undefined) tell("≫", app.t("视野内要素很多，放大后计数", "Very many in view; zoom in to count them"));
      else say(n);
    };
    const question = String(questionInView(app, id, { limit: "1", properties: layer.key[0] }));
    const before = known.get(id);
    if (before?.question === question) {
      answer(before.matched);
      return;
    }
    const control = new AbortController();
    asking.set(id, control);
    waiting.push(async () => {
      if (control.signal.aborted) return;
      try {
        const page = await app.fetchJSON(app.url(`${layer.items}?${question}`), { signal: control.signal });
        known.set(id, { question, matched: page.numberMatched });
        answer(page.numberMatched);
      } catch (error) {
        if (/** @type {any} */ (error)?.name !== "AbortError") tell("–", app.t("未能计数", "Could not be counted"));
      }
    });
    next();
  };
}

/**
 * @param {App} app
 * @param {Layer} layer
 */
function whole(app, layer) {
  if (!layer.extent) return layer.count === 0;
  const [west, south, east, north] = layer.extent;
  const view = app.map.getBounds();
  return view.getWest() <= west && view.getSouth() <= south && view.getEast() >= east && view.getNorth() >= north;
}
