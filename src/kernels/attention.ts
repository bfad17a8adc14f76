/**
 * Causal attention with several heads; `heads / kvHeads` query heads share one key and value head. Forward keeps only the
 * log-sum-exp of each row; backward recomputes the probabilities from it (as Dao et al., "FlashAttention", 2022), so that
 * nothing of tokens x tokens is ever stored. Query heads are scaled by 1 / sqrt(headSize). Rows of queries, keys and values
 * may stand in longer ones, as one product for all three leaves them. One new token against a cache is
 * `attention-decode.ts`; sizes, truths and cases are in `attention-cases.ts`.
 */

import { present } from '../core/assert.ts';
import type { Dispatch } from './device.ts';
import { gridOf, type Grid } from './grid.ts';
import {
  attentionCase,
  attentionGradientCase,
  awkwardSizes,
  cachedCase,
  quadSizes,
  tiledSizes,
  type AttentionSizes,
} from './attention-cases.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Tensor } from './kernel.ts';
import type { KernelCase } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { bucketOf, safeChoices, sizesOf, type Choices, type Family, type Variant } from './variants.ts';

const strides = ['query_stride', 'kv_stride', 'scale:f32'] as const;

const forwardDeclaration = {
  parts: ['attention_arguments'],
  tensors: ['query', 'key', 'value', '>output', '>log_sum_exp'],
  numbers: ['sequences', 'tokens', 'position_start', 'positions_max', 'heads', 'kv_heads', 'head_size', ...strides],
} as const;
const queryDeclaration = {
  parts: ['attention_query_gradient_arguments'],
  tensors: ['query', 'key', 'value', 'output', 'output_gradient', 'log_sum_exp', '>delta', '>gradient'],
  numbers: ['sequences', 'tokens', 'heads', 'kv_heads', 'head_size', ...strides],
} as const;
const keyValueDeclaration = {
  parts: ['attention_key_value_gradient_arguments'],
  tensors: ['query', 'key', 'value', 'output_gradient', 'log_sum_exp', 'delta', '>gradient'],
  numbers: ['sequences', 'tokens', 'heads', 'kv_heads', 'head_size', ...strides],
} as const;

const plain = {
  forward: defineKernel({ shader: 'attention', ...forwardDeclaration }),
  query: defineKernel({ shader: 'attention_query_gradient', ...queryDeclaration }),
  keyValue: defineKernel({ shader: 'attention_key_value_gradient', ...keyValueDeclaration }),
};
/** For heads of up to 32, 64, 96 and 128 dimensions. */
const tiles = [1, 2, 3, 4].map((chunks): typeof plain => {
  const constants = { chunks };
  return {
    forward: defineKernel({ shader: 'attention_tile', constants, ...forwardDeclaration }),
    query: defineKernel({ shader: 'attention_query_gradient_tile', constants, ...queryDeclaration }),
    keyValue: defineKernel({ shader: 'attention_key_value_gradient_tile', constants, ...keyValueDeclaration }),
  };
});
const withQuads = <Own extends { readonly parts: readonly string[] }>(declaration: Own) => ({
  ...declaration,
  parts: ['quad_blocks', ...declaration.parts],
});
const quad: typeof plain = {
  forward: defineKernel({ shader: 'attention_quad', ...withQuads(forwardDeclaration) }),
  query: defineKernel({ shader: 'attention_query_gradient_quad', ...withQuads(queryDeclaration) }),
  keyValue: defineKernel({ shader: 'attention_key_value_gradient_quad', ...withQuads(keyValueDeclaration) }),
};
/** Dimensions of one of those chunks. */
const chunkSize = 32;
/** Queries, or keys, that a workgroup of the tiled shaders takes. */
const tileRows = 32;

const variants: readonly Variant[] = [
  { name: 'plain', features: [] },
  { name: 'quad', features: ['subgroups'], serves: (bucket) => sizesOf(bucket)['odd'] === undefined },
  // Adapters with small workgroups (SwiftShader, old phones) gain nothing from tiles, and compile them for seconds.
  {
    name: 'tile',
    features: [],
    suits: ({ workgroupInvocationsMax }) => workgroupInvocationsMax > 256,
    serves: (bucket) => (sizesOf(bucket)['head'] ?? 0) <= tiles.length * chunkSize,
  },
];
const variantNamed = (name: string): Variant =>
  present(
    variants.find((variant) => variant.name === name),
    `attention has no variant ${name}`,
  );

