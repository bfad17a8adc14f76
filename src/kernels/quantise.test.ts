/** The definitions of what is quantised for the wire, on the CPU, against oracles that do not share their code. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { compress, decompress, quantise } from '../learning/compress.ts';
import { outerStep } from '../learning/diloco.ts';
import { dctBasis, dctChunks, dctTruth } from './dct.ts';
import { nadamTruth } from './nadam.ts';
import { dequantiseE3m0, quantiseE3m0 } from './quantise-e3m0.ts';
import { dequantiseInt8, quantiseInt8 } from './quantise-int8-truth.ts';
import { uint8Thresholds, uint8Truth } from './quantise-uint8.ts';
import { sgdTruth } from './sgd.ts';
import { normals, toF64 } from './test-case.ts';
import { topKMeanTruth, topKTruth } from './top-k.ts';
import { at } from './truth.ts';

const seed = 1;
const gaussian = normals(createRandom(seed), 50_000);

/** Mean of the squared errors over the mean of the squares. */
const relativeError = (values: Float32Array, back: ArrayLike<number>): number =>
  values.reduce((sum, x, i) => sum + (x - at(back, i)) ** 2, 0) / values.reduce((sum, x) => sum + x * x, 0);

test(`E3M0 in blocks of 256 loses 3.8 % of a Gaussian's squares, and NaN comes back as NaN, seed ${seed}`, () => {
  expect(relativeError(gaussian, dequantiseE3m0(quantiseE3m0(gaussian), gaussian.length))).toBeCloseTo(0.038, 2);
  const broken = gaussian.subarray(0, 600).map((x, index) => (index === 300 ? NaN : x));
  const back = dequantiseE3m0(quantiseE3m0(broken), 600);
  expect(back.filter((x) => Number.isNaN(x))).toHaveLength(256);
});

test(`int8 in blocks of 256 is off by 0.6 to 0.9 % of a Gaussian's root mean square, seed ${seed}`, () => {
  const sizes = { rows: 1, inner: gaussian.length, block: 256 };
  const error = Math.sqrt(relativeError(gaussian, dequantiseInt8(quantiseInt8(gaussian, sizes), sizes)));
  expect(error).toBeGreaterThan(0.006);
  expect(error).toBeLessThan(0.009);
});

test('int8: halves go away from zero, and a block with infinity has scale NaN', () => {
  const { words, scales } = quantiseInt8(Float32Array.of(127, 0.5, -0.5, 0.49, 1, -127, Infinity, 2), {
    rows: 2,
    inner: 4,
    block: 4,
  });
  expect([...new Int8Array(words.buffer)]).toEqual([127, 1, -1, 0, 0, 0, 0, 0]);
  expect([...scales]).toEqual([1, NaN]);
});

test(`uint8 codes by thresholds are those of the training's own compression, bit for bit, seed ${seed}`, () => {
  const { codes, table } = quantise(gaussian);
  expect(uint8Truth(gaussian)).toEqual({ codes, table });
  const thresholds = uint8Thresholds(
    gaussian.reduce((sum, x) => sum + x * x, 0),
    gaussian.length,
  );
  const byThreshold = gaussian.map((x) => thresholds.findLastIndex((least, bin) => bin > 0 && x >= least));
  expect([...byThreshold].map((bin) => Math.max(0, bin))).toEqual([...codes]);
});

test('a table of NaN, which is what the GPU makes of infinity, is refused by name where it is decoded', () => {
  const bytes = compress(gaussian.subarray(0, 8), 'uint8');
  new DataView(bytes.buffer).setUint32(4 * (bytes[1024] ?? 0), 0x7fc00000, true);
  expect(decompress(bytes, 'uint8', 8)).toMatchObject({ ok: false });
});

test('the DCT basis is orthogonal, chunks are the largest divisors up to 64, and energy is kept', () => {
  for (const length of [1, 13, 26, 64]) {
    const basis = dctBasis(length);
    const product = (p: number, q: number): number =>
      Array.from({ length }, (_, j) => at(basis, j * length + p) * at(basis, j * length + q)).reduce((a, b) => a + b);
    const errors = Array.from({ length: length * length }, (_, place) => {
      const [p, q] = [Math.floor(place / length), place % length];
      return Math.abs(product(p, q) - (p === q ? 1 : 0));
    });
    expect(Math.max(...errors)).toBeLessThan(1e-12);
  }
  expect(dctChunks({ rows: 130, columns: 64 })).toEqual({ height: 26, width: 64, chunks: 5, across: 1 });
  expect(dctChunks({ rows: 97, columns: 65 })).toMatchObject({ height: 1, width: 13 });
  const matrix = toF64(gaussian.subarray(0, 32 * 48));
  const energy = (values: Float64Array): number => values.reduce((sum, x) => sum + x * x, 0);
  expect(energy(dctTruth(matrix, { rows: 32, columns: 48 }))).toBeCloseTo(energy(matrix), 6);
});

test('top-k takes the lowest place of equals, NaN first, and one message puts the chosen back', () => {
  const sizes = { chunks: 1, size: 6, k: 3 };
  expect([...topKTruth(Float32Array.of(1, -2, 2, NaN, 2, 0), sizes).indices]).toEqual([3, 1, 2]);
  const message = topKTruth(Float32Array.of(1, -2, 2, 0, 2, 0), sizes);
  expect([...topKMeanTruth([message], sizes)]).toEqual([0, -2, 2, 0, 2, 0]);
  const other = topKTruth(Float32Array.of(9, 8, 0, 0, 0, 7), sizes);
  expect([...topKMeanTruth([message, other], sizes)]).toEqual([9, 3, 2, 0, 2, 7]);
});

test("SGD with Nesterov is DiLoCo's outer step", () => {
  const [parameters, momenta, delta] = [0, 1, 2].map((part) => gaussian.slice(part * 97, (part + 1) * 97));
  if (parameters === undefined || momenta === undefined || delta === undefined) throw new Error('three parts');
  const numbers = { learningRate: 0.7, momentum: 0.9 };
  const outer = outerStep(parameters, toF64(delta), momenta, numbers);
  const state = { parameters: toF64(parameters), gradients: toF64(delta), momenta: toF64(momenta) };
  const ours = sgdTruth(state, { ...numbers, nesterov: true, squaredNorm: 0, decayCount: 0 });
  expect(Float32Array.from(ours.parameters)).toEqual(outer.parameters);
  expect(Float32Array.from(ours.momenta)).toEqual(outer.momentum);
});

test("NAdam's first step from rest moves by the sum of both corrected parts, as worked by hand", () => {
  const one = (value: number): Float64Array => Float64Array.of(value);
  const { parameters } = nadamTruth(
    { parameters: one(1), gradients: one(0.5), firstMoments: one(0), secondMoments: one(0) },
    {
      learningRate: 0.1,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 0,
      weightDecay: 0,
      decoupled: false,
      momentumDecay: 0.004,
      step: 1,
      squaredNorm: 0.25,
      decayCount: 0,
    },
  );
  const [mu1, mu2] = [0.9 * (1 - 0.5 * 0.96 ** 0.004), 0.9 * (1 - 0.5 * 0.96 ** 0.008)];
  // g / sqrt(v corrected) is 1, and (1 - mu1) / (1 - mu1) is 1; the moment is a tenth of the gradient.
  expect(parameters[0]).toBeCloseTo(1 - 0.1 * (1 + (0.1 * mu2) / (1 - mu1 * mu2)), 12);
});
