/** The gradients among the f64 truths against central finite differences of the forward truths. Pure CPU. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { attentionGradientTruth, attentionTruth } from './attention-cases.ts';
import { crossEntropyTruth, targetIgnored } from './cross-entropy.ts';
import { embeddingGradientTruth, embeddingTruth } from './embedding.ts';
import { geluGradientTruth, geluTruth, normalBelow } from './gelu.ts';
import { layerNormGradientTruth, layerNormTruth } from './layer-norm.ts';
import { matmulTruth } from './matmul.ts';
import { rmsNormGradientTruth, rmsNormTruth } from './rms-norm.ts';
import { ropeTruth } from './rope.ts';
import { siluGateGradientTruth, siluGateTruth } from './silu-gate.ts';
import { softmaxGradientTruth, softmaxTruth } from './softmax.ts';
import { normals, toF64, whole } from './test-case.ts';
import { at, dot } from './truth.ts';

const seed = 7;
const random = createRandom(seed);
const draw = (count: number): Float64Array => toF64(normals(random, count));

/** The gradient of <forward(x), pull> by central differences; errors of about step^2. */
function differences(x: Float64Array, pull: Float64Array, forward: (x: Float64Array) => Float64Array): Float64Array {
  const step = 1e-5;
  const along = (index: number, by: number): number => {
    const moved = x.slice();
    moved[index] = at(moved, index) + by;
    return dot(forward(moved), 0, pull, 0, pull.length);
  };
  return x.map((_, index) => (along(index, step) - along(index, -step)) / (2 * step));
}

function expectClose(got: Float64Array, want: Float64Array, what: string): void {
  expect(got.length).toBe(want.length);
  const worst = got.reduce((most, value, index) => Math.max(most, Math.abs(value - at(want, index))), 0);
  expect(worst, `${what}, seed ${seed}`).toBeLessThan(1e-7);
}

test('a wrong gradient differs from the finite differences, so the tests below can fail', () => {
  const x = draw(5);
  const pull = draw(5);
  const wrong = x.map((value, index) => value * at(pull, index));
  expect(() =>
    expectClose(
      differences(x, pull, (own) => own.map((value) => value ** 2)),
      wrong,
      'x^2',
    ),
  ).toThrow(/x\^2/);
});

test('the gradient to an embedding table is the derivative of the gather', () => {
  const tokens = Uint32Array.of(2, 0, 2, 9, 1);
  const table = draw(3 * 4);
  const pull = draw(5 * 4);
  const got = embeddingGradientTruth(tokens, pull, 3);
  expectClose(
    got,
    differences(table, pull, (own) => embeddingTruth(tokens, own, 4)),
    'table',
  );
});

test('NN and TN products with the output gradient are the derivatives of NT', () => {
  const [rows, columns, inner] = [3, 5, 4];
  const x = draw(rows * inner);
  const weight = draw(columns * inner);
  const pull = draw(rows * columns);
  const forward = (a: Float64Array, b: Float64Array) => matmulTruth('NT', a, b, { rows, columns, inner });
  const toInput = matmulTruth('NN', pull, weight, { rows, columns: inner, inner: columns });
  const toWeight = matmulTruth('TN', pull, x, { rows: columns, columns: inner, inner: rows });
  expectClose(
    toInput,
    differences(x, pull, (own) => forward(own, weight)),
    'input',
  );
  expectClose(
    toWeight,
    differences(weight, pull, (own) => forward(x, own)),
    'weight',
  );
});

test('the gradients of RMSNorm are its derivatives', () => {
  const input = draw(3 * 5);
  const weight = draw(5);
  const pull = draw(15);
  const { inputGradient, weightGradient } = rmsNormGradientTruth(input, weight, 1e-5, pull);
  expectClose(
    inputGradient,
    differences(input, pull, (x) => rmsNormTruth(x, weight, 1e-5).output),
    'input',
  );
  expectClose(
    weightGradient,
    differences(weight, pull, (w) => rmsNormTruth(input, w, 1e-5).output),
    'weight',
  );
});

