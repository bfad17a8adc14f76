/** The f64 network: its gradient against finite differences, and what a causal language model must obey. */

import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { initialParameters, llamaLayout } from './llama-parameters.ts';
import { gradientTruth, lossTruth, type TokenBatch } from './llama-gradient-truth.ts';
import { logitsTruth } from './llama-truth.ts';

const config: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 12,
  hidden: 7,
  heads: 3,
  keyValueHeads: 1,
  vocabulary: 11,
  context: 7,
  ropeTheta: 100,
  normEpsilon: 1e-5,
};
const seed = 3;

/** Weights of ordinary size, so that no part of the network is nearly linear. */
function roughParameters(): Float64Array {
  const random = createRandom(seed, 100);
  return Float64Array.from(initialParameters(config, seed), (x) => (x === 0 ? 0 : x + 0.3 * random.normal()));
}

function someTokens(batch: number, length: number): TokenBatch {
  const random = createRandom(seed, 7);
  const draw = () => Array.from({ length: batch * length }, () => random.below(config.vocabulary));
  return { inputs: draw(), targets: draw(), batch, length };
}

describe('the f64 network', () => {
  test(`its whole gradient equals central differences (seed ${seed})`, () => {
    const parameters = roughParameters();
    const tokens = someTokens(2, 5);
    const { loss, gradient } = gradientTruth(config, parameters, tokens);
    expect(loss).toBeCloseTo(lossTruth(config, parameters, tokens), 12);
    const step = 2e-6;
    let worst = 0;
    for (const tensor of llamaLayout(config).tensors) {
      for (let index = tensor.offset; index < tensor.offset + tensor.elements; index++) {
        const kept = parameters[index] ?? 0;
        parameters[index] = kept + step;
        const above = lossTruth(config, parameters, tokens);
        parameters[index] = kept - step;
        const below = lossTruth(config, parameters, tokens);
        parameters[index] = kept;
        worst = Math.max(worst, Math.abs((above - below) / (2 * step) - (gradient[index] ?? 0)));
      }
    }
    expect(worst).toBeLessThan(2e-9);
    expect(Math.max(...gradient.map(Math.abs))).toBeGreaterThan(1e-2);
  });

  test('a token changes no logits before it, and all after it', () => {
    const parameters = roughParameters();
    const before = logitsTruth(config, parameters, [1, 2, 3, 4, 5]);
    const after = logitsTruth(config, parameters, [1, 2, 9, 4, 5]);
    const same = (position: number) =>
      Array.from({ length: config.vocabulary }).every(
        (_, token) => before[position * config.vocabulary + token] === after[position * config.vocabulary + token],
      );
    expect([0, 1, 2, 3, 4].map(same)).toEqual([true, true, false, false, false]);
  });

  test('fresh parameters know nothing: the loss is near ln(vocabulary), and equal seeds give equal parameters', () => {
    const tokens = someTokens(4, 7);
    expect(lossTruth(config, initialParameters(config, seed), tokens)).toBeCloseTo(Math.log(config.vocabulary), 1);
    expect(initialParameters(config, 5)).toEqual(initialParameters(config, 5));
    expect(initialParameters(config, 5)).not.toEqual(initialParameters(config, 6));
  });

  test('tensors fill the vector without gap or overlap', () => {
    const layout = llamaLayout(config);
    let end = 0;
    for (const tensor of layout.tensors) {
      expect(tensor.offset).toBe(end);
      end += tensor.elements;
    }
    expect(layout.elements).toBe(end);
  });
});