/** The uniform numbers that every attention kernel takes. */
function attentionNumbers(sizes: AttentionSizes) {
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
/** The rows that a quad of invocations takes, its tile of dimensions, and the invocations of its workgroups. */
const [quadRows, quadTile, quadInvocations] = [16, 32, 16];

/** The kernels of this variant for heads of this size, and the grid that covers this many rows of each of these heads. */
function kernelsFor(family: Family, of: AttentionSizes & { readonly choices?: Choices }, wide: readonly Tensor[]) {
  const { sequences, tokens, headSize, choices = safeChoices } = of;
  const isFours = isWide(of, wide);
  const variant = choices.variantOf(family, bucketOf({ tokens, head: headSize, ...(isFours ? {} : { odd: 1 }) }));
  const tiled = tiles[Math.ceil(headSize / chunkSize) - 1];
  if (variant === 'tile' && tiled !== undefined) {
    return { kernels: tiled, rowsGrid: (heads: number) => rowGrid(sequences * heads * Math.ceil(tokens / tileRows)) };
  }
  if (variant === 'quad' && isFours) {
    const quads = Math.ceil(tokens / quadRows) * Math.ceil(headSize / quadTile);
    return { kernels: quad, rowsGrid: (heads: number) => gridOf(4 * sequences * heads * quads, quadInvocations) };
  }
  const parts = Math.ceil(headSize / dimensionTile);
  const plainGrid = (heads: number, block: number): Grid =>
    elementGrid(sequences * heads * Math.ceil(tokens / block) * parts);
  return { kernels: plain, rowsGrid: plainGrid };
}

/** Whether all of it can be read by four elements. */
const isWide = (
  { headSize, queryStride = 0, keyValueStride = 0 }: AttentionSizes,
  tensors: readonly Tensor[],
): boolean =>
  [headSize, queryStride, keyValueStride, ...tensors.map(({ offset = 0 }) => offset)].every((size) => size % 4 === 0);

export interface AttentionOptions extends AttentionSizes {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly output: Tensor;
  readonly logSumExp: Tensor;
  readonly choices?: Choices;
}

/**
 * Shapes: query and output [sequences, tokens, heads, headSize]; key and value [sequences, positionsMax, kvHeads,
 * headSize]; logSumExp [sequences, tokens, heads].
 */
export function attentionDispatch(of: AttentionOptions): Dispatch {
  const { query, key, value, output, logSumExp, heads } = of;
  const { kernels, rowsGrid } = kernelsFor(attentionFamily, of, [query, key, value, output]);
  const tensors = { query, key, value, output, log_sum_exp: logSumExp };
  return dispatchOf(kernels.forward, tensors, attentionNumbers(of), rowsGrid(heads, queryBlock));
}

export interface AttentionGradientOptions extends Omit<AttentionOptions, 'positionStart' | 'positionsMax'> {
  readonly outputGradient: Tensor;
  readonly delta: Tensor;
  readonly gradient: Tensor;
}

/**
 * Two dispatches that set the gradients of query, key and value, packed as [sequences, tokens, heads + 2 kvHeads,
 * headSize]: the heads of the query, then those of the key, then those of the value. Scratch `delta` [sequences, tokens,
 * heads]. Training only: no cache.
 */
export function attentionGradientDispatches(of: AttentionGradientOptions): Dispatch[] {
  const { query, key, value, output, logSumExp, outputGradient, delta, gradient, heads, kvHeads } = of;
  const { kernels, rowsGrid } = kernelsFor(attentionGradientFamily, of, [
    query,
    key,
    value,
    output,
    outputGradient,
    gradient,
  ]);
  const read = { query, key, value, output_gradient: outputGradient, log_sum_exp: logSumExp };
  const numbers = attentionNumbers(of);
  return [
    dispatchOf(kernels.query, { ...read, output, delta, gradient }, numbers, rowsGrid(heads, queryBlock)),
    dispatchOf(kernels.keyValue, { ...read, delta, gradient }, numbers, rowsGrid(kvHeads, keyBlock)),
  ];
}

/** Pairs of a query and a key that it sees, over all sequences and heads. */
const pairsOf = ({ sequences, tokens, heads }: AttentionSizes): number =>
  (sequences * heads * tokens * (tokens + 1)) / 2;

const trialSizes = (bucket: string): AttentionSizes => {
  const { tokens = 64, head = 32, odd } = sizesOf(bucket);
  const headSize = odd === undefined ? head : Math.max(1, head - 1);
  // Its truth on a CPU stays near a tenth of a second, and a software adapter's run of the plain variant below half of one.
  const kvHeads = head > 64 ? 1 : 2;
  return { sequences: 1, tokens: Math.min(tokens, 256), heads: 2 * kvHeads, kvHeads, headSize };
};

export const attentionFamily: Family = {
  name: 'attention',
  variants,
  bound: 'flops',
  shown: ['tokens:64,head:32', 'tokens:1024,head:128'],
  trial: (bucket, random) => {
    const sizes = trialSizes(bucket);
    const caseOf = attentionCase(random, sizes, attentionDispatch);
    return { caseOf: (name) => caseOf(variantNamed(name)), work: 4 * pairsOf(sizes) * sizes.headSize };
  },
};

export const attentionGradientFamily: Family = {
  name: 'attention_gradient',
  variants,
  bound: 'flops',
  shown: ['tokens:64,head:32', 'tokens:1024,head:128'],
  trial: (bucket, random) => {
    const sizes = trialSizes(bucket);
    const caseOf = attentionGradientCase(random, sizes, attentionGradientDispatches);
    return { caseOf: (name) => caseOf(variantNamed(name)), work: 10 * pairsOf(sizes) * sizes.headSize };
  },
};

export const attentionKernels = [plain, quad, ...tiles].flatMap(({ forward, query, keyValue }) => [
  forward,
  query,
  keyValue,
]);

/** Every variant on awkward sizes, packed and against a cache. */
export function attentionCases(random: Random): KernelCase[] {
  return variants.flatMap((variant) => [
    cachedCase(random, attentionDispatch, variant.name === 'quad' ? 36 : 34)(variant),
    ...(variant.name === 'tile' ? tiledSizes : variant.name === 'quad' ? quadSizes : awkwardSizes).flatMap((sizes) => [
      attentionCase(random, sizes, attentionDispatch)(variant),
      attentionGradientCase(random, sizes, attentionGradientDispatches)(variant),
    ]),
  ]);
}
