/**
 * What attention should compute, in f64, and its cases: queries, keys and values packed in one row as a network's one
 * product leaves them, alone, and against a cache; odd token counts and head sizes; backward with the truth's own
 * log-sum-exp. The truth of the gradients is held against finite differences in `truth.test.ts`.
 */

import { attentionDispatch, attentionGradientDispatches, type AttentionSizes } from './attention.ts';
import type { Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { addAt, at, dot } from './truth.ts';

/** What one query row of one head sees: where its keys start, and the probability of each. */
function attentionRow(query: Float64Array, key: Float64Array, of: AttentionSizes, row: number) {
  const { tokens, heads, kvHeads, headSize, positionStart = 0, positionsMax = tokens } = of;
  const head = row % heads;
  const token = Math.floor(row / heads) % tokens;
  const sequence = Math.floor(row / (heads * tokens));
  const kvHead = Math.floor(head / (heads / kvHeads));
  const startOf = (position: number): number => ((sequence * positionsMax + position) * kvHeads + kvHead) * headSize;
  const scores = Float64Array.from(
    { length: positionStart + token + 1 },
    (_, position) => dot(query, row * headSize, key, startOf(position), headSize) / Math.sqrt(headSize),
  );
  const largest = scores.reduce((a, b) => Math.max(a, b));
  const logSumExp = largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), 0));
  return { startOf, probabilities: scores.map((score) => Math.exp(score - logSumExp)), logSumExp };
}

export function attentionTruth(
  query: Float64Array,
  key: Float64Array,
  value: Float64Array,
  of: AttentionSizes,
): { output: Float64Array; logSumExp: Float64Array } {
  const { sequences, tokens, heads, headSize } = of;
  const output = new Float64Array(query.length);
  const logSumExp = new Float64Array(sequences * tokens * heads);
  for (let row = 0; row < logSumExp.length; row++) {
    const { startOf, probabilities, logSumExp: own } = attentionRow(query, key, of, row);
    logSumExp[row] = own;
    probabilities.forEach((probability, position) => {
      for (let dimension = 0; dimension < headSize; dimension++) {
        addAt(output, row * headSize + dimension, probability * at(value, startOf(position) + dimension));
      }
    });
  }
  return { output, logSumExp };
}

export function attentionGradientTruth(
  query: Float64Array,
  key: Float64Array,
  value: Float64Array,
  outputGradient: Float64Array,
  of: AttentionSizes,
): { queryGradient: Float64Array; keyGradient: Float64Array; valueGradient: Float64Array } {
  const { sequences, tokens, heads, headSize } = of;
  const queryGradient = new Float64Array(query.length);
  const keyGradient = new Float64Array(key.length);
  const valueGradient = new Float64Array(value.length);
  for (let row = 0; row < sequences * tokens * heads; row++) {
    const { startOf, probabilities } = attentionRow(query, key, of, row);
    const pulls = probabilities.map((_, position) =>
      dot(outputGradient, row * headSize, value, startOf(position), headSize),
    );
    const mean = dot(probabilities, 0, pulls, 0, pulls.length);
    probabilities.forEach((probability, position) => {
      const weight = (probability * (at(pulls, position) - mean)) / Math.sqrt(headSize);
      for (let dimension = 0; dimension < headSize; dimension++) {
        const own = row * headSize + dimension;
        const other = startOf(position) + dimension;
        addAt(queryGradient, own, weight * at(key, other));
        addAt(keyGradient, other, weight * at(query, own));
        addAt(valueGradient, other, probability * at(outputGradient, own));
      }
    });
  }
  return { queryGradient, keyGradient, valueGradient };
}

export const attentionTolerance: Tolerance = {
  absolute: 3e-5,
  relative: 1e-5,
  reason:
    'exp may be (3 + 2 |x|) units off in the last place for scores x of standard normals, summed over up to 315 keys',
};

export function attentionCases(random: Random): KernelCase[] {
  return [...forwardCases(random), ...gradientCases(random)];
}

const sizesTitle = (of: AttentionSizes): string =>
  `${of.sequences} x ${of.tokens} tokens from ${of.positionStart ?? 0}, ${of.heads} heads of ${of.headSize} on ${of.kvHeads}`;

const trainingSizes: readonly AttentionSizes[] = [
  { sequences: 1, tokens: 1, heads: 1, kvHeads: 1, headSize: 1 },
  { sequences: 2, tokens: 65, heads: 3, kvHeads: 3, headSize: 4 },
  { sequences: 1, tokens: 97, heads: 4, kvHeads: 2, headSize: 16 },
  { sequences: 3, tokens: 3, heads: 3, kvHeads: 1, headSize: 65 },
  { sequences: 1, tokens: 315, heads: 2, kvHeads: 1, headSize: 32 },
  { sequences: 1, tokens: 33, heads: 2, kvHeads: 2, headSize: 128 },
];

