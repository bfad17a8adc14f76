/**
 * The next token of each row, chosen on the device so that only 4 bytes a row need be read: the largest logit, or a draw
 * with temperature, top-k and top-p. Draws come from Philox4x32-10 keyed by (seed, sample, position), so a sample's tokens
 * do not depend on the batch or the tab that makes them.
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, rowGrid, type Tensor } from './kernel.ts';

const largest = defineKernel({
  shader: 'argmax',
  tensors: ['values', '>indices:u32'],
  numbers: ['rows', 'width'],
});
const draw = defineKernel({
  shader: 'sample',
  tensors: ['logits', 'samples:u32', '>tokens:u32', '>log_probabilities'],
  numbers: ['rows', 'vocabulary', 'top_k', 'position', 'seed_low', 'seed_high', 'temperature:f32', 'top_p:f32'],
});
const words = defineKernel({
  shader: 'sample',
  entryPoint: 'random_words',
  tensors: ['>tokens:u32'],
  numbers: ['rows', 'vocabulary', 'top_k', 'position', 'seed_low', 'seed_high', 'temperature:f32', 'top_p:f32'],
});

/** indices[row] = index of the row's largest value, the lowest among equals. Shapes: values [rows, width], indices u32 [rows]. */
export function argmaxDispatch(of: {
  readonly values: Tensor;
  readonly indices: Tensor;
  readonly rows: number;
  readonly width: number;
}): Dispatch {
  const { values, indices, rows, width } = of;
  return dispatchOf(largest, { values, indices }, { rows, width }, rowGrid(rows));
}

export interface SampleNumbers {
  /** Above 0; 0 takes the largest logit. */
  readonly temperature: number;
  /** Keeps the k largest logits; 0 (default) keeps all. Of equal logits the lower tokens are kept. */
  readonly topK?: number;
  /** Of those, keeps the smallest set of largest probabilities that sums to at least this; default 1 keeps all. */
  readonly topP?: number;
  /** Up to 2^53. */
  readonly seed: number;
  /** The position that the new token will have in its sequence. */
  readonly position: number;
}

/**
 * Shapes: logits [rows, vocabulary]; samples u32 [rows], each row's sample number; tokens u32 [rows]; logProbabilities
 * [rows]: the natural logarithm of the chosen token's probability under softmax(logits), before temperature and cuts.
 */
export function sampleDispatch(
  of: SampleNumbers & {
    readonly logits: Tensor;
    readonly samples: Tensor;
    readonly tokens: Tensor;
    readonly logProbabilities: Tensor;
    readonly rows: number;
    readonly vocabulary: number;
  },
): Dispatch {
  const { logits, samples, tokens, logProbabilities, rows } = of;
  return dispatchOf(
    draw,
    { logits, samples, tokens, log_probabilities: logProbabilities },
    sampleUniform(of),
    rowGrid(rows),
  );
}

/** Philox words for checking: tokens[4 i .. 4 i + 3] = philox([position, i, 0, 0], seed) for i below `rows`. */
export function randomWordsDispatch(of: {
  readonly tokens: Tensor;
  readonly rows: number;
  readonly seed: number;
  readonly position: number;
}): Dispatch {
  return dispatchOf(
    words,
    { tokens: of.tokens },
    sampleUniform({ ...of, vocabulary: 0, temperature: 1 }),
    gridOf(of.rows, 64),
  );
}

const sampleUniform = (of: SampleNumbers & { readonly rows: number; readonly vocabulary: number }) => ({
  rows: of.rows,
  vocabulary: of.vocabulary,
  top_k: of.topK ?? 0,
  position: of.position,
  seed_low: of.seed % 0x100000000,
  seed_high: Math.floor(of.seed / 0x100000000),
  temperature: of.temperature,
  top_p: of.topP ?? 1,
});
