/** DiLoCo's outer step: the worked example of its specification, its invariants, and mistakes that must show. */

import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { adamwTruth } from '../kernels/adamw.ts';
import { movedBy, meanDelta, outerStep } from './diloco.ts';

const seed = 21;
const f32 = (...values: number[]): Float32Array<ArrayBuffer> => Float32Array.from(values);
const standard = { learningRate: 0.7, momentum: 0.9 };

function randomVector(length: number, stream: number): Float32Array<ArrayBuffer> {
  const random = createRandom(seed, stream);
  return Float32Array.from({ length }, () => random.normal());
}

/** One round of workers that ended at `ends`. */
function round(parameters: Float32Array, ends: readonly Float32Array[], momentum: Float32Array, numbers = standard) {
  return outerStep(parameters, meanDelta(ends.map((end) => movedBy(parameters, end))), momentum, numbers);
}

describe('the outer step', () => {
  test('gives the worked example: 1 -> 0.734 -> 0.50888', () => {
    const first = round(f32(1), [f32(0.9), f32(0.7)], f32(0));
    expect(first.momentum[0]).toBeCloseTo(0.2, 6);
    expect(first.parameters[0]).toBeCloseTo(0.734, 6);
    const second = round(first.parameters, [f32(0.7), f32(0.6)], first.momentum);
    expect(second.momentum[0]).toBeCloseTo(0.264, 6);
    expect(second.parameters[0]).toBeCloseTo(0.50888, 6);
  });

  test('a flipped sign or momentum left out does not give the worked example', () => {
    const flipped = outerStep(f32(1), meanDelta([f32(-0.1), f32(-0.3)]), f32(0), standard);
    expect(Math.abs((flipped.parameters[0] ?? 1) - 0.734)).toBeGreaterThan(0.1);
    const still = round(f32(0.734), [f32(0.7), f32(0.6)], f32(0.2), { learningRate: 0.7, momentum: 0 });
    expect(Math.abs((still.parameters[0] ?? 0.50888) - 0.50888)).toBeGreaterThan(0.1);
  });

  test(`(a) one worker, one step, rate 1 and no momentum is plain AdamW (seed ${seed})`, () => {
    const start = randomVector(300, 1);
    const numbers = { learningRate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, step: 1 };
    const zeros = new Float64Array(300);
    const state = {
      parameters: Float64Array.from(start),
      gradients: Float64Array.from(randomVector(300, 2)),
      firstMoments: zeros,
      secondMoments: zeros,
    };
    const worker = Float32Array.from(adamwTruth(state, { ...numbers, squaredNorm: 1, decayCount: 300 }).parameters);
    const after = round(start, [worker], new Float32Array(300), { learningRate: 1, momentum: 0 });
    for (const [index, x] of worker.entries()) expect(after.parameters[index]).toBeCloseTo(x, 6);
  });

  test('(b) the same contributions give the same bits, in whatever order they came', () => {
    const start = randomVector(100, 1);
    const ends = [2, 3, 4].map((stream) => randomVector(100, stream));
    expect(round(start, ends, new Float32Array(100))).toEqual(round(start, ends, new Float32Array(100)));
  });

  test('(c) rate 1 without momentum is the mean of the workers; with momentum it is not', () => {
    const start = randomVector(100, 1);
    const ends = [2, 3, 4].map((stream) => randomVector(100, stream));
    const mean = (index: number): number => ends.reduce((sum, end) => sum + (end[index] ?? 0), 0) / 3;
    const averaged = round(start, ends, new Float32Array(100), { learningRate: 1, momentum: 0 });
    const pushed = round(start, ends, new Float32Array(100), { learningRate: 1, momentum: 0.9 });
    const distance = (from: Float32Array) => Math.max(...from.map((x, index) => Math.abs(x - mean(index))));
    expect(distance(averaged.parameters)).toBeLessThan(1e-5);
    expect(distance(pushed.parameters)).toBeGreaterThan(0.1);
  });

  test('(d) workers with identical data move the whole as one of them would', () => {
    const start = randomVector(100, 1);
    const end = randomVector(100, 2);
    const one = round(start, [end], new Float32Array(100));
    expect(round(start, [end, end, end, end], new Float32Array(100))).toEqual(one);
  });

  test('the divisor is the number of those who contributed, so a lost worker does not shrink the step', () => {
    expect(Array.from(meanDelta([f32(0.25), f32(0.75)]))).toEqual([0.5]);
    expect(Array.from(meanDelta([f32(0.75)]))).toEqual([0.75]);
  });

  test('one step moves the parameters towards the mean of the workers, not away', () => {
    const after = round(f32(1, -1), [f32(0.5, 0), f32(0.7, -0.4)], f32(0, 0), { learningRate: 0.5, momentum: 0 });
    expect(after.parameters[0]).toBeLessThan(1);
    expect(after.parameters[1]).toBeGreaterThan(-1);
  });
});
