/**
 * A network in training on a device: parameters, gradients and AdamW's moments, a step at a time. Everything is allocated
 * once; a step writes its tokens and records one list of kernels, and losses stay on the device until someone asks.
 * Which tokens and which learning rate is said by the caller; the kernels are those of `models/llama-train-step.ts`.
 */

import { copyBytes, type Bytes } from '../core/bytes.ts';
import type { Device } from '../kernels/device.ts';
import type { Choices } from '../kernels/variants.ts';
import { createTrainStep } from '../models/llama-train-step.ts';
import type { ModelConfig, Optimizer } from '../protocol/manifest.ts';

/** Token ids [sequences, length] and, for each, the one that should come next. */
export interface TrainingTokens {
  readonly inputs: Uint32Array;
  readonly targets: Uint32Array;
}

/** AdamW's state: f32 bytes of both moments, and how many steps they have seen since they were zero. */
export interface Moments {
  readonly first: Bytes;
  readonly second: Bytes;
  readonly steps: number;
}

export interface Trainer {
  /** f32 little endian, as long as the network has parameters. */
  load(parameters: Uint8Array): void;
  readParameters(): Promise<Bytes>;
  readMoments(): Promise<Moments>;
  /** Undefined sets them to zero. */
  setMoments(moments: Moments | undefined): void;
  /** One optimiser step on a whole batch; its mean loss is kept as number `index`. */
  step(tokens: TrainingTokens, learningRate: number, index: number): Promise<void>;
  /** Keeps the mean loss of up to a batch of sequences as number `index`, and changes nothing else. */
  measure(tokens: TrainingTokens, index: number): Promise<void>;
  /** The first `count` kept losses, nats per token. */
  readLosses(count: number): Promise<Float32Array>;
  close(): void;
}

export interface TrainerOptions {
  readonly config: ModelConfig;
  readonly optimizer: Optimizer;
  /** Sequences of a step. */
  readonly batch: number;
  /** Losses that may be kept between two reads. */
  readonly lossesMax: number;
  /** Which variants of kernels run; default those of the device. */
  readonly choices?: Choices;
}

export async function createTrainer(device: Device, options: TrainerOptions): Promise<Trainer> {
  const train = createTrainStep(device, options);
  /** Tokens that count in each kept loss. */
  const counted: number[] = [];
  try {
    const distinct = new Map(train.pipelines.map((pipeline) => [pipeline, pipeline]));
    await device.prepare([...distinct.values()]);
  } catch (error) {
    train.close();
    throw error;
  }
  return {
    load: train.load,
    readParameters: () => device.read(train.parameters.buffer),
    readMoments: async () => ({
      steps: train.momentSteps,
      first: await device.read(train.firstMoments.buffer),
      second: await device.read(train.secondMoments.buffer),
    }),
    setMoments: (moments) => {
      train.momentSteps = moments?.steps ?? 0;
      for (const [tensor, bytes] of [
        [train.firstMoments, moments?.first],
        [train.secondMoments, moments?.second],
      ] as const) {
        if (bytes === undefined) device.clear(tensor.buffer);
        else device.write(tensor.buffer, bytes);
      }
    },
    step: async ({ inputs, targets }, learningRate, index) => {
      counted[index] = inputs.length;
      await device.run(train.step(inputs, targets, { learningRate, index }));
    },
    measure: async ({ inputs, targets }, index) => {
      counted[index] = inputs.length;
      await device.run(train.measure(inputs, targets, index));
    },
    readLosses: async (count) => {
      if (count === 0) return new Float32Array();
      const sums = new Float32Array(copyBytes(await device.read(train.losses.buffer, 0, count * 4)).buffer);
      return sums.map((sum, index) => sum / (counted[index] ?? 1));
    },
    close: () => train.close(),
  };
}
