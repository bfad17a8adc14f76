/** Small networks with random weights, one for each thing in which Llama and Qwen differ, for tests. */

import { createRandom } from '../core/prng.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { initialParameters } from './llama-parameters.ts';

export const plainLlama: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 64,
  hidden: 96,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 97,
  context: 64,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const llama3 = { kind: 'llama3', factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 16 } as const;
const yarn = { kind: 'yarn', factor: 4, originalContext: 16, betaFast: 4, betaSlow: 1, attentionFactor: 1.25 } as const;

/** Each by what is special about it; theirs is the last. */
export const architectures: Readonly<Record<string, ModelConfig>> = {
  'a plain Llama': plainLlama,
  'a Llama with a classifier of its own': { ...plainLlama, tied: false },
  'a Llama with biases everywhere': { ...plainLlama, attentionBias: 'all' },
  'a Llama with linear scaling': { ...plainLlama, ropeScaling: { kind: 'linear', factor: 4 } },
  'a Llama 3 with its scaling': { ...plainLlama, ropeTheta: 500_000, ropeScaling: llama3 },
  'a Llama with YaRN': { ...plainLlama, ropeScaling: yarn },
  'a Qwen 2': { ...plainLlama, architecture: 'qwen2', attentionBias: 'inputs' },
  'a Qwen 3 with wide heads': {
    ...plainLlama,
    architecture: 'qwen3',
    headWidth: 32,
    queryKeyNorm: true,
    ropeTheta: 1e6,
    normEpsilon: 1e-6,
  },
  'a Qwen 3 with a classifier of its own': {
    ...plainLlama,
    architecture: 'qwen3',
    headWidth: 32,
    queryKeyNorm: true,
    tied: false,
  },
};

/** Weights, gains and biases of ordinary size, so that each of them shows in the logits. */
export function roughParameters(config: ModelConfig, seed: number): Float32Array<ArrayBuffer> {
  const random = createRandom(seed, 100);
  return Float32Array.from(initialParameters(config, seed), (x) => x + 0.15 * random.normal());
}
