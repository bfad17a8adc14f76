/**
 * Halves (IEEE 754 binary16) as kernels store weights: two in each 32-bit word, the first in the low half. Rounds to the
 * nearest, ties to even, as WGSL's `pack2x16float` may; what is too large becomes infinity.
 */

import { at } from './truth.ts';

const word = new DataView(new ArrayBuffer(4));

/** The 16 bits of the half nearest to an f32. */
export function halfBits(value: number): number {
  word.setFloat32(0, value);
  return halfOfBits(word.getUint32(0));
}

/** The same of an f32's own 32 bits. */
function halfOfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14 halves are multiples of 2^-24, and nothing below half of that is left.
  if (magnitude < 0x38800000) return sign | roundToEven(smallValue(magnitude) * 2 ** 24);
  const rest = magnitude - 0x38000000;
  return sign | ((rest + 0xfff + ((rest >>> 13) & 1)) >>> 13);
}

/** Of the bits of an f32 below 2^-14 that is not negative. */
const smallValue = (magnitude: number): number =>
  magnitude < 0x800000 ? magnitude * 2 ** -149 : ((magnitude & 0x7fffff) | 0x800000) * 2 ** ((magnitude >>> 23) - 150);

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** The value of 16 bits. */
export function halfValue(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** Two halves a word; an odd count ends with a zero. */
export function packHalves(values: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  const floats = values instanceof Float32Array ? values : Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const words = new Uint32Array(Math.ceil(values.length / 2));
  const halves = new Uint16Array(words.buffer);
  for (let index = 0; index < bits.length; index++) halves[index] = halfOfBits(bits[index] ?? 0);
  return words;
}

/** The first `count` values of packed halves. */
export const unpackHalves = (words: Uint32Array, count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, index) =>
    halfValue((at(words, index >>> 1) >>> (16 * (index % 2))) & 0xffff),
  );
