// SPDX-License-Identifier: Apache-2.0
// A sheet of paper to draw on in millimetres, which remembers its words for the PDF.

const FONT = '"Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", system-ui, sans-serif';
export const INK = "#1f2a30";
export const FAINT = "#5b6a72";
export const LINE = "#dfe4e6";

/** Sizes in millimetres, upright. */
export const SIZES = { A4: [210, 297], A3: [297, 420] };

export class Paper {
  /** @type {import("./pdf.js").Word[]} */
  words = [];

  /**
   * @param {number} width
   * @param {number} height Both in millimetres.
   * @param {number} dpi
   */
  constructor(width, height, dpi) {
    this.width = width;
    this.height = height;
    this.scale = dpi / 25.4;
    this.canvas = document.createElement("canvas");
    this.canvas.width = Math.round(width * this.scale);
    this.canvas.height = Math.round(height * this.scale);
    const context = this.canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    if (!context) throw new Error("the browser cannot draw a page of this size");
    this.context = context;
    context.scale(this.canvas.width / width, this.canvas.height / height);
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, width, height);
  }

  /**
   * @param {string} text
   * @param {number} size Millimetres.
   * @param {boolean} [bold]
   */
  measure(text, size, bold = false) {
    // Measured large: browsers round small type.
    this.context.font = `${bold ? 600 : 400} 100px ${FONT}`;
    return (this.context.measureText(text).width * size) / 100;
  }

  /**
   * Writes one line; `x` is its start, middle or end.
   * @param {string} text
   * @param {number} x
   * @param {number} y Baseline.
   * @param {number} size
   * @param {{bold?: boolean, colour?: string, align?: "left" | "center" | "right"}} [how]
   * @returns {number} Its width.
   */
  text(text, x, y, size, { bold = false, colour = INK, align = "left" } = {}) {
    const { context } = this;
    const width = this.measure(text, size, bold);
    const from = align === "left" ? x : align === "right" ? x - width : x - width / 2;
    context.save();
    context.translate(from, y);
    context.scale(size / 100, size / 100);
    context.font = `${bold ? 600 : 400} 100px ${FONT}`;
    context.fillStyle = colour;
    context.textBaseline = "alphabetic";
    context.fillText(text, 0, 0);
    context.restore();
    if (text.trim()) this.words.push({ text, x: from, y, size, width });
    return width;
  }

  /**
   * Lines of a text that fit a width. Chinese breaks anywhere but before a full stop or a comma, Latin between words.
   * @param {string} text
   * @param {number} width
   * @param {number} size
   * @param {boolean} [bold]
   */
  lines(text, width, size, bold = false) {
    const pieces = text.match(/[\u2e80-\u9fff\uff00-\uffef][，。；：、）！？]*|[^\s\u2e80-\u9fff\uff00-\uffef]+\s*|\s+/g) ?? [];
    const lines = [""];
    for (const piece of pieces) {
      const longer = lines[lines.length - 1] + piece;
      if (lines[lines.length - 1] && this.measure(longer.trimEnd(), size, bold) > width) lines.push(piece.trimStart());
      else lines[lines.length - 1] = longer;
    }
    return lines.map((line) => line.trimEnd());
  }

  /**
   * A text cut to a width, with dots where something is missing.
   * @param {string} text
   * @param {number} width
   * @param {number} size
   * @param {boolean} [bold]
   */
  cut(text, width, size, bold = false) {
    if (this.measure(text, size, bold) <= width) return text;
    const letters = [...text];
    while (letters.length > 1 && this.measure(`${letters.join("")}…`, size, bold) > width) letters.pop();
    return `${letters.join("")}…`;
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   * @param {{fill?: string | null, stroke?: string | null, line?: number}} how
   */
  box(x, y, width, height, { fill = null, stroke = null, line = 0.2 }) {
    const { context } = this;
    if (fill) {
      context.fillStyle = fill;
      context.fillRect(x, y, width, height);
    }
    if (stroke) {
      context.strokeStyle = stroke;
      context.lineWidth = line;
      context.strokeRect(x, y, width, height);
    }
  }

  /** Diagonal lines over a box: what was made up and not surveyed. */
  hatch(/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ width, /** @type {number} */ height) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.beginPath();
    for (let at = -height; at < width; at += 0.9) {
      context.moveTo(x + at, y + height);
      context.lineTo(x + at + height, y);
    }
    context.strokeStyle = "rgba(255,255,255,0.85)";
    context.lineWidth = 0.25;
    context.stroke();
    context.restore();
  }
}
