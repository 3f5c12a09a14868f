// SPDX-License-Identifier: Apache-2.0
// Classes of values for a choropleth: as many in each as can be, between limits that are as round as they can be.

/**
 * @typedef {object} Class
 * @property {number} from The lower limit, itself within the class; of the first class the least value.
 * @property {number | null} to The upper limit, not within it; null in the last class.
 * @property {number} zones How many values it has.
 *
 * @typedef {object} Classes
 * @property {Class[]} classes From less to more, none of them empty.
 * @property {number} zeros Values that are 0 and stand apart; 0 where they do not.
 * @property {number} missing Zones without a value.
 * @property {boolean} whole Whether all values are whole numbers.
 * @property {number} most The greatest value.
 */

const MOST = 5;
/** Digits after which a number is as exact as it gets. */
const DIGITS = 15;

/**
 * Quantiles with rounded limits. Equal values are never parted, and no limit lies where it would empty a class.
 * @param {(number | null)[]} values
 * @param {boolean} additive Whether 0 says that nothing is there, and is a class of its own.
 * @returns {Classes}
 */
export function classify(values, additive) {
  const known = /** @type {number[]} */ (values.filter((v) => v !== null && Number.isFinite(v))).sort((a, b) => a - b);
  const apart = additive && known.length > 0 && known[0] >= 0;
  const sorted = apart ? known.filter((v) => v !== 0) : known;
  const limits = limitsOf(sorted);
  const classes = sorted.length === 0 ? [] : [sorted[0], ...limits].map((from, i) => {
    const to = limits[i] ?? null;
    return { from, to, zones: sorted.filter((v) => v >= from && (to === null || v < to)).length };
  });
  return { classes, zeros: known.length - sorted.length, missing: values.length - known.length,
    whole: known.every(Number.isInteger), most: sorted.at(-1) ?? 0 };
}

/** @param {number[]} sorted */
function limitsOf(sorted) {
  const n = sorted.length;
  /** Places at which a value differs from the one before. */
  const steps = sorted.flatMap((v, i) => (i > 0 && v > sorted[i - 1] ? [i] : []));
  if (steps.length < MOST) return steps.map((i) => roundest(sorted[i - 1], sorted[i]).limit);
  const slack = n / (4 * MOST);
  /** @type {number[]} */
  const limits = [];
  let last = 0;
  for (let k = 1; k < MOST; k += 1) {
    const ideal = (k * n) / MOST;
    const left = steps.filter((i) => i > last);
    const near = left.filter((i) => Math.abs(i - ideal) <= slack);
    const options = near.length ? near : left.sort((a, b) => Math.abs(a - ideal) - Math.abs(b - ideal)).slice(0, 1);
    const rated = options.map((i) => ({ i, ...roundest(sorted[i - 1], sorted[i]) }))
      .sort((a, b) => a.digits - b.digits || Math.abs(a.i - ideal) - Math.abs(b.i - ideal));
    if (!rated.length) break;
    limits.push(rated[0].limit);
    last = rated[0].i;
  }
  return limits;
}

/**
 * The number with the fewest digits that is greater than `a` and not greater than `b`.
 * @param {number} a
 * @param {number} b
 */
export function roundest(a, b) {
  const size = Math.floor(Math.log10(Math.max(Math.abs(a), Math.abs(b))));
  for (let digits = 1; digits <= DIGITS; digits += 1) {
    const power = size - digits + 1;
    // Whole powers of ten are divided by: 0.1 is no number of a computer.
    const limit = power < 0 ? Math.floor(b * 10 ** -power) / 10 ** -power : Math.floor(b / 10 ** power) * 10 ** power;
    if (limit > a && limit <= b) return { limit, digits };
  }
  return { limit: b, digits: DIGITS };
}

/**
 * The limits of a class in words; whole numbers are told from the first to the last of them.
 * @param {Classes} of
 * @param {number} i
 * @param {(v: number) => string} number
 */
export function classWords(of, i, number) {
  const { from, to } = of.classes[i];
  if (of.whole) {
    const end = to === null ? of.most : Math.ceil(to) - 1;
    const start = Math.ceil(from);
    return start === end ? number(start) : `${number(start)}–${number(end)}`;
  }
  if (i === 0) return to === null ? number(from) : `< ${number(to)}`;
  return to === null ? `≥ ${number(from)}` : `${number(from)}–${number(to)}`;
}
