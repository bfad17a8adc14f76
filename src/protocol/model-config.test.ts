/** What of a network is trained and what is only run; how sizes must fit each other; and a train job that asks for more. */

import { expect, test } from 'vitest';
import type { Digest } from '../core/ids.ts';
import { checkManifest, type Manifest, type ModelConfig } from './manifest.ts';
import { misshapen, untrainable } from './model-config.ts';

const config: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 64,
  hidden: 172,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 256,
  context: 64,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};

test('sizes that do not fit each other are told', () => {
  expect(misshapen(config)).toBeUndefined();
  expect(misshapen({ ...config, headWidth: 128 })).toBeUndefined();
  expect(misshapen({ ...config, width: 60, headWidth: 16 })).toBeUndefined();
  expect(misshapen({ ...config, width: 60 })).toBe('width 60 is no even multiple of 4 heads');
  expect(misshapen({ ...config, headWidth: 9 })).toBe('head width 9 is odd');
  expect(misshapen({ ...config, keyValueHeads: 3 })).toBe('3 key and value heads do not divide 4 heads');
});

const data = { bytes: 1000, chunks: ['ab'.repeat(32) as Digest] };
const trainJob = (model: ModelConfig): Manifest => ({
  version: 1,
  name: 'job',
  nonce: '0'.repeat(32),
  submitter: 'cd'.repeat(32) as Manifest['submitter'],
  expires: 1_800_000_000,
  price: 1,
  units: 1,
  verify: { replicas: 1, absolute: 0, relative: 1e-5 },
  limits: { unitSeconds: 30 },
  program: 'train',
  train: {
    model,
    data,
    validation: 0.1,
    method: { name: 'solo', workers: 1, innerSteps: 1, compress: 'none', outerLearningRate: 1, outerMomentum: 0 },
    optimizer: {
      name: 'adamw',
      learningRate: 1e-3,
      betas: [0.9, 0.95],
      epsilon: 1e-8,
      weightDecay: 0,
      clip: 1,
      warmup: 0,
      schedule: 'constant',
    },
    batch: 1,
    steps: 1,
    seed: 1,
  },
});

test.each<[string, Partial<ModelConfig>, string | undefined]>([
  ['a plain Llama', {}, undefined],
  ['what says the defaults aloud', { tied: true, headWidth: 16, queryKeyNorm: false }, undefined],
  ['an own classifier', { tied: false }, 'a classifier of its own (tied: false)'],
  ['biases', { attentionBias: 'inputs' }, 'biases (attentionBias)'],
  ['norms of query and key', { queryKeyNorm: true }, 'norms of query and key (queryKeyNorm)'],
  ['wide heads', { headWidth: 32 }, 'heads of 32, not of width / heads (headWidth)'],
  ['scaling', { ropeScaling: { kind: 'linear', factor: 2 } }, 'scaled rotary positions (ropeScaling)'],
])('%s: a train job takes it or refuses it in one line', (_what, change, beyond) => {
  const model = { ...config, ...change };
  expect(untrainable(model)).toBe(beyond);
  const checked = checkManifest(trainJob(model));
  const line = beyond === undefined ? 'ok' : `manifest: train: ${beyond} cannot be trained, only run`;
  expect(checked.ok ? 'ok' : checked.error.text).toBe(line);
});
