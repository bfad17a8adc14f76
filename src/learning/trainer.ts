/**
 * A network in training on a device: parameters, gradients and AdamW's moments, a step at a time. Everything is allocated
 * once; a step writes its tokens and records one list of kernels, and losses stay on the device until someone asks.
 * Which tokens and which learning rate is said by the caller.
 */

import { assert } from '../core/assert.ts';
import { copyBytes, viewBytes, type Bytes } from '../core/bytes.ts';
import { adamwDispatch } from '../kernels/adamw.ts';
import { targetIgnored } from '../kernels/cross-entropy.ts';
import type { Device } from '../kernels/device.ts';
import { reduceParts, squaredNormDispatches } from '../kernels/reduce.ts';
import { ropeTable } from '../kernels/rope.ts';
import { createArena } from '../models/arena.ts';
import { createBackward } from '../models/llama-backward.ts';
import { headWidth, llamaLayout } from '../models/llama-parameters.ts';
import { createForward, createLoss } from '../models/llama.ts';
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
}

export async function createTrainer(device: Device, options: TrainerOptions): Promise<Trainer> {
  const { config, optimizer, batch, lossesMax } = options;
  const { elements, matrixElements } = llamaLayout(config);
  const length = config.context;
  const arena = createArena(device, 'train');
  const weights = {
    parameters: arena.tensor('parameters', elements),
    rope: arena.tensor('rope', length * headWidth(config)),
  };
  const gradients = arena.tensor('gradients', elements);
  const firstMoments = arena.tensor('first moments', elements);
  const secondMoments = arena.tensor('second moments', elements);
  const squaredNorm = arena.tensor('squared norm', 1);
  const normParts = arena.tensor('norm parts', reduceParts);
  const losses = arena.tensor('losses', lossesMax);
  const forward = createForward(arena, weights, { config, batch, length });
  const loss = createLoss(arena, forward);
  const backward = createBackward(arena, forward, gradients);
  const norm = squaredNormDispatches({ values: gradients, scratch: normParts, output: squaredNorm, count: elements });
  device.write(weights.rope.buffer, viewBytes(ropeTable(length, headWidth(config), config.ropeTheta)));
  /** Rows that count in each kept loss. */
  const counted: number[] = [];
  let momentSteps = 0;

  const optimise = (learningRate: number) =>
    adamwDispatch({
      parameters: weights.parameters,
      gradients,
      firstMoments,
      secondMoments,
      squaredNorm,
      count: elements,
      decayCount: matrixElements,
      learningRate,
      beta1: optimizer.betas[0],
      beta2: optimizer.betas[1],
      epsilon: optimizer.epsilon,
      weightDecay: optimizer.weightDecay,
      step: momentSteps,
      normMax: optimizer.clip,
    });
  const write = ({ inputs, targets }: TrainingTokens, index: number): void => {
    assert(index < lossesMax, `loss ${index} of at most ${lossesMax}`);
    const rows = batch * length;
    assert(inputs.length <= rows && targets.length === inputs.length, `${inputs.length} tokens in a batch of ${rows}`);
    counted[index] = inputs.length;
    device.write(forward.tokens.buffer, viewBytes(inputs));
    device.write(loss.targets.buffer, viewBytes(targets));
    if (inputs.length === rows) return;
    const padding = new Uint32Array(rows - inputs.length).fill(targetIgnored);
    device.write(loss.targets.buffer, viewBytes(padding), inputs.length * 4);
  };
  try {
    const all = [...forward.dispatches, ...loss.dispatches(losses, 0), ...backward, ...norm, optimise(0)];
    const distinct = new Map(all.map(({ pipeline }) => [pipeline.label, pipeline]));
    await device.prepare([...distinct.values()]);
  } catch (error) {
    arena.free();
    throw error;
  }

  return {
    load: (parameters) => {
      assert(
        parameters.byteLength === elements * 4,
        `${parameters.byteLength} bytes of parameters, the network has ${elements * 4}`,
      );
      device.write(weights.parameters.buffer, parameters);
    },
    readParameters: () => device.read(weights.parameters.buffer),
    readMoments: async () => ({
      steps: momentSteps,
      first: await device.read(firstMoments.buffer),
      second: await device.read(secondMoments.buffer),
    }),
    setMoments: (moments) => {
      momentSteps = moments?.steps ?? 0;
      for (const [tensor, bytes] of [
        [firstMoments, moments?.first],
        [secondMoments, moments?.second],
      ] as const) {
        if (bytes === undefined) device.clear(tensor.buffer);
        else device.write(tensor.buffer, bytes);
      }
    },
    step: async (tokens, learningRate, index) => {
      assert(tokens.inputs.length === batch * length, 'a training step takes a whole batch');
      write(tokens, index);
      momentSteps++;
      await device.run([
        ...forward.dispatches,
        ...loss.dispatches(losses, index),
        ...backward,
        ...norm,
        optimise(learningRate),
      ]);
    },
    measure: async (tokens, index) => {
      write(tokens, index);
      await device.run([...forward.dispatches, ...loss.dispatches(losses, index)]);
    },
    readLosses: async (count) => {
      if (count === 0) return new Float32Array();
      const sums = new Float32Array(copyBytes(await device.read(losses.buffer, 0, count * 4)).buffer);
      return sums.map((sum, index) => sum / (counted[index] ?? 1));
    },
    close: () => arena.free(),
  };
}
