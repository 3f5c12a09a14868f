// SPDX-License-Identifier: Apache-2.0
// Live readings of layers with datastreams: badges on the map, the property chosen in the tree, series in the cards.

import { h } from "../dom.js";
import { labelled, select } from "./kit.js";

/**
 * The tool `readings`, without a button; the address holds `read.<layer>`: the property shown, `-` for none.
 * @param {import("../types.js").App} app
 */
export default async function install(app) {
  const source = await import("../readings/source.js");
  /** @type {Map<string, import("../readings/source.js").Measure[]>} */
  let measures;
  try {
    measures = await source.readMeasures(app);
  } catch (error) {
    // The map is of use without them.
    console.warn(error);
    return;
  }
  if (!measures.size) return;
  const [{ Badges }, { readingsCard }] = await Promise.all([import("../readings/badges.js"), import("../readings/card.js")]);
  /** @type {Map<string, HTMLElement>} */
  const hints = new Map();
  const badges = new Badges(app, measures, (id) => {
    const hint = hints.get(id);
    if (hint) hint.hidden = badges.shown(id) !== null;
  });
  const key = (/** @type {string} */ id) => `read.${id}`;
  const off = "-";

  app.readings = {
    has: (id) => measures.has(id),
    card: (id, fid) => readingsCard(app, id, fid, measures.get(id) ?? []),
    control(id) {
      const known = measures.get(id) ?? [];
      const hint = h("p", { class: "hint", hidden: true }, app.t("读数过多，放大后显示。", "Too many readings; zoom in to see them."));
      hints.set(id, hint);
      const options = [...known.map((m) => ({ value: m.property, text: `${app.words.text(m.title)}${m.unitText ? ` (${m.unitText})` : ""}` })),
        { value: off, text: app.t("不显示", "None") }];
      return h("div", { class: "reading-choice" }, labelled(app.t("地图上的读数", "Readings on the map"),
        select(options, app.state.get(key(id)) ?? known[0]?.property ?? off, (value) => app.state.set(key(id), value === known[0]?.property ? null : value),
          { "data-reading": id })), hint);
    },
  };
  for (const id of measures.keys()) app.state.subscribe(key(id), () => badges.follow());
  badges.follow();
  app.emit("readings");
}
