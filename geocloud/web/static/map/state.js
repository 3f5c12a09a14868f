// SPDX-License-Identifier: Apache-2.0
// What the address bar holds, and nothing beside it: `#at=12/36.45/115.98&on=base.road,base.poi&lang=en`.

/**
 * Text values by key, kept in the part of the address after `#`.
 * A set writes the address at once; going back or forward tells the subscribers of every key that changed.
 */
export class State {
  /** @type {Map<string, string>} */
  #values = new Map();
  /** @type {Map<string, Set<(value: string | null) => void>>} */
  #listeners = new Map();
  #window;

  /** @param {Window} window */
  constructor(window) {
    this.#window = window;
    this.#values = read(window.location.hash);
    window.addEventListener("popstate", () => this.#follow());
    window.addEventListener("hashchange", () => this.#follow());
  }

  /**
   * @param {string} key
   * @returns {string | null}
   */
  get(key) {
    return this.#values.get(key) ?? null;
  }

  /**
   * Sets a key, or takes it away with null or "". Subscribers are told when the value is another one.
   * `step: false` changes the address without a new step of history (moving the map, typing).
   * @param {string} key
   * @param {string | number | boolean | null} value
   * @param {{step?: boolean}} [how]
   */
  set(key, value, how = {}) {
    const text = value === null || value === "" || value === false ? null : String(value);
    if (text === this.get(key)) return;
    if (text === null) this.#values.delete(key);
    else this.#values.set(key, text);
    const address = write(this.#values);
    if (how.step === false) this.#window.history.replaceState(null, "", address);
    else this.#window.history.pushState(null, "", address);
    this.#tell(key);
  }

  /**
   * Calls `fn` with every new value of a key; returns what ends that.
   * @param {string} key
   * @param {(value: string | null) => void} fn
   * @returns {() => void}
   */
  subscribe(key, fn) {
    const set = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, set.add(fn));
    return () => set.delete(fn);
  }

  /**
   * Keys that are set and begin with a prefix.
   * @param {string} prefix
   * @returns {string[]}
   */
  keys(prefix = "") {
    return [...this.#values.keys()].filter((key) => key.startsWith(prefix));
  }

  #follow() {
    const before = this.#values;
    this.#values = read(this.#window.location.hash);
    for (const key of new Set([...before.keys(), ...this.#values.keys()])) {
      if (before.get(key) !== this.#values.get(key)) this.#tell(key);
    }
  }

  /** @param {string} key */
  #tell(key) {
    for (const fn of this.#listeners.get(key) ?? []) fn(this.get(key));
  }
}

/** @param {string} hash */
function read(hash) {
  /** @type {Map<string, string>} */
  const values = new Map();
  for (const part of hash.replace(/^#/, "").split("&")) {
    const at = part.indexOf("=");
    if (at < 1) continue;
    try {
      values.set(decodeURIComponent(part.slice(0, at)), decodeURIComponent(part.slice(at + 1)));
    } catch {
      // An address cut in the middle of an escape: what can be read of it counts.
    }
  }
  return values;
}

/** @param {Map<string, string>} values */
function write(values) {
  const plain = (/** @type {string} */ text) =>
    encodeURIComponent(text).replace(/%(2F|2C|3A|40|20)/g, (m) => (m === "%20" ? "+" : decodeURIComponent(m)));
  const encode = (/** @type {string} */ text) => plain(text).replace(/\+/g, "%20");
  return "#" + [...values].map(([key, value]) => `${encode(key)}=${encode(value)}`).join("&");
}
