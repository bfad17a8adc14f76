/**
 * Attention of one new token a sequence against its key and value cache, and the kernel that stores new keys or values
 * into a cache. The cache of a layer is two tensors [sequences, positionsMax, kvHeads, headSize].
 */

import { assert } from '../core/assert.ts';
import type { AttentionSizes } from './attention.ts';
import { attentionNumbers, attentionTolerance, attentionTruth } from './attention.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';

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
    elementGrid(rows * width),
  );
}

export const attentionDecodeKernels = [decode, store];

/** The cache after the store. */
export function cacheStoreTruth(
  input: Float64Array,
  cache: Float64Array,
  of: { tokens: number; width: number; positionStart: number; positionsMax: number },
): Float64Array {
  const { tokens, width, positionStart, positionsMax } = of;
  const after = cache.slice();
  for (let row = 0; row < input.length / width; row++) {
    const position = Math.floor(row / tokens) * positionsMax + positionStart + (row % tokens);
    after.set(input.subarray(row * width, (row + 1) * width), position * width);
  }
  return after;
}

const copyTolerance: Tolerance = { absolute: 0, relative: 0, reason: 'a copy is exact' };

export function attentionDecodeCases(random: Random): KernelCase[] {
  return [
    { sequences: 1, heads: 1, kvHeads: 1, headSize: 1, positionStart: 0, positionsMax: 1 },
    { sequences: 3, heads: 6, kvHeads: 2, headSize: 48, positionStart: 64, positionsMax: 97 },
    { sequences: 2, heads: 3, kvHeads: 3, headSize: 65, positionStart: 96, positionsMax: 97 },
    { sequences: 1, heads: 2, kvHeads: 1, headSize: 256, positionStart: 31, positionsMax: 32 },
  ].flatMap((sizes): KernelCase[] => {
    const { sequences, heads, kvHeads, headSize, positionStart, positionsMax } = sizes;
    const width = kvHeads * headSize;
    const query = normals(random, sequences * heads * headSize);
    const key = normals(random, sequences * positionsMax * width);
    const value = normals(random, key.length);
    const input = normals(random, sequences * width);
    const title = `${sequences} sequences at ${positionStart}, ${heads} heads of ${headSize} on ${kvHeads}`;
    const store1 = { tokens: 1, width, positionStart, positionsMax };
    return [
      {
        kernel: decode.name,
        title,
        tensors: { query, key, value, output: new Float32Array(query.length) },
        dispatches: (of) => [
          attentionDecodeDispatch({
            query: of('query'),
            key: of('key'),
            value: of('value'),
            output: of('output'),
            ...sizes,
          }),
        ],
        expected: { output: attentionTruth(toF64(query), toF64(key), toF64(value), { ...sizes, tokens: 1 }).output },
        tolerance: attentionTolerance,
      },
      {
        kernel: store.name,
        title,
        tensors: { input, cache: key },
        dispatches: (of) => [cacheStoreDispatch({ input: of('input'), cache: of('cache'), sequences, ...store1 })],
        expected: { cache: cacheStoreTruth(toF64(input), toF64(key), store1) },
        tolerance: copyTolerance,
      },
    ];
  });
}