/** Rows [heads of query, of key, of value] from three tensors. */
function packed(query: Float64Array, key: Float64Array, value: Float64Array, of: AttentionSizes): Float64Array {
  const { width, inner, stride } = packedSizes(of);
  const rows = new Float64Array(of.sequences * of.tokens * stride);
  for (let row = 0; row < of.sequences * of.tokens; row++) {
    rows.set(query.subarray(row * width, (row + 1) * width), row * stride);
    rows.set(key.subarray(row * inner, (row + 1) * inner), row * stride + width);
    rows.set(value.subarray(row * inner, (row + 1) * inner), row * stride + width + inner);
  }
  return rows;
}

/** Elements of a packed row: of its query, of its key (and value), of all three. */
function packedSizes({ heads, kvHeads, headSize }: AttentionSizes) {
  const [width, inner] = [heads * headSize, kvHeads * headSize];
  return { width, inner, stride: width + 2 * inner };
}

const shifted = ({ buffer, offset = 0 }: Tensor, elements: number): Tensor => ({ buffer, offset: offset + elements });

function forwardCases(random: Random): KernelCase[] {
  return [...trainingSizes.map((sizes) => packedForwardCase(random, sizes)), cachedCase(random)];
}

function packedForwardCase(random: Random, sizes: AttentionSizes): KernelCase {
  const { sequences, tokens, heads, kvHeads, headSize } = sizes;
  const query = normals(random, sequences * tokens * heads * headSize);
  const key = normals(random, sequences * tokens * kvHeads * headSize);
  const value = normals(random, key.length);
  const rows = Float32Array.from(packed(toF64(query), toF64(key), toF64(value), sizes));
  const { width, inner, stride } = packedSizes(sizes);
  return {
    kernel: 'attention',
    title: sizesTitle(sizes),
    tensors: {
      rows,
      output: new Float32Array(query.length),
      logSumExp: new Float32Array(sequences * tokens * heads),
    },
    dispatches: (of) => [
      attentionDispatch({
        query: of('rows'),
        key: shifted(of('rows'), width),
        value: shifted(of('rows'), width + inner),
        output: of('output'),
        logSumExp: of('logSumExp'),
        queryStride: stride,
        keyValueStride: stride,
        ...sizes,
      }),
    ],
    expected: { ...attentionTruth(toF64(query), toF64(key), toF64(value), sizes) },
    tolerance: attentionTolerance,
  };
}

function cachedCase(random: Random): KernelCase {
  const sizes = { sequences: 2, tokens: 3, heads: 4, kvHeads: 2, headSize: 6, positionStart: 5, positionsMax: 11 };
  const query = normals(random, 2 * 3 * 4 * 6);
  const key = normals(random, 2 * 11 * 2 * 6);
  const value = normals(random, key.length);
  return {
    kernel: 'attention',
    title: sizesTitle(sizes),
    tensors: { query, key, value, output: new Float32Array(query.length), logSumExp: new Float32Array(2 * 3 * 4) },
    dispatches: (of) => [
      attentionDispatch({
        query: of('query'),
        key: of('key'),
        value: of('value'),
        output: of('output'),
        logSumExp: of('logSumExp'),
        ...sizes,
      }),
    ],
    expected: { ...attentionTruth(toF64(query), toF64(key), toF64(value), sizes) },
    tolerance: attentionTolerance,
  };
}

function gradientCases(random: Random): KernelCase[] {
  return trainingSizes.map((sizes): KernelCase => {
    const { sequences, tokens, heads, kvHeads, headSize } = sizes;
    const query = normals(random, sequences * tokens * heads * headSize);
    const key = normals(random, sequences * tokens * kvHeads * headSize);
    const value = normals(random, key.length);
    const outputGradient = normals(random, query.length);
    const { output, logSumExp } = attentionTruth(toF64(query), toF64(key), toF64(value), sizes);
    const rows = Float32Array.from(packed(toF64(query), toF64(key), toF64(value), sizes));
    const { width, inner, stride } = packedSizes(sizes);
    const truth = attentionGradientTruth(toF64(query), toF64(key), toF64(value), toF64(outputGradient), sizes);
    return {
      kernel: 'attention_gradient',
      title: sizesTitle(sizes),
      tensors: {
        rows,
        output: Float32Array.from(output),
        logSumExp: Float32Array.from(logSumExp),
        outputGradient,
        delta: new Float32Array(logSumExp.length),
        gradient: new Float32Array(rows.length),
      },
      dispatches: (of) =>
        attentionGradientDispatches({
          query: of('rows'),
          key: shifted(of('rows'), width),
          value: shifted(of('rows'), width + inner),
          output: of('output'),
          logSumExp: of('logSumExp'),
          outputGradient: of('outputGradient'),
          delta: of('delta'),
          gradient: of('gradient'),
          queryStride: stride,
          keyValueStride: stride,
          ...sizes,
        }),
      expected: { gradient: packed(truth.queryGradient, truth.keyGradient, truth.valueGradient, sizes) },
      tolerance: attentionTolerance,
    };
  });
}
