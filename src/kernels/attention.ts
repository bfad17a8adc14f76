/**
 * Causal attention with several heads; `heads / kvHeads` query heads share one key and value head. Forward keeps only the
 * log-sum-exp of each row; backward recomputes the probabilities from it (as Dao et al., "FlashAttention", 2022).
 * Query heads are scaled by 1 / sqrt(headSize). One new token against a cache: `attention-decode.ts`.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { addAt, at, dot } from './truth.ts';

const sizeNames = [
  'sequences',
  'tokens',
  'position_start',
  'positions_max',
  'heads',
  'kv_heads',
  'head_size',
  'scale:f32',
] as const;

const forward = defineKernel({
  shader: 'attention',
  tensors: ['query', 'key', 'value', '>output', '>log_sum_exp'],
  numbers: sizeNames,
});
const delta = defineKernel({
  shader: 'attention_delta',
  tensors: ['output', 'output_gradient', '>delta'],
  numbers: ['rows', 'head_size'],
});
const queryGradientKernel = defineKernel({
  shader: 'attention_query_gradient',
  tensors: ['query', 'key', 'value', 'output_gradient', 'log_sum_exp', 'delta', '>query_gradient'],
  numbers: sizeNames,
});
const keyValueGradientKernel = defineKernel({
  shader: 'attention_key_value_gradient',
  tensors: ['query', 'key', 'value', 'output_gradient', 'log_sum_exp', 'delta', '>key_gradient', '>value_gradient'],
  numbers: sizeNames,
});

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
}

/** The uniform numbers that every attention kernel takes. */
export function attentionNumbers(sizes: AttentionSizes) {
  const { sequences, tokens, heads, kvHeads, headSize, positionStart = 0, positionsMax = tokens } = sizes;
  return {
    sequences,
    tokens,
    position_start: positionStart,
    positions_max: positionsMax,
    heads,
    kv_heads: kvHeads,
    head_size: headSize,
    scale: 1 / Math.sqrt(headSize),
  };
}

/** Dimensions of a head that one invocation sums, as the shaders have it. */
const dimensionTile = 16;
const dimensionTiles = (headSize: number): number => Math.ceil(headSize / dimensionTile);

/**
 * Shapes: query and output [sequences, tokens, heads, headSize]; key and value [sequences, positionsMax, kvHeads,
 * headSize]; logSumExp [sequences, tokens, heads].
 */
export function attentionDispatch(
  of: AttentionSizes & {
    readonly query: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    readonly output: Tensor;
    readonly logSumExp: Tensor;
  },
): Dispatch {
  const { query, key, value, output, logSumExp } = of;
  return dispatchOf(
    forward,
    { query, key, value, output, log_sum_exp: logSumExp },
    attentionNumbers(of),
    elementGrid(of.sequences * of.tokens * of.heads * dimensionTiles(of.headSize)),
  );
}

/**
 * Three dispatches that set queryGradient, keyGradient and valueGradient (shapes of query, key, value); scratch `delta`
 * [sequences, tokens, heads]. positionStart must be 0 and positionsMax equal tokens (training).
 */
export function attentionGradientDispatches(
  of: AttentionSizes & {
    readonly query: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    readonly output: Tensor;
    readonly logSumExp: Tensor;
    readonly outputGradient: Tensor;
    readonly delta: Tensor;
    readonly queryGradient: Tensor;
    readonly keyGradient: Tensor;
    readonly valueGradient: Tensor;
  },
): Dispatch[] {
  const { query, key, value, output, logSumExp, outputGradient, queryGradient, keyGradient, valueGradient } = of;
  const rows = of.sequences * of.tokens * of.heads;
  const numbers = attentionNumbers(of);
  const read = { query, key, value, output_gradient: outputGradient, log_sum_exp: logSumExp, delta: of.delta };
  const tiles = dimensionTiles(of.headSize);
  return [
    dispatchOf(
      delta,
      { output, output_gradient: outputGradient, delta: of.delta },
      { rows, head_size: of.headSize },
      elementGrid(rows),
    ),
    dispatchOf(queryGradientKernel, { ...read, query_gradient: queryGradient }, numbers, elementGrid(rows * tiles)),
    dispatchOf(
      keyValueGradientKernel,
      { ...read, key_gradient: keyGradient, value_gradient: valueGradient },
      numbers,
      elementGrid(of.sequences * of.tokens * of.kvHeads * tiles),
    ),
  ];
}

