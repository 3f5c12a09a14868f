// SPDX-License-Identifier: Apache-2.0
// Sharing: the address of exactly this map, and what puts it into a page.

import { copy, h } from "../dom.js";
import { button, labelled, select } from "./kit.js";

const ICON = "M7 12l10-6M7 12l10 6M5 9.5a2.5 2.5 0 110 5 2.5 2.5 0 010-5zM19 2.5a2.5 2.5 0 110 5 2.5 2.5 0 010-5zM19 16.5a2.5 2.5 0 110 5 2.5 2.5 0 010-5z";
const SIZES = ["100%x480", "640x480", "800x600", "360x640"];

/**
 * The tool `share`. Nothing of its own is in the address: it shares what is.
 * @param {import("../types.js").App} app
 */
export default function install(app) {
  const body = h("div", { class: "tool-card", "data-tool": "share" });
  let size = SIZES[0];
  let open = false;

  /** The address with the language written in, so that everybody sees what is seen here. */
  function address() {
    const url = new URL(window.location.href);
    if (app.state.get("lang") === null) url.hash = `${url.hash || "#"}${url.hash.length > 1 ? "&" : ""}lang=${app.lang}`;
    return url.href;
  }

  function snippet() {
    const [width, height] = size.split("x");
    const title = app.t(`${app.catalogue.city.zh}地图`, `Map of ${app.catalogue.city.en}`);
    const escaped = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
    return `<iframe src="${escaped(address())}" width="${width}" height="${height}" title="${escaped(title)}" loading="lazy" style="border:0"></iframe>`;
  }

  function show() {
    if (!open) return;
    const { t } = app;
    const focused = document.activeElement?.id;
    const said = h("p", { class: "hint", role: "status" });
    const take = async (/** @type {string} */ text) => {
      said.textContent = (await copy(text)) ? t("已复制。", "Copied.") : t("未能复制，请手动选择文字。", "Could not be copied; select the text by hand.");
    };
    const text = (/** @type {string} */ id, /** @type {string} */ value, /** @type {number} */ rows) =>
      h("textarea", { id, readonly: true, rows, spellcheck: "false", class: "code", value,
        onfocus: (/** @type {any} */ e) => e.target.select() });
    const hosts = document.documentElement.dataset.embed ?? "";
    body.replaceChildren(
      labelled(t("链接(含图层、位置、筛选、日期与测量)", "Link (with layers, place, filters, date and measurements)"), text("share-link", address(), 3)),
      h("div", { class: "tool-buttons" },
        button(t("复制链接", "Copy link"), () => take(address()), { "data-act": "copy" }),
        "share" in navigator && button(t("发送…", "Send …"), () => navigator.share({ url: address(), title: document.title }).catch(() => {}))),
      labelled(t("嵌入网页", "Put into a page"), text("share-embed", snippet(), 4)),
      labelled(t("大小", "Size"), select(SIZES.map((s) => ({ value: s, text: s.replace("x", " × ") })), size, (value) => {
        size = value;
        show();
      }, { id: "share-size" })),
      h("div", { class: "tool-buttons" }, button(t("复制嵌入代码", "Copy the code"), () => take(snippet()), { "data-act": "embed" })),
      h("p", { class: "hint" }, hosts
        ? t(`可嵌入的网站:本站，${hosts}`, `Pages that may hold it: this site, ${hosts}`)
        : t("目前只有本站的网页可以嵌入；其他网站由管理员用设置 GEOCLOUD_MAP_EMBED_ORIGINS 放行。",
          "Only pages of this site may hold it; the operator admits others by the setting GEOCLOUD_MAP_EMBED_ORIGINS.")),
      said);
    if (focused) document.getElementById(focused)?.focus();
  }

  const card = () => app.inspector.show({ id: "share", title: app.t("分享", "Share"), body, onclose: () => tool.off() });
  const tool = app.strip.add({
    id: "share",
    icon: ICON,
    place: "top",
    clicks: false,
    label: () => app.t("分享", "Share"),
    toggle(on) {
      open = on;
      if (on) {
        show();
        card();
      } else app.inspector.close("share");
    },
  });
  app.map.on("moveend", show);
  app.on("layers", show);
  app.on("lang", () => {
    if (!open) return;
    show();
    card();
  });
}