test('the inverse turn is the derivative of RoPE', () => {
  const sizes = { tokens: 3, heads: 2, headSize: 4, positionStart: 5 };
  const values = draw(2 * 3 * 2 * 4);
  const pull = draw(values.length);
  const got = ropeTruth(pull, { ...sizes, inverse: true });
  expectClose(
    got,
    differences(values, pull, (own) => ropeTruth(own, sizes)),
    'values',
  );
});

test('the gradients of attention with shared key heads are its derivatives', () => {
  const sizes = { sequences: 2, tokens: 5, heads: 4, kvHeads: 2, headSize: 3 };
  const query = draw(2 * 5 * 4 * 3);
  const key = draw(2 * 5 * 2 * 3);
  const value = draw(key.length);
  const pull = draw(query.length);
  const got = attentionGradientTruth(query, key, value, pull, sizes);
  const forward = (q: Float64Array, k: Float64Array, v: Float64Array) => attentionTruth(q, k, v, sizes).output;
  expectClose(
    got.queryGradient,
    differences(query, pull, (own) => forward(own, key, value)),
    'query',
  );
  expectClose(
    got.keyGradient,
    differences(key, pull, (own) => forward(query, own, value)),
    'key',
  );
  expectClose(
    got.valueGradient,
    differences(value, pull, (own) => forward(query, key, own)),
    'value',
  );
});

test('the gradients of the SiLU gate are its derivatives', () => {
  const gate = draw(7);
  const up = draw(7);
  const pull = draw(7);
  const { gateGradient, upGradient } = siluGateGradientTruth(gate, up, pull);
  expectClose(
    gateGradient,
    differences(gate, pull, (own) => siluGateTruth(own, up)),
    'gate',
  );
  expectClose(
    upGradient,
    differences(up, pull, (own) => siluGateTruth(gate, own)),
    'up',
  );
});

test('the gradient of cross-entropy is the derivative of the summed losses, times its scale', () => {
  const logits = draw(3 * 5);
  const targets = whole(random, 3, 5);
  targets[1] = targetIgnored;
  const got = crossEntropyTruth(logits, targets, 0.25).logits;
  const pull = new Float64Array(3).fill(0.25);
  expectClose(
    got,
    differences(logits, pull, (own) => crossEntropyTruth(own, targets, 1).losses),
    'logits',
  );
});

test('the gradient of softmax is its derivative', () => {
  const input = draw(3 * 5);
  const pull = draw(15);
  const got = softmaxGradientTruth(softmaxTruth(input, 5), pull, 5);
  expectClose(
    got,
    differences(input, pull, (x) => softmaxTruth(x, 5)),
    'input',
  );
});

test('the gradients of LayerNorm are its derivatives', () => {
  const input = draw(3 * 5);
  const weight = draw(5);
  const bias = draw(5);
  const pull = draw(15);
  const { inputGradient, weightGradient, biasGradient } = layerNormGradientTruth(input, weight, 1e-5, pull);
  const forward = (x: Float64Array, w: Float64Array, b: Float64Array) => layerNormTruth(x, w, b, 1e-5).output;
  expectClose(
    inputGradient,
    differences(input, pull, (x) => forward(x, weight, bias)),
    'input',
  );
  expectClose(
    weightGradient,
    differences(weight, pull, (w) => forward(input, w, bias)),
    'weight',
  );
  expectClose(
    biasGradient,
    differences(bias, pull, (b) => forward(input, weight, b)),
    'bias',
  );
});

test.each(['tanh', 'erf'] as const)('the gradient of GELU, %s form, is its derivative', (form) => {
  const input = draw(9);
  const pull = draw(9);
  expectClose(
    geluGradientTruth(input, pull, form),
    differences(input, pull, (x) => geluTruth(x, form)),
    form,
  );
});

test('the normal distribution has the shares below that tables print', () => {
  expect(normalBelow(1.959963984540054)).toBeCloseTo(0.975, 12);
  expect(normalBelow(-3)).toBeCloseTo(0.0013498980316300933, 14);
  expect([normalBelow(Infinity), normalBelow(-Infinity), normalBelow(NaN)]).toEqual([1, 0, NaN]);
});
