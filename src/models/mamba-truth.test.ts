/**
 * Mamba-2 as a recurrence against the same network as masked products over the whole text (Dao and Gu 2024, section 3: the
 * duality), which shares no line with it: no state, no steps, convolution from the text itself.
 */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import {
  channelsOf,
  initialMamba,
  innerWidth,
  mambaLayout,
  mambaTensor,
  projectedWidth,
  stateBytes,
  type MambaConfig,
  type MambaTensor,
} from './mamba-parameters.ts';
import { mambaTruth } from './mamba-truth.ts';

const seed = 9;
const config: MambaConfig = {
  layers: 2,
  width: 12,
  heads: 6,
  headWidth: 4,
  states: 5,
  groups: 2,
  taps: 4,
  vocabulary: 23,
  normEpsilon: 1e-5,
};
const random = createRandom(seed, 50);
const parameters = Float64Array.from(initialMamba(config, seed), (x) => x + 0.3 * random.normal());
const tokens = Array.from({ length: 13 }, () => random.below(config.vocabulary));

type Rows = readonly (readonly number[])[];
const of = (tensor: MambaTensor): number[] => [...mambaTensor(parameters, tensor)];
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? NaN), 0);
const matrix = (tensor: MambaTensor): Rows => {
  const columns = tensor.elements / (tensor.shape[0] ?? 1);
  const values = of(tensor);
  return Array.from({ length: tensor.shape[0] ?? 0 }, (_, row) => values.slice(row * columns, (row + 1) * columns));
};
const times = (rows: Rows, weight: Rows): number[][] => rows.map((row) => weight.map((own) => dot(row, own)));
const normed = (rows: Rows, gain: readonly number[]): number[][] =>
  rows.map((row) => {
    const scale = 1 / Math.sqrt(dot(row, row) / row.length + config.normEpsilon);
    return row.map((value, index) => value * scale * (gain[index] ?? NaN));
  });
const silu = (x: number): number => x / (1 + Math.exp(-x));

/** All positions at once: y = (L * C B^T) diag(step) x + D x, with L the products of decays from one position to another. */
function byProducts(): number[][] {
  const { heads, headWidth, states, groups, taps } = config;
  const layout = mambaLayout(config);
  const table = matrix(layout.embedding);
  let stream = tokens.map((token) => [...(table[token] ?? [])]);
  const [inner, channels] = [innerWidth(config), channelsOf(config)];
  for (const layer of layout.layers) {
    const projected = times(normed(stream, of(layer.norm)), matrix(layer.inProjection));
    const weight = matrix(layer.convolution);
    const bias = of(layer.convolutionBias);
    const mixed = projected.map((_, t) =>
      Array.from({ length: channels }, (_, channel) => {
        let sum = bias[channel] ?? NaN;
        for (let back = 0; back < taps && back <= t; back++) {
          sum += (weight[channel]?.[taps - 1 - back] ?? NaN) * (projected[t - back]?.[inner + channel] ?? NaN);
        }
        return silu(sum);
      }),
    );
    const gated = projected.map((row) => row.slice(0, inner).map(silu));
    for (let head = 0; head < heads; head++) {
      const rate = -Math.exp(of(layer.aLog)[head] ?? NaN);
      const steps = projected.map((row) =>
        Math.log(1 + Math.exp((row[projectedWidth(config) - heads + head] ?? NaN) + (of(layer.stepBias)[head] ?? NaN))),
      );
      const b = inner + Math.floor(head / (heads / groups)) * states;
      const c = b + groups * states;
      for (const [t, row] of gated.entries()) {
        for (let place = head * headWidth; place < (head + 1) * headWidth; place++) {
          let y = (of(layer.skip)[head] ?? NaN) * (mixed[t]?.[place] ?? NaN);
          for (let s = 0; s <= t; s++) {
            const between = steps.slice(s + 1, t + 1).reduce((sum, step) => sum + step, 0);
            const score = dot(mixed[t]?.slice(c, c + states) ?? [], mixed[s]?.slice(b, b + states) ?? []);
            y += Math.exp(rate * between) * score * (steps[s] ?? NaN) * (mixed[s]?.[place] ?? NaN);
          }
          row[place] = (row[place] ?? NaN) * y;
        }
      }
    }
    const output = times(normed(gated, of(layer.mixerNorm)), matrix(layer.outProjection));
    stream = stream.map((row, t) => row.map((value, index) => value + (output[t]?.[index] ?? NaN)));
  }
  return times(normed(stream, of(layout.norm)), table);
}

test(`the recurrence equals masked products over the whole text (seed ${seed})`, () => {
  const logits = mambaTruth(config, parameters, tokens);
  const wanted = byProducts().flat();
  expect(wanted).toHaveLength(logits.length);
  logits.forEach((value, index) => expect(value).toBeCloseTo(wanted[index] ?? NaN, 9));
});

test('what comes later changes nothing before it, and what came long ago still shows', () => {
  const logits = mambaTruth(config, parameters, tokens);
  const changed = (at: number): Float64Array =>
    mambaTruth(
      config,
      parameters,
      tokens.map((token, index) => (index === at ? (token + 1) % config.vocabulary : token)),
    );
  const last = config.vocabulary * (tokens.length - 1);
  expect(changed(tokens.length - 1).subarray(0, last)).toEqual(logits.subarray(0, last));
  const apart = changed(0)
    .subarray(last)
    .map((value, index) => Math.abs(value - (logits[last + index] ?? NaN)));
  expect(Math.max(...apart)).toBeGreaterThan(1e-3);
});

test('a layout has no gaps, starts as the paper does, and its state is as small as its sizes say', () => {
  const { tensors, elements, layers } = mambaLayout(config);
  expect(tensors.reduce((end, tensor) => (tensor.offset === end ? end + tensor.elements : NaN), 0)).toBe(elements);
  const fresh = initialMamba(config, seed);
  const [layer] = layers;
  if (layer === undefined) throw new Error('no layer');
  for (const x of mambaTensor(fresh, layer.aLog)) expect(Math.exp(x)).toSatisfy((a: number) => a >= 1 && a <= 16);
  for (const x of mambaTensor(fresh, layer.stepBias)) {
    expect(Math.log1p(Math.exp(x))).toSatisfy((step: number) => step > 0.0009 && step < 0.101);
  }
  expect(stateBytes(config)).toBe(4 * 2 * (44 * 3 + 6 * 5 * 4));
});
