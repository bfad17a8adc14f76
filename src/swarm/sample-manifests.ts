/** Jobs for the simulator and for tests of the machines: shapes only, their inputs do not exist. */

import type { AccountId } from '../core/ids.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Digest } from '../core/ids.ts';

const nothing = { bytes: 4, chunks: ['0'.repeat(64) as Digest] };

export interface UnitsSample {
  readonly units: number;
  readonly replicas: number;
  readonly unitSeconds: number;
}

export interface TrainingSample {
  readonly workers: number;
  readonly rounds: number;
  readonly method: 'diloco' | 'solo';
}

const commonOf = (submitter: AccountId) =>
  ({
    version: 1,
    nonce: '0'.repeat(32),
    submitter,
    expires: 4_000_000_000,
    price: 1,
  }) as const;

export const sampleManifest = (sample: UnitsSample, submitter: AccountId): Manifest => ({
  ...commonOf(submitter),
  name: 'simulated units',
  program: 'shader',
  units: sample.units,
  verify: { replicas: sample.replicas, absolute: 1, relative: 0 },
  limits: { unitSeconds: sample.unitSeconds },
  shader: {
    wgsl: nothing,
    constants: {},
    buffers: [{ binding: 0, kind: 'output', type: 'f32', count: 1 }],
    steps: [{ entryPoint: 'main', grid: [1, 1, 1], repeat: 1 }],
    loop: 1,
  },
});

export function sampleTraining(
  { workers, rounds, method }: TrainingSample,
  unitSeconds: number,
  submitter: AccountId,
): Manifest {
  const innerSteps = 10;
  return {
    ...commonOf(submitter),
    name: 'simulated training',
    program: 'train',
    units: workers * (rounds + 1),
    verify: { replicas: 1, absolute: 0, relative: 0 },
    limits: { unitSeconds },
    train: {
      model: {
        architecture: 'llama',
        layers: 1,
        width: 8,
        hidden: 16,
        heads: 1,
        keyValueHeads: 1,
        vocabulary: 256,
        context: 8,
        ropeTheta: 10_000,
        normEpsilon: 1e-5,
      },
      data: nothing,
      validation: 0.1,
      method: { name: method, workers, innerSteps, compress: 'none', outerLearningRate: 0.7, outerMomentum: 0.9 },
      optimizer: {
        name: 'adamw',
        learningRate: 1e-3,
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weightDecay: 0.1,
        clip: 1,
        warmup: 0,
        schedule: 'constant',
      },
      batch: 1,
      steps: rounds * innerSteps,
      seed: 1,
    },
  };
}
