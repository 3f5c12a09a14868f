// SPDX-License-Identifier: Apache-2.0
// A process run in the background: handed in, watched, called off.

/** @typedef {import("../types.js").App} App */

const FIRST_MS = 250;
const LAST_MS = 2000;

/**
 * Hands a run in; the id of its job.
 * @param {App} app
 * @param {string} process
 * @param {Record<string, unknown>} inputs
 * @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
export async function submit(app, process, inputs, signal) {
  const answer = await app.fetchJSON(app.url(`/processes/${process}/execution?lang=${app.lang}`), {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "respond-async" },
    body: JSON.stringify({ inputs, response: "document" }),
    signal,
  });
  return answer.jobID;
}

/**
 * Waits for the end of a job; `tell` hears of every status on the way.
 * @param {App} app
 * @param {string} id
 * @param {(status: any) => void} tell
 * @param {AbortSignal} signal
 * @returns {Promise<any>} The last status.
 */
export async function ended(app, id, tell, signal) {
  for (let pause = FIRST_MS; ; pause = Math.min(LAST_MS, pause * 1.4)) {
    const status = await app.fetchJSON(app.url(`/jobs/${encodeURIComponent(id)}?lang=${app.lang}`), { signal });
    tell(status);
    if (status.status !== "accepted" && status.status !== "running") return status;
    await wait(pause, signal);
  }
}

/**
 * One output of a job that has ended; what it failed with is thrown.
 * @param {App} app
 * @param {string} id
 * @param {string} output
 * @param {AbortSignal} signal
 */
export function result(app, id, output, signal) {
  return app.fetchJSON(app.url(`/jobs/${encodeURIComponent(id)}/results/${output}?lang=${app.lang}`), { signal });
}

/**
 * @param {App} app
 * @param {string} id
 */
export function dismiss(app, id) {
  return app.fetchJSON(app.url(`/jobs/${encodeURIComponent(id)}?lang=${app.lang}`), { method: "DELETE" });
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function wait(ms, signal) {
  return new Promise((done, fail) => {
    const stop = () => {
      clearTimeout(timer);
      fail(new DOMException("called off", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      done();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
