// SPDX-License-Identifier: Apache-2.0
// A drawn page as PNG that knows how large it is on paper (chunk pHYs of ISO/IEC 15948).

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} dpi
 * @returns {Promise<Blob>}
 */
export async function makePng(canvas, dpi) {
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("the browser could not write the picture");
  const data = new Uint8Array(await blob.arrayBuffer());
  const perMetre = Math.round(dpi / 0.0254);
  const chunk = new DataView(new ArrayBuffer(21));
  chunk.setUint32(0, 9);
  [0x70, 0x48, 0x59, 0x73].forEach((letter, i) => chunk.setUint8(4 + i, letter));
  chunk.setUint32(8, perMetre);
  chunk.setUint32(12, perMetre);
  chunk.setUint8(16, 1);
  chunk.setUint32(17, crc(new Uint8Array(chunk.buffer, 4, 13)));
  // Eight bytes of signature and the header's 25 come first.
  return new Blob([data.subarray(0, 33), chunk.buffer, data.subarray(33)], { type: "image/png" });
}

/** @param {Uint8Array} data */
function crc(data) {
  let sum = 0xffffffff;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}
