// SPDX-License-Identifier: Apache-2.0
// Words, numbers and dates in the language of the screen; switching changes all of them at once.

/** @typedef {{zh: string, en: string}} Text */

const MU = 10_000 / 15;

export class Words {
  /** @param {"zh" | "en"} lang */
  constructor(lang) {
    /** @type {"zh" | "en"} */
    this.lang = lang;
  }

  /**
   * Of two wordings the one on screen.
   * @param {string} zh
   * @param {string} en
   */
  t = (zh, en) => (this.lang === "zh" ? zh : en);

  /**
   * A bilingual text in the language of the screen.
   * @param {Text | null | undefined} text
   */
  text(text) {
    return text ? text[this.lang] : "";
  }

  /**
   * A whole number with thousands apart.
   * @param {number} number
   */
  count(number) {
    return Math.round(number).toLocaleString("en-US");
  }

  /**
   * Three significant digits.
   * @param {number} number
   */
  figure(number) {
    if (!Number.isFinite(number)) return "";
    return number.toLocaleString("en-US", { maximumSignificantDigits: 3 });
  }

  /**
   * Land: hectares and mu, below a hectare square metres.
   * @param {number} squareMetres
   */
  area(squareMetres) {
    if (squareMetres < 10_000) return `${this.figure(squareMetres)} ${this.t("平方米", "m²")}`;
    const ha = this.figure(squareMetres / 10_000);
    const mu = this.figure(squareMetres / MU);
    return this.t(`${ha} 公顷（${mu} 亩）`, `${ha} ha (${mu} mu)`);
  }

  /**
   * Metres, from a kilometre on kilometres.
   * @param {number} metres
   */
  length(metres) {
    return metres >= 1000 ? `${this.figure(metres / 1000)} km` : `${this.figure(metres)} m`;
  }

  /**
   * A calendar date in words, an instant in Beijing time to the minute.
   * @param {string} text
   */
  date(text) {
    const plain = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
    if (plain) return this.#day(Number(plain[1]), Number(plain[2]), Number(plain[3]));
    const when = new Date(text);
    if (Number.isNaN(when.getTime())) return text;
    const local = new Date(when.getTime() + 8 * 3_600_000);
    const clock = local.toISOString().slice(11, 16);
    const day = this.#day(local.getUTCFullYear(), local.getUTCMonth() + 1, local.getUTCDate());
    return this.t(`${day} ${clock}`, `${day}, ${clock} Beijing time`);
  }

  /**
   * @param {number} year
   * @param {number} month
   * @param {number} day
   */
  #day(year, month, day) {
    const names = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
      "November", "December"];
    return this.t(`${year}年${month}月${day}日`, `${day} ${names[month - 1]} ${year}`);
  }

  /**
   * Writes every text of the page that carries both languages: `data-zh` and `data-en`, with `data-for` naming an
   * attribute to write instead of the content.
   * @param {ParentNode} root
   */
  apply(root) {
    for (const element of root.querySelectorAll("[data-zh]")) {
      const node = /** @type {HTMLElement} */ (element);
      const text = (this.lang === "zh" ? node.dataset.zh : node.dataset.en) ?? "";
      for (const name of (node.dataset.for ?? "").split(" ")) {
        if (name === "" || name === "text") node.textContent = text;
        else node.setAttribute(name, text);
      }
    }
  }
}
