/**
 * Causal attention with several heads; `heads / kvHeads` query heads share one key and value head. Forward keeps only the
 * log-sum-exp of each row; backward recomputes the probabilities from it (as Dao et al., "FlashAttention", 2022), so that
 * nothing of tokens x tokens is ever stored. Query heads are scaled by 1 / sqrt(headSize). Rows of queries, keys and values
 * may stand in longer ones, as one product for all three leaves them. One new token against a cache is
 * `attention-decode.ts`; truths and cases are in `attention-cases.ts`.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';

const strides = ['query_stride', 'kv_stride', 'scale:f32'] as const;

const forward = defineKernel({
  shader: 'attention',
  tensors: ['query', 'key', 'value', '>output', '>log_sum_exp'],
  numbers: ['sequences', 'tokens', 'position_start', 'positions_max', 'heads', 'kv_heads', 'head_size', ...strides],
});
const queryGradient = defineKernel({
  shader: 'attention_query_gradient',
  tensors: ['query', 'key', 'value', 'output', 'output_gradient', 'log_sum_exp', '>delta', '>gradient'],
  numbers: ['sequences', 'tokens', 'heads', 'kv_heads', 'head_size', ...strides],
});
const keyValueGradient = defineKernel({
  shader: 'attention_key_value_gradient',
  tensors: ['query', 'key', 'value', 'output_gradient', 'log_sum_exp', 'delta', '>gradient'],
  numbers: ['sequences', 'tokens', 'heads', 'kv_heads', 'head_size', ...strides],
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
  /** Elements from one row of queries to the next; default heads * headSize. */
  readonly queryStride?: number;
  /** Elements from one row of keys, and of values, to the next; default kvHeads * headSize. */
  readonly keyValueStride?: number;
}

/** The uniform numbers that every attention kernel takes. */
export function attentionNumbers(sizes: AttentionSizes) {
  const { sequences, tokens, heads, kvHeads, headSize, positionStart = 0, positionsMax = tokens } = sizes;
  const { queryStride = heads * headSize, keyValueStride = kvHeads * headSize } = sizes;
  return {
    sequences,
    tokens,
    position_start: positionStart,
    positions_max: positionsMax,
    heads,
    kv_heads: kvHeads,
    head_size: headSize,
    query_stride: queryStride,
    kv_stride: keyValueStride,
    scale: 1 / Math.sqrt(headSize),
  };
}

/** What one invocation of the plain shaders takes: queries or keys of a head, and a tile of its dimensions. */
const [queryBlock, keyBlock, dimensionTile] = [4, 2, 16];

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
  const { query, key, value, output, logSumExp, sequences, tokens, heads, headSize } = of;
  const invocations = sequences * Math.ceil(tokens / queryBlock) * heads * Math.ceil(headSize / dimensionTile);
  return dispatchOf(
    forward,
    { query, key, value, output, log_sum_exp: logSumExp },
    attentionNumbers(of),
    elementGrid(invocations),
  );
}

/**
 * Two dispatches that set the gradients of query, key and value, packed as [sequences, tokens, heads + 2 kvHeads,
 * headSize]: the heads of the query, then those of the key, then those of the value. Scratch `delta` [sequences, tokens,
 * heads]. Training only: no cache.
 */
export function attentionGradientDispatches(
  of: Omit<AttentionSizes, 'positionStart' | 'positionsMax'> & {
    readonly query: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    readonly output: Tensor;
    readonly logSumExp: Tensor;
    readonly outputGradient: Tensor;
    readonly delta: Tensor;
    readonly gradient: Tensor;
  },
): Dispatch[] {
  const { query, key, value, output, logSumExp, outputGradient, delta, gradient } = of;
  const { sequences, tokens, heads, kvHeads, headSize } = of;
  const tiles = Math.ceil(headSize / dimensionTile);
  const read = { query, key, value, output_gradient: outputGradient, log_sum_exp: logSumExp };
  return [
    dispatchOf(
      queryGradient,
      { ...read, output, delta, gradient },
      attentionNumbers(of),
      elementGrid(sequences * Math.ceil(tokens / queryBlock) * heads * tiles),
    ),
    dispatchOf(
      keyValueGradient,
      { ...read, delta, gradient },
      attentionNumbers(of),
      elementGrid(sequences * Math.ceil(tokens / keyBlock) * kvHeads * tiles),
    ),
  ];
}

export const attentionKernels = [forward, queryGradient, keyValueGradient];
