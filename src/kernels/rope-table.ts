/**
 * Angles of rotary positions, made on the CPU in f64 and uploaded once: `rope.ts` and `rope-store.ts` read them. Nothing here
 * needs a shader. How a network's frequencies are changed for longer contexts is `models/rope-scaling.ts`.
 */

import { at } from './truth.ts';

/** Cosine and sine of position * base^(-2i / headSize): shape [positions, headSize / 2, 2]. Upload it once. */
export const ropeTable = (positions: number, headSize: number, base = 10000): Float32Array<ArrayBuffer> =>
  rotaryTable(positions, ropeFrequencies(headSize, base));

/** base^(-2i / headSize) of each pair. */
export const ropeFrequencies = (headSize: number, base: number): Float64Array =>
  Float64Array.from({ length: headSize / 2 }, (_, pair) => base ** (-pair / (headSize / 2)));

/** `ropeTable` of any frequencies; cosines and sines are multiplied by `amplitude`, and so are turned values. */
export function rotaryTable(positions: number, frequencies: Float64Array, amplitude = 1): Float32Array<ArrayBuffer> {
  const half = frequencies.length;
  const table = new Float32Array(positions * 2 * half);
  for (let position = 0; position < positions; position++) {
    for (let pair = 0; pair < half; pair++) {
      const angle = position * at(frequencies, pair);
      table[2 * (position * half + pair)] = amplitude * Math.cos(angle);
      table[2 * (position * half + pair) + 1] = amplitude * Math.sin(angle);
    }
  }
  return table;
}
