/**
 * What attention should compute, in f64, and its cases: queries, keys and values packed in one row as a network's one
 * product leaves them, alone, and against a cache; odd token counts and head sizes; backward with the truth's own
 * log-sum-exp. The truth of the gradients is held against finite differences in `truth.test.ts`.
 */

import type { Dispatch } from './device.ts';
import type { Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { addAt, at, dot } from './truth.ts';
import type { Choices, Variant } from './variants.ts';

export interface AttentionSizes {
  readonly sequences: number;
  /** New tokens of each sequence; token t stands at position positionStart + t and sees positions 0 to its own. */
  readonly tokens: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Tokens already in the cache; default 0. */
  readonly positionStart?: number;
  /** Rows that key and value have for each sequence; default `tokens` (no cache). */
  readonly positionsMax?: number;
  /** Elements from one row of queries to the next; default heads * headSize. */
  readonly queryStride?: number;
  /** Elements from one row of keys, and of values, to the next; default kvHeads * headSize. */
  readonly keyValueStride?: number;
}

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

const sizesTitle = (of: AttentionSizes): string =>
  `${of.sequences} x ${of.tokens} tokens from ${of.positionStart ?? 0}, ${of.heads} heads of ${of.headSize} on ${of.kvHeads}`;

/** Single rows, shared keys, heads that fill no tile of dimensions. */
export const awkwardSizes: readonly AttentionSizes[] = [
  { sequences: 1, tokens: 1, heads: 1, kvHeads: 1, headSize: 1 },
  { sequences: 2, tokens: 65, heads: 3, kvHeads: 3, headSize: 4 },
  { sequences: 1, tokens: 97, heads: 4, kvHeads: 2, headSize: 16 },
  { sequences: 3, tokens: 3, heads: 3, kvHeads: 1, headSize: 65 },
  { sequences: 1, tokens: 315, heads: 2, kvHeads: 1, headSize: 32 },
  { sequences: 1, tokens: 33, heads: 2, kvHeads: 2, headSize: 128 },
];

/**
 * The same for shaders with a pipeline for each count of chunks: all of one count, as software drivers take seconds to
 * compile each. The tuner holds the others against the truth before it uses them.
 */
export const tiledSizes: readonly AttentionSizes[] = [
  { sequences: 2, tokens: 3, heads: 3, kvHeads: 1, headSize: 40 },
  { sequences: 1, tokens: 97, heads: 4, kvHeads: 2, headSize: 33 },
  { sequences: 1, tokens: 65, heads: 2, kvHeads: 2, headSize: 64 },
  { sequences: 1, tokens: 5, heads: 1, kvHeads: 1, headSize: 130 },
];

/** The same for shaders that read four elements at once; the last cannot, and runs plain. */
export const quadSizes: readonly AttentionSizes[] = [
  { sequences: 1, tokens: 1, heads: 1, kvHeads: 1, headSize: 4 },
  { sequences: 2, tokens: 65, heads: 3, kvHeads: 3, headSize: 12 },
  { sequences: 1, tokens: 97, heads: 4, kvHeads: 2, headSize: 32 },
  { sequences: 3, tokens: 3, heads: 3, kvHeads: 1, headSize: 68 },
  { sequences: 1, tokens: 18, heads: 2, kvHeads: 1, headSize: 33 },
];

/** What the shaders that read four elements at once want of the tensors' places. */
const placedFor = ({ name }: Variant) => (name === 'quad' ? ({ alignment: 4 } as const) : {});

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

/** Makes the dispatches under test; `of` is what `attention.ts` takes. */
type Dispatcher<Options, Made> = (of: Options & { readonly choices: Choices }) => Made;

type CaseOptions = AttentionSizes & Record<'query' | 'key' | 'value' | 'output' | 'logSumExp', Tensor>;

const only = ({ name }: Variant): Choices => ({ variantOf: () => name });

/** The tensors of a row that holds query, key and value, and the strides to read them by. */
function packedTensors(rows: Tensor, of: AttentionSizes) {
  const { width, inner, stride } = packedSizes(of);
  const strides = { queryStride: stride, keyValueStride: stride };
  return { query: rows, key: shifted(rows, width), value: shifted(rows, width + inner), ...strides };
}

/** One problem for each variant. */
export function attentionCase(
  random: Random,
  sizes: AttentionSizes,
  dispatch: Dispatcher<CaseOptions, Dispatch>,
): (variant: Variant) => KernelCase {
  const { sequences, tokens, heads, kvHeads, headSize } = sizes;
  const query = toF64(normals(random, sequences * tokens * heads * headSize));
  const key = toF64(normals(random, sequences * tokens * kvHeads * headSize));
  const value = toF64(normals(random, key.length));
  const rows = Float32Array.from(packed(query, key, value, sizes));
  const expected = { ...attentionTruth(query, key, value, sizes) };
  return (variant) => ({
    kernel: 'attention',
    variant,
    title: `${sizesTitle(sizes)}, ${variant.name}`,
    ...placedFor(variant),
    tensors: {
      rows,
      output: new Float32Array(query.length),
      logSumExp: new Float32Array(sequences * tokens * heads),
    },
    dispatches: (of) => [
      dispatch({
        ...packedTensors(of('rows'), sizes),
        output: of('output'),
        logSumExp: of('logSumExp'),
        ...sizes,
        choices: only(variant),
      }),
    ],
    expected,
    tolerance: attentionTolerance,
  });
}

export function cachedCase(
  random: Random,
  dispatch: Dispatcher<CaseOptions, Dispatch>,
  headSize: number,
): (variant: Variant) => KernelCase {
  const sizes = { sequences: 2, tokens: 3, heads: 4, kvHeads: 2, headSize, positionStart: 35, positionsMax: 41 };
  const query = normals(random, 2 * 3 * 4 * headSize);
  const key = normals(random, 2 * 41 * 2 * headSize);
  const value = normals(random, key.length);
  return (variant) => ({
    kernel: 'attention',
    variant,
    title: `${sizesTitle(sizes)}, ${variant.name}`,
    ...placedFor(variant),
    tensors: { query, key, value, output: new Float32Array(query.length), logSumExp: new Float32Array(2 * 3 * 4) },
    dispatches: (of) => [
      dispatch({
        query: of('query'),
        key: of('key'),
        value: of('value'),
        output: of('output'),
        logSumExp: of('logSumExp'),
        ...sizes,
        choices: only(variant),
      }),
    ],
    expected: { ...attentionTruth(toF64(query), toF64(key), toF64(value), sizes) },
    tolerance: attentionTolerance,
  });
}

/** One backward problem for each variant, from the truth's own output and log-sum-exp. */
export function attentionGradientCase(
  random: Random,
  sizes: AttentionSizes,
  dispatch: Dispatcher<CaseOptions & Record<'outputGradient' | 'delta' | 'gradient', Tensor>, readonly Dispatch[]>,
): (variant: Variant) => KernelCase {
  const { sequences, tokens, heads, kvHeads, headSize } = sizes;
  const query = toF64(normals(random, sequences * tokens * heads * headSize));
  const key = toF64(normals(random, sequences * tokens * kvHeads * headSize));
  const value = toF64(normals(random, key.length));
  const outputGradient = normals(random, query.length);
  const { output, logSumExp } = attentionTruth(query, key, value, sizes);
  const rows = Float32Array.from(packed(query, key, value, sizes));
  const truth = attentionGradientTruth(query, key, value, toF64(outputGradient), sizes);
  const expected = { gradient: packed(truth.queryGradient, truth.keyGradient, truth.valueGradient, sizes) };
  return (variant) => ({
    kernel: 'attention_gradient',
    variant,
    title: `${sizesTitle(sizes)}, ${variant.name}`,
    ...placedFor(variant),
    tensors: {
      rows,
      output: Float32Array.from(output),
      logSumExp: Float32Array.from(logSumExp),
      outputGradient,
      delta: new Float32Array(logSumExp.length),
      gradient: new Float32Array(rows.length),
    },
    dispatches: (of) =>
      dispatch({
        ...packedTensors(of('rows'), sizes),
        output: of('output'),
        logSumExp: of('logSumExp'),
        outputGradient: of('outputGradient'),
        delta: of('delta'),
        gradient: of('gradient'),
        ...sizes,
        choices: only(variant),
      }),
    expected,
    tolerance: attentionTolerance,
  });
}
