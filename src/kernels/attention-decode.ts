/**
 * Attention of one new token a sequence against its key and value cache, and the kernel that fills caches with a prompt.
 * A cache may be two tensors [sequences, positionsMax, kvHeads, headSize] or one with keys and values side by side. A
 * sequence's sums do not depend on how many sequences there are, nor does the choice of variant.
 */

import { assert } from '../core/assert.ts';
import { attentionNumbers } from './attention.ts';
import { attentionTolerance, attentionTruth, type AttentionSizes } from './attention-cases.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, setNumber, type Kernel, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { bucketOf, safeChoices, sizesOf, type Choices, type Family, type Variant } from './variants.ts';

const declaration = {
  parts: ['attention_decode_arguments'],
  tensors: ['query', 'key', 'value', '>output'],
  numbers: [
    'sequences',
    'position_start',
    'positions_max',
    'heads',
    'kv_heads',
    'head_size',
    'query_stride',
    'kv_stride',
    'scale:f32',
  ],
} as const;
const plain = defineKernel({ shader: 'attention_decode', ...declaration });
const workgroup = defineKernel({ shader: 'attention_decode_workgroup', ...declaration });
const subgroup = defineKernel({
  shader: 'attention_decode_subgroup',
  ...declaration,
  parts: ['subgroups', ...declaration.parts],
});

const store = defineKernel({
  shader: 'cache_store',
  tensors: ['input', '>cache'],
  numbers: ['sequences', 'tokens', 'width', 'input_stride', 'positions_max'],
});

/** Largest head that the shaders with a workgroup for each head hold. */
export const decodeHeadSizeMax = 256;
/** Dimensions of a head that one invocation of the plain shader sums. */
const dimensionTile = 16;

const variants: readonly (Variant & { readonly kernel: typeof plain })[] = [
  { name: 'plain', features: [], kernel: plain },
  { name: 'workgroup', features: [], kernel: workgroup },
  { name: 'subgroup', features: ['subgroups'], kernel: subgroup },
];

export interface AttentionDecodeOptions extends Omit<AttentionSizes, 'tokens' | 'positionStart' | 'positionsMax'> {
  readonly positionStart: number;
  readonly positionsMax: number;
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly output: Tensor;
  readonly choices?: Choices;
}

/**
 * One token a sequence, at position positionStart, sees positions 0 to positionStart.
 * Shapes: query and output [sequences, heads, headSize], key and value [sequences, positionsMax, kvHeads, headSize].
 * `moveAttentionDecode` moves the dispatch on to another position.
 */
export function attentionDecodeDispatch(of: AttentionDecodeOptions): Dispatch {
  const { query, key, value, output, sequences, heads, headSize, positionsMax, choices = safeChoices } = of;
  assert(headSize <= decodeHeadSizeMax, `attention_decode: headSize ${headSize} is above ${decodeHeadSizeMax}`);
  const wanted = choices.variantOf(attentionDecodeFamily, bucketOf({ positions: positionsMax, head: headSize }));
  const kernel = variants.find(({ name }) => name === wanted)?.kernel ?? plain;
  const rows = sequences * heads;
  const grid = kernel === plain ? elementGrid(rows * Math.ceil(headSize / dimensionTile)) : rowGrid(rows);
  return dispatchOf(kernel, { query, key, value, output }, attentionNumbers({ ...of, tokens: 1 }), grid);
}

/** Makes this dispatch of `attentionDecodeDispatch` that of another position below positionsMax. */
export function moveAttentionDecode(dispatch: Dispatch, position: number): void {
  const kernel = variants.find((variant) => variant.kernel.pipeline === dispatch.pipeline)?.kernel ?? plain;
  setNumber(dispatch, kernel, 'position_start', position);
}

/** Buckets by the room of the cache and the head size, never by sequences: a sequence computes alike in every batch. */
export const attentionDecodeFamily: Family = {
  name: 'attention_decode',
  variants,
  bound: 'bytes',
  shown: ['positions:256,head:64', 'positions:2048,head:128'],
  trial: (bucket, random) => {
    const { positions = 256, head: headSize = 64 } = sizesOf(bucket);
    const sizes = {
      sequences: 1,
      heads: 8,
      kvHeads: 4,
      headSize,
      positionStart: positions - 1,
      positionsMax: positions,
    };
    const make = decodeCase(random, sizes);
    return { caseOf: make, work: 4 * 2 * positions * sizes.kvHeads * headSize };
  },
};

/**
 * cache[sequence, token] = input[token] for every sequence: a prompt's keys and values, or both side by side. Shapes:
 * input [tokens, width] with rows `inputStride` elements apart (default width), cache [sequences, positionsMax, width].
 */
