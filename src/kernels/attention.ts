/**
 * Causal attention with several heads; `heads / kvHeads` query heads share one key and value head. Forward keeps only the
 * log-sum-exp of each row; backward recomputes the probabilities from it (as Dao et al., "FlashAttention", 2022).
 * Query heads are scaled by 1 / sqrt(headSize). One new token against a cache: `attention-decode.ts`.
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

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
    gridOf(of.sequences * of.tokens * of.heads * dimensionTiles(of.headSize), 64),
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
      gridOf(rows, 64),
    ),
    dispatchOf(queryGradientKernel, { ...read, query_gradient: queryGradient }, numbers, gridOf(rows * tiles, 64)),
    dispatchOf(
      keyValueGradientKernel,
      { ...read, key_gradient: keyGradient, value_gradient: valueGradient },
      numbers,
      gridOf(of.sequences * of.tokens * of.kvHeads * tiles, 64),
    ),
  ];
}
