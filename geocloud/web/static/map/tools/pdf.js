// SPDX-License-Identifier: Apache-2.0
// A page as PDF 1.7 (ISO 32000-1): the drawn page as one lossless picture, its words as text that can be searched and
// copied, and where on earth the map lies (ISO 32000-2, 12.10).

/**
 * @typedef {object} Word A text on the page, in millimetres from its upper left corner.
 * @property {string} text
 * @property {number} x
 * @property {number} y Baseline.
 * @property {number} size Height of the type.
 * @property {number} width
 *
 * @typedef {object} Place The map on the page, in millimetres, and its corners as longitude, latitude.
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {[number, number][]} corners Lower left, upper left, upper right, lower right.
 */

const POINTS = 72 / 25.4;
/** Codes of one Type 3 font; what stands beyond goes into the next font. */
const CODES = 255;

/**
 * @param {{width: number, height: number, canvas: HTMLCanvasElement, words: Word[], place: Place, title: string,
 *   lang: string, made: Date}} page Sizes in millimetres.
 * @returns {Promise<Blob>}
 */
export async function makePdf({ width, height, canvas, words, place, title, lang, made }) {
  const file = new Writer();
  const [w, h] = [width * POINTS, height * POINTS];
  const picture = file.add(`<</Type/XObject/Subtype/Image/Width ${canvas.width}/Height ${canvas.height}/ColorSpace/DeviceRGB` +
    `/BitsPerComponent 8/Filter/FlateDecode/DecodeParms<</Predictor 15/Colors 3/BitsPerComponent 8/Columns ${canvas.width}>>`,
  await deflate(rows(canvas)));
  const { fonts, codes } = fontsFor(file, words);
  const text = words.map((word) => written(word, height, codes)).join("\n");
  const content = file.add("<</Filter/FlateDecode", await deflate(bytes(
    `q ${n(w)} 0 0 ${n(h)} 0 0 cm /Page Do Q\nBT 3 Tr\n${text}\nET`)));
  const page = file.add("");
  const pages = file.add(`<</Type/Pages/Kids[${page} 0 R]/Count 1>>`);
  file.set(page, `<</Type/Page/Parent ${pages} 0 R/MediaBox[0 0 ${n(w)} ${n(h)}]/Contents ${content} 0 R` +
    `/Resources<</XObject<</Page ${picture} 0 R>>/Font<<${fonts.map((id, i) => `/F${i} ${id} 0 R`).join("")}>>>>` +
    `/VP[${viewport(place, height)}]>>`);
  const root = file.add(`<</Type/Catalog/Pages ${pages} 0 R/Lang${literal(lang)}/ViewerPreferences<</DisplayDocTitle true>>>>`);
  const stamp = made.toISOString().replace(/[-:T]|\..*/g, "");
  const info = file.add(`<</Title${literal(title)}/Creator(geocloud)/Producer(geocloud)/CreationDate(D:${stamp}Z)>>`);
  return file.end(root, info);
}

/** Objects of a file and their places in it. */
class Writer {
  /** @type {(Uint8Array | string)[][]} */
  #objects = [];

  /**
   * @param {string} head The object, or a stream's dictionary left open for its length.
   * @param {Uint8Array} [stream]
   * @returns {number} Number of the object.
   */
  add(head, stream) {
    this.#objects.push([]);
    this.set(this.#objects.length, head, stream);
    return this.#objects.length;
  }

  /**
   * @param {number} id
   * @param {string} head
   * @param {Uint8Array} [stream]
   */
  set(id, head, stream) {
    this.#objects[id - 1] = stream ? [`${head}/Length ${stream.length}>>\nstream\n`, stream, "\nendstream"] : [head];
  }

  /**
   * @param {number} root
   * @param {number} info
   */
  end(root, info) {
    /** @type {Uint8Array[]} */
    const parts = [];
    let size = 0;
    const put = (/** @type {Uint8Array | string} */ part) => {
      const data = typeof part === "string" ? bytes(part) : part;
      parts.push(data);
      size += data.length;
    };
    put("%PDF-1.7\n");
    put(new Uint8Array([0x25, 0xe2, 0xe3, 0xcf, 0xd3, 0x0a]));
    const places = this.#objects.map((object, i) => {
      const at = size;
      put(`${i + 1} 0 obj\n`);
      object.forEach(put);
      put("\nendobj\n");
      return at;
    });
    const start = size;
    put(`xref\n0 ${places.length + 1}\n0000000000 65535 f \n`);
    places.forEach((at) => put(`${String(at).padStart(10, "0")} 00000 n \n`));
    put(`trailer\n<</Size ${places.length + 1}/Root ${root} 0 R/Info ${info} 0 R>>\nstartxref\n${start}\n%%EOF\n`);
    return new Blob(/** @type {BlobPart[]} */ (parts), { type: "application/pdf" });
  }
}

