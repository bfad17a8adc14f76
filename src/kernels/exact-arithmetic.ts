/**
 * Whole-number arithmetic as WGSL does it, and elementary functions whose bits do not depend on the JavaScript engine:
 * only + - * / of f64, which IEEE 754 rounds in one way, and never `Math.exp`. What the exact family's tables and its CPU
 * side stand on.
 */

/** The element, or a mistake that a test sees at once: an exact operation never reads outside. */
export function wholeAt(values: Int32Array, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`element ${index} of ${values.length} does not exist`);
  return value;
}

/** a + b, wrapped around at 32 bits. */
export const addWhole = (a: number, b: number): number => (a + b) | 0;

/** floor(x * multiplier / 2^shift + 1/2). Exact: the product has at most 46 bits. */
export const scaled = (
  x: number,
  { multiplier, shift }: { readonly multiplier: number; readonly shift: number },
): number => Math.floor((x * multiplier + powerOfTwo(shift - 1)) / powerOfTwo(shift));

/** value / divisor to the nearest whole number, halves away from zero; divisor above 0. */
export function roundHalfAway(value: number, divisor: number): number {
  const quotient = Math.floor((Math.abs(value) * 2 + divisor) / (2 * divisor));
  return value < 0 ? -quotient : quotient;
}

/** The largest whole number whose square is at most x, for x below 2^32. `Math.sqrt` is rounded correctly, so a step suffices. */
export function integerRoot(x: number): number {
  let root = Math.floor(Math.sqrt(x));
  while (root * root > x) root--;
  while ((root + 1) ** 2 <= x) root++;
  return root;
}

/**
 * e^x by range reduction and the Taylor polynomial of degree 13 on |r| <= ln(2)/2, where its error is below 2^-52 of the
 * value; the same bits in every engine. 0 below -708, Infinity above 709.
 */
export function exactExp(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x > 709) return Infinity;
  if (x < -708) return 0;
  const power = Math.floor(x / Math.LN2 + 0.5);
  const rest = x - power * ln2High - power * ln2Low;
  let sum = 1;
  for (let term = 13; term >= 1; term--) sum = 1 + (rest / term) * sum;
  return sum * powerOfTwo(power);
}

/** 2^power by multiplication, as engines need not round `Math.pow` alike. */
export function powerOfTwo(power: number): number {
  const factor = power < 0 ? 0.5 : 2;
  let value = 1;
  for (let step = Math.abs(power); step > 0; step--) value *= factor;
  return value;
}

/** ln 2 in two parts (Cody and Waite, 1980): the high one has few enough bits that its product with a power is exact. */
const ln2High = 0.69314718036912381649;
const ln2Low = 1.90821492927058770002e-10;

/** tanh from `exactExp`. */
export function exactTanh(x: number): number {
  if (Math.abs(x) > 20) return Math.sign(x);
  const squared = exactExp(2 * x);
  return (squared - 1) / (squared + 1);
}

/**
 * ln x for normal positive x: the mantissa m in [sqrt(1/2), sqrt(2)) by 2 artanh((m-1)/(m+1)), summed to the power 41.
 */
export function exactLog(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN;
  if (x === Infinity) return Infinity;
  let power = 0;
  let mantissa = x;
  while (mantissa >= Math.SQRT2) {
    mantissa /= 2;
    power++;
  }
  while (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    power--;
  }
  const ratio = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  for (let term = 41; term >= 1; term -= 2) sum = sum * ratio * ratio + 1 / term;
  return power * Math.LN2 + 2 * ratio * sum;
}
