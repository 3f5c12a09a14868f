// SPDX-License-Identifier: Apache-2.0
// Geodesics of the CGCS2000 ellipsoid (GB 22021), near enough to show while a line is being drawn.
// What is finally shown comes from the service, which is exact.

/** @typedef {[number, number]} Place Longitude, latitude in degrees. */

export const A = 6378137;
export const F = 1 / 298.257222101;
const B = A * (1 - F);
const E2 = F * (2 - F);
const E = Math.sqrt(E2);
const RAD = Math.PI / 180;

/**
 * Metres between two places, by Vincenty's inverse formula; NaN for places opposite each other on the globe.
 * @param {Place} from
 * @param {Place} to
 */
export function distance(from, to) {
  const l = (to[0] - from[0]) * RAD;
  const u1 = Math.atan((1 - F) * Math.tan(from[1] * RAD));
  const u2 = Math.atan((1 - F) * Math.tan(to[1] * RAD));
  const [s1, c1, s2, c2] = [Math.sin(u1), Math.cos(u1), Math.sin(u2), Math.cos(u2)];
  let lambda = l;
  for (let turn = 0; turn < 200; turn++) {
    const [sl, cl] = [Math.sin(lambda), Math.cos(lambda)];
    const ss = Math.hypot(c2 * sl, c1 * s2 - s1 * c2 * cl);
    if (ss === 0) return 0;
    const cs = s1 * s2 + c1 * c2 * cl;
    const sigma = Math.atan2(ss, cs);
    const sa = (c1 * c2 * sl) / ss;
    const c2a = 1 - sa * sa;
    const cm = c2a === 0 ? 0 : cs - (2 * s1 * s2) / c2a;
    const c = (F / 16) * c2a * (4 + F * (4 - 3 * c2a));
    const before = lambda;
    lambda = l + (1 - c) * F * sa * (sigma + c * ss * (cm + c * cs * (2 * cm * cm - 1)));
    if (Math.abs(lambda - before) < 1e-12) {
      const uu = (c2a * (A * A - B * B)) / (B * B);
      const k1 = 1 + (uu / 16384) * (4096 + uu * (uu * (320 - 175 * uu) - 768));
      const k2 = (uu / 1024) * (256 + uu * (uu * (74 - 47 * uu) - 128));
      const correction = k2 * ss * (cm + (k2 / 4) * (cs * (2 * cm * cm - 1) -
        (k2 / 6) * cm * (4 * ss * ss - 3) * (4 * cm * cm - 3)));
      return B * k1 * (sigma - correction);
    }
  }
  return NaN;
}

/**
 * Metres along a line.
 * @param {Place[]} line
 */
export function length(line) {
  return line.slice(1).reduce((sum, to, i) => sum + distance(line[i], to), 0);
}

/** @param {number} latitude In radians. */
function authalic(latitude) {
  const s = Math.sin(latitude);
  return (1 - E2) * (s / (1 - E2 * s * s) - Math.log((1 - E * s) / (1 + E * s)) / (2 * E));
}

/**
 * Square metres inside a ring (its last place may repeat the first), on the sphere that has the ellipsoid's area.
 * @param {Place[]} ring
 */
export function area(ring) {
  const qp = authalic(Math.PI / 2);
  const r2 = (A * A * qp) / 2;
  let sum = 0;
  for (let i = 0; i < ring.length; i++) {
    const [from, to] = [ring[i], ring[(i + 1) % ring.length]];
    const [b1, b2] = [from, to].map((p) => Math.asin(Math.max(-1, Math.min(1, authalic(p[1] * RAD) / qp))));
    const dl = (to[0] - from[0]) * RAD;
    const t = Math.tan(dl / 2) * (Math.tan(b1 / 2) + Math.tan(b2 / 2)) / (1 + Math.tan(b1 / 2) * Math.tan(b2 / 2));
    sum += 2 * Math.atan(t);
  }
  return Math.abs(sum) * r2;
}

/**
 * The geodesic between two places as places no further than about 20 km apart, for drawing on a flat map.
 * @param {Place} from
 * @param {Place} to
 * @returns {Place[]} Without the first.
 */
export function path(from, to) {
  const pieces = Math.min(200, Math.ceil((distance(from, to) || 0) / 20_000));
  if (pieces < 2) return [to];
  const [a, b] = [vector(from), vector(to)];
  const angle = Math.acos(Math.max(-1, Math.min(1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])));
  if (angle === 0) return [to];
  /** @type {Place[]} */
  const places = [];
  for (let i = 1; i < pieces; i++) {
    const [k, m] = [Math.sin((1 - i / pieces) * angle), Math.sin((i / pieces) * angle)];
    const [x, y, z] = a.map((v, axis) => (k * v + m * b[axis]) / Math.sin(angle));
    places.push([Math.atan2(y, x) / RAD, Math.atan2(z, Math.hypot(x, y)) / RAD]);
  }
  return [...places, to];
}

/** @param {Place} place */
function vector([lng, lat]) {
  const c = Math.cos(lat * RAD);
  return [c * Math.cos(lng * RAD), c * Math.sin(lng * RAD), Math.sin(lat * RAD)];
}
