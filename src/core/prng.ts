/**
 * Philox4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
 * the numbers of (key, counter) are the same wherever and in whatever order they are drawn, so samples and data
 * orders do not depend on which tab makes them.
 */

export type PhiloxCounter = readonly [number, number, number, number];
export type PhiloxKey = readonly [number, number];

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

/** The upper 32 bits of a product of two u32. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle1 = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle1 & 0xffff);
  return (aHigh * bHigh + Math.floor(middle1 / 0x10000) + Math.floor(middle2 / 0x10000)) >>> 0;
}

/** Four random u32 for this counter and key. */
export function philox(counter: PhiloxCounter, key: PhiloxKey): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0) >>> 0;
    const high1 = multiplyHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A u32 as a number in [0, 1), with 24 bits so that f32 holds it exactly. */
export const u32ToUnit = (value: number): number => (value >>> 8) / 0x1000000;

/** A sequence of numbers from one seed; `stream` gives independent sequences of the same seed. */
export interface Random {
  /** In [0, 1), 24 bits. */
  next(): number;
  u32(): number;
  /** A whole number in [0, bound). */
  below(bound: number): number;
  /** Standard normal (Box and Muller). */
  normal(): number;
}

export function createRandom(seed: number, stream = 0): Random {
  const key: PhiloxKey = [seed >>> 0, Math.floor(seed / 0x100000000) >>> 0];
  let block: number[] = [];
  let drawn = 0;
  const u32 = (): number => {
    if (block.length === 0) {
      block = philox([drawn >>> 0, Math.floor(drawn / 0x100000000) >>> 0, stream >>> 0, 0], key);
      drawn++;
    }
    return block.pop() ?? 0;
  };
  const next = (): number => u32ToUnit(u32());
  return {
    next,
    u32,
    below: (bound) => Math.floor((u32() / 0x100000000) * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}
