/**
 * One whole training step of a Llama network on a device: forward, loss, backward, the gradient's norm and AdamW, over
 * parameters and moments that live in one flat buffer each. Lists of kernels are built once; a step changes the learning
 * rate, the step number and where its loss goes. Which tokens and which learning rate is said by the caller;
 * `learning/trainer.ts` makes a training seat of it, benchmarks run it as it is.
 */

import { assert } from '../core/assert.ts';
import { viewBytes } from '../core/bytes.ts';
import { adamwDispatch } from '../kernels/adamw.ts';
import { targetIgnored } from '../kernels/cross-entropy.ts';
import type { Device, Dispatch, Pipeline } from '../kernels/device.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { globalNormDispatches } from '../kernels/global-norm.ts';
import { reduceParts } from '../kernels/reduce.ts';
import { ropeTable } from '../kernels/rope.ts';
import type { Choices } from '../kernels/variants.ts';
import type { ModelConfig, Optimizer } from '../protocol/manifest.ts';
import { createArena, type Arena } from './arena.ts';
import { createBackward } from './llama-backward.ts';
import { headWidth, llamaLayout } from './llama-parameters.ts';
import { createForward, createLoss } from './llama.ts';

export interface TrainStepOptions {
  readonly config: ModelConfig;
  /** Default AdamW with learning rate 1e-3, betas 0.9 and 0.95, weight decay 0.1, and gradients clipped to norm 1. */
  readonly optimizer?: Optimizer;
  /** Sequences of a step. */
  readonly batch: number;
  /** Tokens of a sequence; default the config's context. */
  readonly length?: number;
  /** Losses kept at once; default 1. */
  readonly lossesMax?: number;
  /** Which variants of kernels run; default those of the device. */
  readonly choices?: Choices;
}

export interface StepPlace {
  /** Default the optimiser's. */
  readonly learningRate?: number;
  /** Which of the kept losses it sets; default 0. */
  readonly index?: number;
}

export interface TrainStep {
  /** Flat f32 vectors, as `llamaLayout` has them. */
  readonly parameters: Tensor;
  readonly gradients: Tensor;
  readonly firstMoments: Tensor;
  readonly secondMoments: Tensor;
  /** [lossesMax], each summed over the rows of its batch, nats. */
  readonly losses: Tensor;
  readonly pipelines: readonly Pipeline[];
  /** Optimiser steps since the moments were zero; `step` adds one. Set it together with the moments. */
  momentSteps: number;
  load(parameters: Uint8Array): void;
  /** Writes tokens and targets u32 [batch, length] and gives what `run` of the device shall do next. */
  step(inputs: Uint32Array, targets: Uint32Array, place?: StepPlace): readonly Dispatch[];
  /** The same for the loss alone, of up to a batch of sequences. */
  measure(inputs: Uint32Array, targets: Uint32Array, index?: number): readonly Dispatch[];
  /** Mean loss of the last step that set number `index`, nats per token. */
  readLoss(index?: number): Promise<number>;
  close(): void;
}

const defaultOptimizer: Optimizer = {
  name: 'adamw',
  learningRate: 1e-3,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.1,
  clip: 1,
  warmup: 0,
  schedule: 'constant',
};

/** Allocates everything; throws `MemoryError` before it has allocated anything where the device cannot hold it. */
export function createTrainStep(device: Device, options: TrainStepOptions): TrainStep {
  const { config, batch, length = config.context, optimizer = defaultOptimizer, lossesMax = 1 } = options;
  const { elements, matrixElements } = llamaLayout(config);
  const rows = batch * length;
  const { choices = device.choices } = options;
  const arena = createArena(device, 'train', (fits) => layOut(fits, { ...options, choices }));
  const { weights, gradients, firstMoments, secondMoments, squaredNorm, losses, forward, loss, fixed } = layOut(arena, {
    ...options,
    choices,
  });
  device.write(weights.rope.buffer, viewBytes(ropeTable(length, headWidth(config), config.ropeTheta)));

  const optimise = (learningRate: number, step: number): Dispatch =>
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
      step,
      normMax: optimizer.clip,
    });
  /** Rows that count in each kept loss. */
  const counted: number[] = [];
  const write = (inputs: Uint32Array, targets: Uint32Array, index: number): void => {
    assert(index < lossesMax, `loss ${index} of at most ${lossesMax}`);
    assert(inputs.length <= rows && targets.length === inputs.length, `${inputs.length} tokens in a batch of ${rows}`);
    counted[index] = inputs.length;
    device.write(forward.tokens.buffer, viewBytes(inputs));
    device.write(loss.targets.buffer, viewBytes(targets));
    if (inputs.length === rows) return;
    const padding = new Uint32Array(rows - inputs.length).fill(targetIgnored);
    device.write(loss.targets.buffer, viewBytes(padding), inputs.length * 4);
  };

  return {
    parameters: weights.parameters,
    gradients,
    firstMoments,
    secondMoments,
    losses,
    pipelines: [...forward.dispatches, ...loss.dispatches(losses, 0), ...fixed, optimise(0, 0)].map(
      ({ pipeline }) => pipeline,
    ),
    momentSteps: 0,
    load: (parameters) => {
      const expected = elements * 4;
      assert(parameters.byteLength === expected, `${parameters.byteLength} bytes of parameters, expected ${expected}`);
      device.write(weights.parameters.buffer, parameters);
    },
    step(inputs, targets, { learningRate = optimizer.learningRate, index = 0 } = {}) {
      assert(inputs.length === rows, 'a training step takes a whole batch');
      write(inputs, targets, index);
      this.momentSteps++;
      return [
        ...forward.dispatches,
        ...loss.dispatches(losses, index),
        ...fixed,
        optimise(learningRate, this.momentSteps),
      ];
    },
    measure: (inputs, targets, index = 0) => {
      write(inputs, targets, index);
      return [...forward.dispatches, ...loss.dispatches(losses, index)];
    },
    readLoss: async (index = 0) => {
      const bytes = await device.read(losses.buffer, index * 4, 4);
      return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true) / (counted[index] ?? 1);
    },
    close: () => arena.free(),
  };
}

/** Every tensor of a step and the lists between them. */
function layOut(arena: Arena, options: TrainStepOptions) {
  const { config, batch, length = config.context, lossesMax = 1, choices } = options;
  const { elements } = llamaLayout(config);
  const weights = {
    parameters: arena.tensor('parameters', elements),
    rope: arena.tensor('rope', length * headWidth(config)),
  };
  const gradients = arena.tensor('gradients', elements);
  const firstMoments = arena.tensor('first moments', elements);
  const secondMoments = arena.tensor('second moments', elements);
  const squaredNorm = arena.tensor('squared norm', 1);
  const scratch = arena.tensor('norm parts', reduceParts);
  const losses = arena.tensor('losses', lossesMax);
  const forward = createForward(arena, weights, { config, batch, length, ...(choices && { choices }) });
  const loss = createLoss(arena, forward);
  const backward = createBackward(arena, forward, gradients);
  const norm = globalNormDispatches({
    values: gradients,
    scratch,
    output: squaredNorm,
    count: elements,
    ...(choices && { choices }),
  });
  const fixed = [...backward, ...norm];
  return { weights, gradients, firstMoments, secondMoments, squaredNorm, losses, forward, loss, fixed };
}
