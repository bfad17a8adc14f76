/**
 * Attention of rows of one token each against the keys and values of their sequences, which lie in pages (`pages.ts`): the
 * next tokens of many sequences, or a stretch of one prompt. Keys and values may be two tensors or one with both side by
 * side. A row's sums depend neither on the other rows nor on how a prompt was cut, and neither does the choice of variant.
 */

import { assert } from '../core/assert.ts';
import { attentionTolerance, attentionTruth, type AttentionSizes } from './attention-cases.ts';
import type { Dispatch } from './device.ts';
import {
  defineKernel,
  dispatchOf,
  elementGrid,
  inFours,
  rowGrid,
  setNumber,
  type Kernel,
  type Tensor,
} from './kernel.ts';
import { dealPages, pagedNumbers, type PagedRows } from './pages.ts';
import { normals, toF64, type KernelCase } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { bucketOf, safeChoices, sizesOf, type Choices, type Family, type Variant } from './variants.ts';

const declaration = {
  parts: ['attention_decode_arguments', 'attention_decode_ones'],
  tensors: ['query', 'key', 'value', 'places:u32', 'pages:u32', '>output'],
  numbers: [
    'rows',
    'advance',
    'page_tokens',
    'pages_each',
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

/** For heads of up to 16, 32, ... dimensions. */
const quads = Array.from({ length: 8 }, (_, index) =>
  defineKernel({
    shader: 'attention_decode_quad',
    ...declaration,
    parts: ['subgroups', 'attention_decode_arguments', 'attention_decode_fours'],
    constants: { tiers: index + 1 },
  }),
);

/** Largest head that the shaders with a workgroup for each head hold. */
export const decodeHeadSizeMax = 256;
/** Dimensions of a head that one invocation of the plain shader sums. */
const dimensionTile = 16;

interface DecodeVariant extends Variant {
  /** Undefined where it does not serve such heads. */
  readonly kernelFor: (headSize: number) => typeof plain | undefined;
}

const variants: readonly DecodeVariant[] = [
  { name: 'plain', features: [], kernelFor: () => plain },
  { name: 'workgroup', features: [], kernelFor: () => workgroup },
  { name: 'subgroup', features: ['subgroups'], kernelFor: () => subgroup },
  {
    name: 'quad',
    features: ['subgroups'],
    serves: (bucket) => sizesOf(bucket)['odd'] === undefined && (sizesOf(bucket)['head'] ?? 0) <= 16 * quads.length,
    kernelFor: (headSize) => quads[Math.ceil(headSize / 16) - 1],
  },
];
const allKernels = [plain, workgroup, subgroup, ...quads];

export interface AttentionDecodeOptions extends PagedRows {
  /** [rows, heads, headSize], rows `queryStride` elements apart; default heads * headSize. */
  readonly query: Tensor;
  /** [pages, pageTokens, kvHeads, headSize], positions `keyValueStride` elements apart; default kvHeads * headSize. */
  readonly key: Tensor;
  /** As `key`. */
  readonly value: Tensor;
  /** [rows, heads, headSize]. */
  readonly output: Tensor;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly queryStride?: number;
  readonly keyValueStride?: number;
  /** Positions of a typical sequence, for the choice of a variant alone; default those that fit a slot. */
  readonly positions?: number;
  readonly choices?: Choices;
}

/** Each row sees positions 0 to its own. `moveAttentionDecode` moves the dispatch on. */
export function attentionDecodeDispatch(of: AttentionDecodeOptions): Dispatch {
  const { query, key, value, places, pages, output, rows, heads, kvHeads, headSize, choices = safeChoices } = of;
  assert(headSize <= decodeHeadSizeMax, `attention_decode: headSize ${headSize} is above ${decodeHeadSizeMax}`);
  const { positions = of.pagesEach * of.pageTokens } = of;
  const { queryStride = heads * headSize, keyValueStride = kvHeads * headSize } = of;
  const isWide = inFours(headSize, query, key, value) && queryStride % 4 === 0 && keyValueStride % 4 === 0;
  const sizes = { positions: Math.min(positions, trialPositionsMax), head: headSize };
  const bucket = bucketOf({ ...sizes, ...(!isWide && { odd: 1 }) });
  const wanted = choices.variantOf(attentionDecodeFamily, bucket);
  const found = variants.find(({ name, serves }) => name === wanted && (serves?.(bucket) ?? true));
  const kernel = found?.kernelFor(headSize) ?? plain;
  const each = kernel === plain ? Math.ceil(headSize / dimensionTile) : 1;
  return dispatchOf(
    kernel,
    { query, key, value, places, pages, output },
    {
      ...pagedNumbers(of),
      heads,
      kv_heads: kvHeads,
      head_size: headSize,
      query_stride: queryStride,
      kv_stride: keyValueStride,
      scale: 1 / Math.sqrt(headSize),
    },
    kernel === plain ? elementGrid(rows * heads * each) : rowGrid(rows * heads),
  );
}

/** Makes this dispatch of `attentionDecodeDispatch` that of positions so many further on. */
export function moveAttentionDecode(dispatch: Dispatch, advance: number): void {
  const kernel = allKernels.find(({ pipeline }) => pipeline === dispatch.pipeline) ?? plain;
  setNumber(dispatch, kernel, 'advance', advance);
}

/** Longer sequences say no more about which variant is fastest, and their trials would take long. */
const trialPositionsMax = 2048;

/** Buckets by the length of sequences and the head size, never by rows: a row computes alike in every batch. */
export const attentionDecodeFamily: Family = {
  name: 'attention_decode',
  variants,
  bound: 'bytes',
  shown: ['positions:256,head:64', 'positions:2048,head:128'],
  trial: (bucket, random) => {
    const { positions = 256, head: headSize = 64 } = sizesOf(bucket);
    const sizes = { positions: [positions - 1], pageTokens: 16, heads: 8, kvHeads: 4, headSize };
    return { caseOf: decodeCase(random, sizes), work: 4 * 2 * positions * sizes.kvHeads * headSize };
  },
};

export const attentionDecodeKernels: readonly Kernel[] = allKernels;

interface DecodeSizes extends Pick<AttentionSizes, 'heads' | 'kvHeads' | 'headSize'> {
  /** Of each row, in a sequence of its own. */
  readonly positions: readonly number[];
  readonly pageTokens: number;
}

/** One problem for each variant; the cache is one tensor with keys and values side by side. */
function decodeCase(random: Random, of: DecodeSizes): (variant: string) => KernelCase {
  const { positions, pageTokens, ...sizes } = of;
  const { heads, kvHeads, headSize } = sizes;
  const [rows, inner] = [positions.length, kvHeads * headSize];
  const { places, pages, pagesEach, pageCount, storedAt } = dealPages(random, positions, pageTokens);
  const query = normals(random, rows * heads * headSize);
  // What no row may see is no number.
  const cache = new Float32Array(pageCount * pageTokens * 2 * inner).fill(NaN);
  const expected = new Float64Array(query.length);
  for (const [row, position] of positions.entries()) {
    const [key, value] = [normals(random, (position + 1) * inner), normals(random, (position + 1) * inner)];
    for (let own = 0; own <= position; own++) {
      const place = storedAt(row, own) * 2 * inner;
      cache.set(key.subarray(own * inner, (own + 1) * inner), place);
      cache.set(value.subarray(own * inner, (own + 1) * inner), place + inner);
    }
    const width = heads * headSize;
    const alone = { ...sizes, sequences: 1, tokens: 1, positionStart: position, positionsMax: position + 1 };
    const own = toF64(query.subarray(row * width, (row + 1) * width));
    expected.set(attentionTruth(own, toF64(key), toF64(value), alone).output, row * width);
  }
  const first = Math.min(...positions);
  return (name) => {
    const variant = variants.find((own) => own.name === name);
    return {
      kernel: name === 'plain' ? plain.name : `${plain.name}_${name}`,
      ...(variant && { variant }),
      ...(headSize % 4 === 0 && { alignment: 4 as const }),
      title: `rows at ${positions.join()}, pages of ${pageTokens}, ${heads} heads of ${headSize} on ${kvHeads}, ${name}`,
      tensors: {
        query,
        cache,
        places: places.map((place, index) => (index % 2 === 0 ? place : place - first)),
        pages,
        output: new Float32Array(query.length),
      },
      dispatches: (tensor) => {
        const moved = attentionDecodeDispatch({
          query: tensor('query'),
          key: tensor('cache'),
          value: { ...tensor('cache'), offset: (tensor('cache').offset ?? 0) + inner },
          places: tensor('places'),
          pages: tensor('pages'),
          output: tensor('output'),
          rows,
          pagesEach,
          pageTokens,
          ...sizes,
          keyValueStride: 2 * inner,
          choices: { variantOf: () => name },
        });
        moveAttentionDecode(moved, first);
        return [moved];
      },
      expected: { output: expected },
      tolerance: attentionTolerance,
    };
  };
}

export const attentionDecodeCases = (random: Random): KernelCase[] =>
  [
    { positions: [0], pageTokens: 4, heads: 1, kvHeads: 1, headSize: 1 },
    { positions: [64, 0, 65, 3], pageTokens: 16, heads: 6, kvHeads: 2, headSize: 48 },
    { positions: [96, 63], pageTokens: 32, heads: 3, kvHeads: 3, headSize: 65 },
    { positions: [314], pageTokens: 64, heads: 2, kvHeads: 1, headSize: 128 },
    { positions: [31], pageTokens: 8, heads: 2, kvHeads: 1, headSize: 256 },
    { positions: [5, 30, 13], pageTokens: 8, heads: 4, kvHeads: 2, headSize: 20 },
  ].flatMap((sizes): KernelCase[] =>
    variants
      .filter(({ name }) => name !== 'quad' || (sizes.headSize % 4 === 0 && sizes.headSize <= 128))
      .map(({ name }) => decodeCase(random, sizes)(name)),
  );