/**
 * Fonts of empty glyphs for the words that lie, unseen, over the picture: as every glyph is in the file, no program
 * needs a Chinese font to find or copy them.
 * @param {Writer} file
 * @param {Word[]} words
 */
function fontsFor(file, words) {
  const letters = [...new Set(words.flatMap((word) => [...word.text]))];
  /** @type {Map<string, [number, number]>} */
  const codes = new Map(letters.map((letter, i) => [letter, [Math.floor(i / CODES), (i % CODES) + 1]]));
  const blank = letters.length ? file.add("<<", bytes("1000 0 d0")) : 0;
  const fonts = [];
  for (let from = 0; from < letters.length; from += CODES) {
    const some = letters.slice(from, from + CODES);
    const lines = some.map((letter, i) => `<${hex(i + 1, 2)}> <${utf16(letter)}>`);
    const map = [];
    for (let i = 0; i < lines.length; i += 100) {
      const part = lines.slice(i, i + 100);
      map.push(`${part.length} beginbfchar\n${part.join("\n")}\nendbfchar`);
    }
    const unicode = file.add("<<", bytes(
      "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Words def /CMapType 2 def\n" +
      `1 begincodespacerange <00> <FF> endcodespacerange\n${map.join("\n")}\nendcmap end end`));
    const names = some.map((_, i) => `/g${i + 1}`);
    fonts.push(file.add(`<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 1/LastChar ${some.length}` +
      `/Widths[${some.map(() => 1000).join(" ")}]/Encoding<</Type/Encoding/Differences[1${names.join("")}]>>` +
      `/CharProcs<<${names.map((name) => `${name} ${blank} 0 R`).join("")}>>/Resources<<>>/ToUnicode ${unicode} 0 R>>`));
  }
  return { fonts, codes };
}

/**
 * @param {Word} word
 * @param {number} height
 * @param {Map<string, [number, number]>} codes
 */
function written(word, height, codes) {
  const letters = [...word.text];
  const size = word.size * POINTS;
  // Every glyph is as wide as it is high; the words are squeezed to the width they have in the picture.
  const squeeze = (word.width / (letters.length * word.size)) * 100;
  const runs = [];
  let font = -1;
  for (const letter of letters) {
    const [in_, code] = /** @type {[number, number]} */ (codes.get(letter));
    if (in_ !== font) runs.push({ font: (font = in_), text: "" });
    runs[runs.length - 1].text += hex(code, 2);
  }
  return `1 0 0 1 ${n(word.x * POINTS)} ${n((height - word.y) * POINTS)} Tm ${n(squeeze)} Tz ` +
    runs.map((run) => `/F${run.font} ${n(size)} Tf <${run.text}> Tj`).join(" ");
}

/**
 * @param {Place} place
 * @param {number} height
 */
function viewport(place, height) {
  const box = [place.x, height - place.y - place.height, place.x + place.width, height - place.y].map((v) => n(v * POINTS));
  const corners = place.corners.map(([lng, lat]) => `${lat.toFixed(8)} ${lng.toFixed(8)}`).join(" ");
  return `<</Type/Viewport/BBox[${box.join(" ")}]/Name(Map)/Measure<</Type/Measure/Subtype/GEO/Bounds[0 0 0 1 1 1 1 0]` +
    `/LPTS[0 0 0 1 1 1 1 0]/GPTS[${corners}]/GCS<</Type/PROJCS/EPSG 3857>>>>>>`;
}

/**
 * The picture's rows, each as the difference to the row above: even areas become zeros.
 * @param {HTMLCanvasElement} canvas
 */
function rows(canvas) {
  const { width, height } = canvas;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const out = new Uint8Array((width * 3 + 1) * height);
  let above = new Uint8ClampedArray(width * 4);
  let at = 0;
  for (let y = 0; y < height; y += 256) {
    const { data } = context.getImageData(0, y, width, Math.min(256, height - y));
    for (let from = 0; from < data.length; from += width * 4) {
      const row = data.subarray(from, from + width * 4);
      out[at++] = 2;
      for (let i = 0; i < row.length; i += 4) {
        out[at++] = row[i] - above[i];
        out[at++] = row[i + 1] - above[i + 1];
        out[at++] = row[i + 2] - above[i + 2];
      }
      above = row;
    }
  }
  return out;
}

/** @param {Uint8Array} data */
async function deflate(data) {
  const packed = new Blob([/** @type {BlobPart} */ (data)]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}

/** @param {string} text Latin letters only. */
function bytes(text) {
  return new TextEncoder().encode(text);
}

/** @param {string} text As UTF-16 with its mark, which readers take for any language. */
function literal(text) {
  return `<FEFF${utf16(text)}>`;
}

/** @param {string} text */
function utf16(text) {
  return Array.from({ length: text.length }, (_, i) => hex(text.charCodeAt(i), 4)).join("");
}

/**
 * @param {number} value
 * @param {number} digits
 */
function hex(value, digits) {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** @param {number} value */
function n(value) {
  return String(Math.round(value * 1000) / 1000);
}