export const attentionKernels = [forward, delta, queryGradientKernel, keyValueGradientKernel];

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
    'exp may be (3 + 2 |x|) units off in the last place for scores x of standard normals, summed over up to 97 keys',
};

export function attentionCases(random: Random): KernelCase[] {
  return [...forwardCases(random), ...gradientCases(random)];
}

const sizesTitle = (of: AttentionSizes): string =>
  `${of.sequences} x ${of.tokens} tokens from ${of.positionStart ?? 0}, ${of.heads} heads of ${of.headSize} on ${of.kvHeads}`;

const trainingSizes: readonly AttentionSizes[] = [
  { sequences: 1, tokens: 1, heads: 1, kvHeads: 1, headSize: 1 },
  { sequences: 2, tokens: 65, heads: 3, kvHeads: 3, headSize: 3 },
  { sequences: 1, tokens: 97, heads: 4, kvHeads: 2, headSize: 16 },
  { sequences: 3, tokens: 3, heads: 3, kvHeads: 1, headSize: 65 },
];

function forwardCases(random: Random): KernelCase[] {
  const cached = { sequences: 2, tokens: 3, heads: 4, kvHeads: 2, headSize: 6, positionStart: 5, positionsMax: 11 };
  return [...trainingSizes, cached].map((sizes): KernelCase => {
    const { sequences, tokens, heads, kvHeads, headSize, positionsMax = tokens } = sizes;
    const query = normals(random, sequences * tokens * heads * headSize);
    const key = normals(random, sequences * positionsMax * kvHeads * headSize);
    const value = normals(random, key.length);
    return {
      kernel: forward.name,
      title: sizesTitle(sizes),
      tensors: {
        query,
        key,
        value,
        output: new Float32Array(query.length),
        logSumExp: new Float32Array(sequences * tokens * heads),
      },
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
  });
}

function gradientCases(random: Random): KernelCase[] {
  return trainingSizes.map((sizes): KernelCase => {
    const { sequences, tokens, heads, kvHeads, headSize } = sizes;
    const query = normals(random, sequences * tokens * heads * headSize);
    const key = normals(random, sequences * tokens * kvHeads * headSize);
    const value = normals(random, key.length);
    const outputGradient = normals(random, query.length);
    const { output, logSumExp } = attentionTruth(toF64(query), toF64(key), toF64(value), sizes);
    return {
      kernel: 'attention_gradient',
      title: sizesTitle(sizes),
      tensors: {
        query,
        key,
        value,
        output: Float32Array.from(output),
        logSumExp: Float32Array.from(logSumExp),
        outputGradient,
        delta: new Float32Array(logSumExp.length),
        queryGradient: new Float32Array(query.length),
        keyGradient: new Float32Array(key.length),
        valueGradient: new Float32Array(key.length),
      },
      dispatches: (of) =>
        attentionGradientDispatches({
          query: of('query'),
          key: of('key'),
          value: of('value'),
          output: of('output'),
          logSumExp: of('logSumExp'),
          outputGradient: of('outputGradient'),
          delta: of('delta'),
          queryGradient: of('queryGradient'),
          keyGradient: of('keyGradient'),
          valueGradient: of('valueGradient'),
          ...sizes,
        }),
      expected: {
        ...attentionGradientTruth(toF64(query), toF64(key), toF64(value), toF64(outputGradient), sizes),
      },
      tolerance: attentionTolerance,
    };
  });
}
