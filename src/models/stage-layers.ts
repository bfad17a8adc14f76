/**
 * What a stage runs for some rows, as lists of dispatches: tokens or activations into the stream, the layers on it, the
 * logits of chosen rows out of it. The rows' sequences and positions stand in buffers, so a list serves whatever rows come,
 * and moves on by a number from step to step. Keeping caches and feeding the lists is `stage.ts`.
 */

import { attentionDecodeDispatch, moveAttentionDecode } from '../kernels/attention-decode.ts';
import type { Dispatch } from '../kernels/device.ts';
import { embeddingDispatch } from '../kernels/embedding.ts';
import type { Tensor } from '../kernels/kernel.ts';
import type { PagedRows } from '../kernels/pages.ts';
import { headNormDispatch, moveRopeStore, ropeStoreDispatch } from '../kernels/rope-store.ts';
import type { Choices } from '../kernels/variants.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import type { Arena } from './arena.ts';
import { headWidth, keyValueWidth, queryWidth } from './llama-parameters.ts';
import type { LayerWeights, NetworkWeights } from './network-weights.ts';
import { embeddingDispatches, gatedProductDispatches, productDispatches, type ProductScratch } from './products.ts';

/**
 * Prefill is for rows of prompts, with products for many rows; decode for tokens that were just chosen, with products for
 * few. A row has the same bits whatever other rows come with it, but not the same in both kinds: whoever computes a row
 * again does it in the kind in which it was computed first.
 */
export type RowsKind = 'prefill' | 'decode';

export interface StageTensors {
  /** u32 [rows]. */
  readonly tokens: Tensor;
  /** u32 [rows, 2]: slot and position. */
  readonly places: Tensor;
  /** u32 [slots, pagesEach]. */
  readonly pages: Tensor;
  /** [rows, width]. */
  readonly stream: Tensor;
  readonly queryKeyValue: Tensor;
  readonly mixed: Tensor;
  readonly gateUp: Tensor;
  readonly gated: Tensor;
  readonly scratch: ProductScratch;
  /** Of each layer [pages, pageTokens, 2 key heads, head width]. */
  readonly caches: readonly Tensor[];
  /** One page, on its way from one place of a cache to another. */
  readonly page: Tensor;
}

export interface StageSizes {
  readonly config: ModelConfig;
  readonly layers: number;
  readonly rowsMax: number;
  readonly pages: number;
  readonly pageTokens: number;
  readonly pagesEach: number;
  readonly slots: number;
}

/** Elements of one position in a layer's cache. */
export const keptWidth = (config: ModelConfig): number => 2 * keyValueWidth(config);

export function stageTensors(arena: Arena, sizes: StageSizes): StageTensors {
  const { config, rowsMax, pages, pageTokens } = sizes;
  // A prefill of one row computes a second, see `productRows`.
  const rows = (name: string, columns: number): Tensor => arena.tensor(name, Math.max(2, rowsMax) * columns);
  return {
    tokens: rows('tokens', 1),
    places: rows('places', 2),
    pages: arena.tensor('pages', sizes.slots * sizes.pagesEach),
    stream: rows('stream', config.width),
    queryKeyValue: rows('query key value', queryWidth(config) + keptWidth(config)),
    mixed: rows('mixed', queryWidth(config)),
    gateUp: rows('gate up', 2 * config.hidden),
    gated: rows('gated', config.hidden),
    scratch: { normed: rows('normed', config.width), inverseRms: rows('inverse rms', 1) },
    caches: Array.from({ length: sizes.layers }, (_, index) =>
      arena.tensor(`cache of layer ${index}`, pages * pageTokens * keptWidth(config)),
    ),
    page: arena.tensor('page', pageTokens * keptWidth(config)),
  };
}

/**
 * Products for many rows have a kernel of its own for a single one, whose bits are not promised to be those of the others. So
 * a lone row of a prompt is computed with whatever stands beside it.
 */
const productRows = (kind: RowsKind, rows: number): number => (kind === 'prefill' ? Math.max(2, rows) : rows);

/** Rows for which the variants of products for many rows are chosen, however many there are: else bits would depend on it. */
const rowsOfChoice = 64;

const regardlessOfRows = (choices: Choices): Choices => ({
  variantOf: (family, bucket) => choices.variantOf(family, bucket.replace(/\brows:\d+/, `rows:${rowsOfChoice}`)),
});

export interface LayersRun {
  readonly dispatches: readonly Dispatch[];
  /** Makes the list that of positions so many further on. */
  move(advance: number): void;
}

/** All layers of the stage on these rows of the stream. */
export function layersRun(
  weights: NetworkWeights,
  sizes: StageSizes,
  tensors: StageTensors,
  { kind, rows, choices }: { readonly kind: RowsKind; readonly rows: number; readonly choices: Choices },
): LayersRun {
  const own = { kind, rows, choices: regardlessOfRows(choices) };
  const runs = weights.layers.flatMap((layer, index) => {
    const cache = tensors.caches[index];
    return cache === undefined ? [] : [layerRun(layer, weights.rope, cache, sizes, tensors, own)];
  });
  return {
    dispatches: runs.flatMap(({ dispatches }) => dispatches),
    move: (advance) => {
      for (const run of runs) run.move(advance);
    },
  };
}

