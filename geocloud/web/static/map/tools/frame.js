// SPDX-License-Identifier: Apache-2.0
// A tool of the strip with a panel in the inspector: what it needs is loaded when first opened, and the address says
// whether it is.

/**
 * @typedef {import("../types.js").App} App
 * @typedef {object} Panel
 * @property {() => void} open
 * @property {(forgotten: boolean) => void} close Of what it shows nothing is to stay, or another tool takes its place.
 * @property {() => boolean} draws Clicks on the map belong to it.
 * @property {(event: any) => boolean} [claims] So does this one, which is on what it has drawn.
 */

/**
 * @param {App} app
 * @param {object} what
 * @param {string} what.id
 * @param {string} what.icon
 * @param {() => string} what.label
 * @param {string} what.key What the address holds while it is open.
 * @param {(off: () => void) => Promise<Panel>} what.load Makes the panel; `off` turns the tool off.
 * @param {() => string} what.failed
 */
export function installPanel(app, { id, icon, label, key, load, failed }) {
  /** @type {Panel | null} */
  let panel = null;
  let open = false;
  /** @type {Promise<Panel> | null} */
  let loading = null;

  const tool = app.strip.add({
    id,
    icon,
    label,
    // Only who picks or draws keeps the clicks, or who clicks on the answer; else they identify.
    get clicks() {
      return panel !== null && panel.draws();
    },
    claims: (event) => Boolean(panel?.claims?.(event)),
    toggle(on) {
      open = on;
      if (!on) panel?.close(app.strip.active() === null);
      else turnOn();
    },
  });

  async function turnOn() {
    try {
      panel = await (loading ??= load(() => tool.off()));
      if (open) panel.open();
    } catch (error) {
      loading = null;
      tool.off();
      app.problem(error, failed());
    }
  }

  const follow = () => {
    if (app.state.get(key)) tool.on();
    else tool.off();
  };
  app.state.subscribe(key, follow);
  if (app.state.get(key)) follow();
}
