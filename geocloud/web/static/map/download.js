// SPDX-License-Identifier: Apache-2.0
// Everything a question matches as one file: page after page, put together here.

/**
 * @typedef {import("./types.js").App} App
 * @typedef {import("./types.js").Layer} Layer
 */

const PAGE = 10_000;
const MOST = 500_000;

/**
 * Saves all features a question matches as CSV or GeoJSON.
 * @param {App} app
 * @param {Layer} layer
 * @param {URLSearchParams} query
 * @param {"csv" | "json"} format
 * @param {number | undefined} matched
 * @param {(text: string) => void} tell
 */
export async function download(app, layer, query, format, matched, tell) {
  query.set("limit", String(PAGE));
  query.set("f", format);
  /** @type {string | null} */
  let next = app.url(`${layer.items}?${query}`);
  /** @type {BlobPart[]} */
  const parts = [];
  let rows = 0;
  while (next && rows < MOST) {
    const answer = await fetch(next, { headers: { "accept-language": app.lang } });
    if (!answer.ok) {
      const details = await answer.json().catch(() => ({}));
      throw new Error(details.detail ?? answer.statusText);
    }
    const text = await answer.text();
    const found = format === "csv" ? csv(text, parts.length === 0, answer.headers.get("link")) : geojson(text);
    parts.push(...found.parts.map((part, i) => (format === "json" && rows > 0 && i === 0 && part ? `,${part}` : part)));
    rows += found.rows;
    next = found.next && found.rows > 0 ? new URL(found.next).pathname + new URL(found.next).search : null;
    if (next) {
      tell(matched === undefined ? app.words.count(rows)
        : `${app.words.count(rows)} / ${app.words.count(matched)}`);
    }
  }
  const whole = format === "csv" ? parts : ['{"type":"FeatureCollection","features":[', ...parts, "]}"];
  const type = format === "csv" ? "text/csv;charset=utf-8" : "application/geo+json";
  save(new Blob(whole, { type }), `${layer.id}.${format === "csv" ? "csv" : "geojson"}`);
  tell(app.t(`已下载 ${app.words.count(rows)} 个`, `${app.words.count(rows)} downloaded`));
}

/**
 * @param {string} text
 * @param {boolean} first
 * @param {string | null} links
 */
function csv(text, first, links) {
  const end = text.indexOf("\r\n") + 2;
  const body = text.slice(end);
  return { parts: [first ? text : body], rows: countRows(body), next: /<([^>]+)>;\s*rel="next"/.exec(links ?? "")?.[1] };
}

/**
 * Rows of CSV text; a line break within quotes ends none.
 * @param {string} text
 */
function countRows(text) {
  let rows = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === '"') quoted = !quoted;
    else if (text[i] === "\n" && !quoted) rows += 1;
  }
  return rows;
}

/** @param {string} text */
function geojson(text) {
  const page = JSON.parse(text);
  const next = page.links?.find((/** @type {any} */ x) => x.rel === "next")?.href;
  const parts = page.features.length ? [page.features.map((/** @type {any} */ f) => JSON.stringify(f)).join(",")] : [];
  return { parts, rows: page.features.length, next };
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
