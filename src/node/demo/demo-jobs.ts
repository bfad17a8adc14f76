/** What the demo runs, in two sizes: the full one, and `--quick`, which ends within 90 s on two cores without a GPU. */

import type { TrainJobInput } from '../../protocol/job-file.ts';

export interface DemoSize {
  readonly render: string;
  /** Paths of light per pixel, as the job file sets them. */
  readonly renderSamples: number;
  readonly train: Omit<TrainJobInput, 'data' | 'version' | 'program' | 'name'>;
  readonly generate: {
    readonly samples: number;
    readonly samplesPerUnit: number;
    readonly maxTokens: number;
    readonly prompt: string;
  };
}

const method = { name: 'diloco', workers: 4, compress: 'uint8', outerLearningRate: 0.7 } as const;

export const quickDemo: DemoSize = {
  render: 'render-quick.json',
  renderSamples: 4,
  train: {
    model: { layers: 2, width: 32, heads: 4, context: 32 },
    // With four rounds a momentum of 0.9 overshoots.
    method: { ...method, innerSteps: 10, outerMomentum: 0.5 },
    optimizer: { learningRate: 0.01, warmup: 2 },
    batch: 4,
    steps: 40,
    seed: 1,
  },
  generate: { samples: 8, samplesPerUnit: 2, maxTokens: 24, prompt: 'The ' },
};

export const fullDemo: DemoSize = {
  render: 'render.json',
  renderSamples: 32,
  train: {
    model: { layers: 2, width: 64, heads: 4, context: 48 },
    method: { ...method, innerSteps: 20, outerMomentum: 0.7 },
    optimizer: { learningRate: 0.006, warmup: 10 },
    batch: 6,
    steps: 100,
    seed: 1,
  },
  generate: { samples: 16, samplesPerUnit: 2, maxTokens: 40, prompt: 'The ' },
};