export function cacheStoreDispatch(of: {
  readonly input: Tensor;
  readonly cache: Tensor;
  readonly sequences: number;
  readonly tokens: number;
  readonly width: number;
  readonly inputStride?: number;
  readonly positionsMax: number;
}): Dispatch {
  const { input, cache, sequences, tokens, width, inputStride = width, positionsMax } = of;
  return dispatchOf(
    store,
    { input, cache },
    { sequences, tokens, width, input_stride: inputStride, positions_max: positionsMax },
    elementGrid(sequences * tokens * width),
  );
}

export const attentionDecodeKernels: readonly Kernel[] = [plain, workgroup, subgroup, store];

const copyTolerance: Tolerance = { absolute: 0, relative: 0, reason: 'a copy is exact' };

type DecodeSizes = Omit<AttentionSizes, 'tokens'> & Pick<AttentionDecodeOptions, 'positionStart' | 'positionsMax'>;

/** One problem for each variant; the cache is one tensor with keys and values side by side. */
function decodeCase(random: Random, sizes: DecodeSizes): (variant: string) => KernelCase {
  const { sequences, heads, kvHeads, headSize, positionStart, positionsMax } = sizes;
  const inner = kvHeads * headSize;
  const query = normals(random, sequences * heads * headSize);
  const key = normals(random, sequences * positionsMax * inner);
  const value = normals(random, key.length);
  const cache = new Float32Array(2 * key.length);
  for (let row = 0; row < sequences * positionsMax; row++) {
    cache.set(key.subarray(row * inner, (row + 1) * inner), row * 2 * inner);
    cache.set(value.subarray(row * inner, (row + 1) * inner), row * 2 * inner + inner);
  }
  const expected = { output: attentionTruth(toF64(query), toF64(key), toF64(value), { ...sizes, tokens: 1 }).output };
  return (name) => {
    const variant = variants.find((own) => own.name === name);
    return {
      kernel: variant?.kernel.name ?? name,
      ...(variant && { variant }),
      title: `${sequences} sequences at ${positionStart}, ${heads} heads of ${headSize} on ${kvHeads}, ${name}`,
      tensors: { query, cache, output: new Float32Array(query.length) },
      dispatches: (of) => {
        const moved = attentionDecodeDispatch({
          query: of('query'),
          key: of('cache'),
          value: { ...of('cache'), offset: (of('cache').offset ?? 0) + inner },
          output: of('output'),
          ...sizes,
          keyValueStride: 2 * inner,
          positionStart: 0,
          choices: { variantOf: () => name },
        });
        moveAttentionDecode(moved, positionStart);
        return [moved];
      },
      expected,
      tolerance: attentionTolerance,
    };
  };
}

export function attentionDecodeCases(random: Random): KernelCase[] {
  const decodes = [
    { sequences: 1, heads: 1, kvHeads: 1, headSize: 1, positionStart: 0, positionsMax: 1 },
    { sequences: 3, heads: 6, kvHeads: 2, headSize: 48, positionStart: 64, positionsMax: 97 },
    { sequences: 2, heads: 3, kvHeads: 3, headSize: 65, positionStart: 96, positionsMax: 97 },
    { sequences: 1, heads: 2, kvHeads: 1, headSize: 128, positionStart: 314, positionsMax: 315 },
    { sequences: 1, heads: 2, kvHeads: 1, headSize: 256, positionStart: 31, positionsMax: 32 },
  ].flatMap((sizes): KernelCase[] => variants.map(({ name }) => decodeCase(random, sizes)(name)));
  return [...decodes, ...storeCases(random)];
}

function storeCases(random: Random): KernelCase[] {
  return [
    { sequences: 1, tokens: 1, width: 1, inputStride: 1, positionsMax: 1 },
    { sequences: 3, tokens: 5, width: 96, inputStride: 97, positionsMax: 7 },
  ].map((sizes): KernelCase => {
    const { sequences, tokens, width, inputStride, positionsMax } = sizes;
    const input = normals(random, tokens * inputStride);
    const cache = normals(random, sequences * positionsMax * width);
    const expected = toF64(cache);
    for (let row = 0; row < sequences * tokens; row++) {
      const token = row % tokens;
      const place = (Math.floor(row / tokens) * positionsMax + token) * width;
      expected.set(input.subarray(token * inputStride, token * inputStride + width), place);
    }
    return {
      kernel: store.name,
      title: `${tokens} rows of ${width} for ${sequences} sequences`,
      tensors: { input, cache },
      dispatches: (of) => [cacheStoreDispatch({ input: of('input'), cache: of('cache'), ...sizes })],
      expected: { cache: expected },
      tolerance: copyTolerance,
    };
  });
}
