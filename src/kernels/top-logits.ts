/**
 * The most likely tokens of each row with the logarithms of their probabilities, as an answer shows them beside the tokens
 * that were drawn. Variants are those of `sample.ts`; what a GPU chooses and what is shown of it are read together.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { dispatchOf, rowGrid, type Tensor } from './kernel.ts';
import { always } from './row-variants.ts';
import { bySampleVariant, sampleFamily, sampleKernelOf, sampleTolerance } from './sample.ts';
import { normals, type KernelCase } from './test-case.ts';
import { at } from './truth.ts';
import type { Choices } from './variants.ts';

const top = bySampleVariant({
  shader: 'top_logits',
  parts: ['order_key'],
  tensors: ['logits', 'logits_rows:u32', '>tokens:u32', '>log_probabilities'],
  numbers: ['rows', 'vocabulary', 'count', 'logits_rows_stride'],
});

export const topLogitsKernels = [...top.values()];

export interface TopLogitsOptions {
  /** [any, vocabulary]. */
  readonly logits: Tensor;
  /** u32 [rows], `logitsRowsStride` elements apart: which row of logits each row looks at. */
  readonly logitsRows: Tensor;
  /** Default 1. */
  readonly logitsRowsStride?: number;
  /** u32 [rows, count], the likeliest first, lower tokens first among equals. */
  readonly tokens: Tensor;
  /** [rows, count]: natural logarithms of their probabilities under softmax(logits). */
  readonly logProbabilities: Tensor;
  readonly rows: number;
  readonly vocabulary: number;
  /** At most the vocabulary. */
  readonly count: number;
  readonly choices?: Choices;
}

export function topLogitsDispatch(of: TopLogitsOptions): Dispatch {
  const { logits, logitsRows, tokens, logProbabilities, rows, vocabulary, count, logitsRowsStride = 1 } = of;
  assert(count <= vocabulary, `top_logits: ${count} of a vocabulary of ${vocabulary}`);
  return dispatchOf(
    sampleKernelOf(top, vocabulary, of.choices),
    { logits, logits_rows: logitsRows, tokens, log_probabilities: logProbabilities },
    { rows, vocabulary, count, logits_rows_stride: logitsRowsStride },
    rowGrid(rows),
  );
}

export function topLogitsTruth(logits: ArrayLike<number>, count: number) {
  const values = Array.from(logits);
  const tokens = values
    .map((_, token) => token)
    .toSorted((a, b) => at(logits, b) - at(logits, a) || a - b)
    .slice(0, count);
  const largest = at(logits, tokens[0] ?? 0);
  const logTotal = Math.log(values.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  return { tokens, logProbabilities: tokens.map((token) => at(logits, token) - largest - logTotal) };
}

export function topLogitsCases(random: Random): KernelCase[] {
  const shapes = [
    { rows: 1, vocabulary: 1, count: 1 },
    { rows: 3, vocabulary: 97, count: 20 },
    { rows: 2, vocabulary: 2179, count: 5 },
  ];
  return sampleFamily.variants.flatMap((variant) =>
    shapes.map(({ rows, vocabulary, count }): KernelCase => {
      // Few different values, so that most rows hold equals.
      const logits = normals(random, rows * vocabulary, 2).map((value) => Math.round(value * 4) / 4);
      const logitsRows = Uint32Array.from({ length: 2 * rows }, (_, index) => rows - 1 - Math.floor(index / 2));
      const truths = Array.from({ length: rows }, (_, row) =>
        topLogitsTruth(logits.subarray((rows - 1 - row) * vocabulary, (rows - row) * vocabulary), count),
      );
      return {
        kernel: 'top_logits',
        variant,
        title: `${variant.name}, ${count} of ${vocabulary}, ${rows} rows`,
        tensors: {
          logits,
          logitsRows,
          tokens: new Uint32Array(rows * count),
          logProbabilities: new Float32Array(rows * count),
        },
        dispatches: (of) => [
          topLogitsDispatch({
            logits: of('logits'),
            logitsRows: of('logitsRows'),
            logitsRowsStride: 2,
            tokens: of('tokens'),
            logProbabilities: of('logProbabilities'),
            rows,
            vocabulary,
            count,
            choices: always(variant.name),
          }),
        ],
        expected: {
          tokens: Uint32Array.from(truths.flatMap(({ tokens }) => tokens)),
          logProbabilities: Float64Array.from(truths.flatMap(({ logProbabilities }) => logProbabilities)),
        },
        tolerance: sampleTolerance,
      };
    }),
  );
}