function layerRun(
  layer: LayerWeights,
  rope: Tensor,
  cache: Tensor,
  sizes: StageSizes,
  tensors: StageTensors,
  { kind, rows, choices }: { readonly kind: RowsKind; readonly rows: number; readonly choices: Choices },
): LayersRun {
  const { config, pagesEach, pageTokens } = sizes;
  const { stream, queryKeyValue, mixed, gateUp, gated, scratch, places, pages } = tensors;
  const { heads, keyValueHeads: kvHeads, normEpsilon: epsilon } = config;
  const headSizes = { heads, kvHeads, headSize: headWidth(config) };
  const paged: PagedRows = { rows, places, pages, pagesEach, pageTokens };
  const product = { rows: productRows(kind, rows), many: kind === 'prefill', scratch, choices };
  const { queryKeyValueBias, outputBias, queryNorm, keyNorm } = layer;
  const store = ropeStoreDispatch({ table: rope, values: queryKeyValue, cache, ...paged, ...headSizes });
  const attend = attentionDecodeDispatch({
    query: queryKeyValue,
    key: cache,
    value: { ...cache, offset: (cache.offset ?? 0) + keyValueWidth(config) },
    output: mixed,
    ...paged,
    ...headSizes,
    queryStride: queryWidth(config) + keptWidth(config),
    keyValueStride: keptWidth(config),
    positions: config.context,
    choices,
  });
  const dispatches = [
    ...productDispatches(layer.queryKeyValue, {
      ...product,
      input: stream,
      norm: { gain: layer.attentionNorm, epsilon },
      output: queryKeyValue,
      ...(queryKeyValueBias && { bias: queryKeyValueBias }),
    }),
    ...(queryNorm && keyNorm
      ? [
          headNormDispatch({
            values: queryKeyValue,
            queryGain: queryNorm,
            keyGain: keyNorm,
            rows,
            ...headSizes,
            epsilon,
          }),
        ]
      : []),
    store,
    attend,
    ...productDispatches(layer.output, {
      ...product,
      input: mixed,
      output: stream,
      accumulate: true,
      ...(outputBias && { bias: outputBias }),
    }),
    ...gatedProductDispatches(layer.gateUp, {
      ...product,
      input: stream,
      norm: { gain: layer.feedForwardNorm, epsilon },
      gateUp,
      output: gated,
    }),
    ...productDispatches(layer.down, { ...product, input: gated, output: stream, accumulate: true }),
  ];
  const move = (advance: number): void => {
    moveRopeStore(store, advance);
    moveAttentionDecode(attend, advance);
  };
  return { dispatches, move };
}

/** The stream's rows from tokens, at the first stage. */
export const embedRows = (
  { embedding }: Pick<NetworkWeights, 'embedding'>,
  tensors: StageTensors,
  tokens: Tensor,
  rows: number,
): Dispatch[] =>
  embedding === undefined ? [] : embeddingDispatches(embedding, { tokens, output: tensors.stream, rows });

export interface LogitsTensors {
  /** u32 [logits]: rows of the stream whose logits are wanted. */
  readonly chosenRows: Tensor;
  /** [logits, width]. */
  readonly last: Tensor;
  /** [logits, vocabulary]. */
  readonly logits: Tensor;
}

export function logitsTensors(arena: Arena, config: ModelConfig, logitsMax: number): LogitsTensors {
  return {
    chosenRows: arena.tensor('chosen rows', logitsMax),
    last: arena.tensor('last', logitsMax * config.width),
    logits: arena.tensor('logits', logitsMax * config.vocabulary),
  };
}

/** Logits, at the last stage: of the first rows of the stream, or of those that `chosenRows` tells. */
export function logitsOfRows(
  weights: NetworkWeights,
  tensors: StageTensors,
  { chosenRows, last, logits }: LogitsTensors,
  { rows, count, gather, choices }: { rows: number; count: number; gather: boolean; choices: Choices },
): Dispatch[] {
  const { head, norm: gain, config } = weights;
  if (head === undefined || gain === undefined) return [];
  const { width, normEpsilon: epsilon } = config;
  const picked = embeddingDispatch({
    tokens: chosenRows,
    table: tensors.stream,
    output: last,
    rows: count,
    width,
    vocabulary: rows,
  });
  return [
    ...(gather ? [picked] : []),
    ...productDispatches(head, {
      input: gather ? last : tensors.stream,
      norm: { gain, epsilon },
      output: logits,
      rows: count,
      many: false,
      scratch: tensors.scratch,
      choices: regardlessOfRows(choices),
    }),
  ];
}
