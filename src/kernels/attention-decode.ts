/**
 * Attention of one new token a sequence against its key and value cache, and the kernel that stores new keys or values
 * into a cache. The cache of a layer is two tensors [sequences, positionsMax, kvHeads, headSize].
 */

import { assert } from '../core/assert.ts';
import type { AttentionSizes } from './attention.ts';
import { attentionNumbers } from './attention.ts';
import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, rowGrid, type Tensor } from './kernel.ts';

const decode = defineKernel({
  shader: 'attention_decode',
  tensors: ['query', 'key', 'value', '>output'],
  numbers: ['sequences', 'tokens', 'position_start', 'positions_max', 'heads', 'kv_heads', 'head_size', 'scale:f32'],
});

const store = defineKernel({
  shader: 'cache_store',
  tensors: ['input', '>cache'],
  numbers: ['rows', 'tokens', 'width', 'position_start', 'positions_max'],
});

/** Largest head that the decode shader holds in registers. */
export const decodeHeadSizeMax = 256;

/**
 * One token a sequence (tokens is 1), at position positionStart, sees positions 0 to positionStart.
 * Shapes: query and output [sequences, heads, headSize], key and value [sequences, positionsMax, kvHeads, headSize].
 */
export function attentionDecodeDispatch(
  of: Omit<AttentionSizes, 'tokens' | 'positionStart' | 'positionsMax'> & {
    readonly positionStart: number;
    readonly positionsMax: number;
    readonly query: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    readonly output: Tensor;
  },
): Dispatch {
  const { query, key, value, output, sequences, heads, headSize } = of;
  assert(headSize <= decodeHeadSizeMax, `attention_decode: headSize ${headSize} is above ${decodeHeadSizeMax}`);
  return dispatchOf(
    decode,
    { query, key, value, output },
    attentionNumbers({ ...of, tokens: 1 }),
    rowGrid(sequences * heads),
  );
}

/**
 * cache[sequence, positionStart + token] = input[sequence, token]. Shapes: input [sequences, tokens, width],
 * cache [sequences, positionsMax, width]; width = kvHeads * headSize.
 */
export function cacheStoreDispatch(of: {
  readonly input: Tensor;
  readonly cache: Tensor;
  readonly sequences: number;
  readonly tokens: number;
  readonly width: number;
  readonly positionStart: number;
  readonly positionsMax: number;
}): Dispatch {
  const { input, cache, sequences, tokens, width, positionStart, positionsMax } = of;
  const rows = sequences * tokens;
  return dispatchOf(
    store,
    { input, cache },
    { rows, tokens, width, position_start: positionStart, positions_max: positionsMax },
    gridOf(rows * width, 64),
  );
}
