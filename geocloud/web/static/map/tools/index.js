// SPDX-License-Identifier: Apache-2.0
// The tools, in the order they are installed; each is `./<name>.js` with `export default function install(app)`.

/** @type {string[]} */
export const TOOLS = ["search", "measure", "ask", "planning", "sectors", "split", "print", "share", "time", "readings", "summary"];
