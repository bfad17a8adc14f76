/** The small networks and plans of the model's checks; free of kernels, so that a test's own process can read it too. */

import { sha256 } from '../../src/core/hash.ts';
import type { Artifact } from '../../src/protocol/artifact.ts';
import type { ModelConfig, Optimizer, TrainPlan } from '../../src/protocol/manifest.ts';

export const smallConfig: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 24,
  hidden: 30,
  heads: 3,
  keyValueHeads: 1,
  vocabulary: 37,
  context: 19,
  ropeTheta: 100,
  normEpsilon: 1e-5,
};

export const adamw: Optimizer = {
  name: 'adamw',
  learningRate: 1e-2,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.1,
  clip: 1,
  warmup: 0,
  schedule: 'constant',
};

export const artifactOf = (bytes: Uint8Array): Artifact => ({ bytes: bytes.byteLength, chunks: [sha256(bytes)] });

/** A plan for a network that learns an easy text. */
export function easyPlan(data: Uint8Array, changes: Partial<TrainPlan> = {}): TrainPlan {
  return {
    model: { ...smallConfig, vocabulary: 256, width: 32, heads: 4, hidden: 48, context: 16 },
    data: artifactOf(data),
    validation: 0.1,
    method: { name: 'diloco', workers: 2, innerSteps: 8, compress: 'none', outerLearningRate: 0.7, outerMomentum: 0.9 },
    optimizer: adamw,
    batch: 4,
    steps: 16,
    seed: 5,
    ...changes,
  };
}
