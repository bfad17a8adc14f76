/**
 * The Llama network as a program of kernels: which kernels run in which order on which tensors, forward over whole
 * sequences. Everything is laid out once for a (config, batch, length); a step only runs the list again. Projections of
 * the same input are one product, as their weights are neighbours in the flat vector: query, key and value stand in one
 * row, gate and up in another. The way back is `llama-backward.ts`, in stages and one token at a time `stage.ts`, the
 * same mathematics to be read `llama-truth.ts`.
 */

import { attentionDispatch } from '../kernels/attention.ts';
import { crossEntropyDispatch } from '../kernels/cross-entropy.ts';
import type { Dispatch } from '../kernels/device.ts';
import { embeddingDispatch } from '../kernels/embedding.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { matmulDispatch } from '../kernels/matmul.ts';
import { sumDispatches, reduceParts } from '../kernels/reduce.ts';
import { rmsNormDispatch } from '../kernels/rms-norm.ts';
import { ropeDispatch } from '../kernels/rope.ts';
import { siluGateDispatch } from '../kernels/silu-gate.ts';
import { safeChoices, type Choices } from '../kernels/variants.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import type { Arena } from './arena.ts';
import {
  headWidth,
  keyValueWidth,
  llamaLayout,
  queryWidth,
  type LlamaLayerTensors,
  type ParameterTensor,
} from './llama-parameters.ts';

export interface LlamaShape {
  readonly config: ModelConfig;
  /** Sequences. */
  readonly batch: number;
  /** Tokens of each sequence, at most the config's context. */
  readonly length: number;
  /** Which variants of kernels run; default the safe ones. */
  readonly choices?: Choices;
}

/** Tensors that the network shares with whoever opens it. */
export interface LlamaWeights {
  /** The flat vector. */
  readonly parameters: Tensor;
  /** `ropeTable` for at least `length` positions. */
  readonly rope: Tensor;
}

export interface LayerActivations {
  /** [rows, width]. */
  readonly input: Tensor;
  readonly attentionScale: Tensor;
  readonly attentionInput: Tensor;
  /** [rows, heads + 2 key heads, head width]: query, key and value of a token side by side, the first two turned. */
  readonly queryKeyValue: Tensor;
  readonly logSumExp: Tensor;
  readonly mixed: Tensor;
  readonly middle: Tensor;
  readonly feedForwardScale: Tensor;
  readonly feedForwardInput: Tensor;
  /** [rows, 2, hidden]. */
  readonly gateUp: Tensor;
  readonly gated: Tensor;
  /** [rows, width]. */
  readonly output: Tensor;
}

export interface LlamaForward extends LlamaShape, LlamaWeights {
  /** u32 [batch, length]; fill before running. */
  readonly tokens: Tensor;
  readonly layers: readonly LayerActivations[];
  readonly last: Tensor;
  readonly lastScale: Tensor;
  readonly normed: Tensor;
  /** [batch * length, vocabulary]. */
  readonly logits: Tensor;
  readonly dispatches: readonly Dispatch[];
}

export const part = (vector: Tensor, tensor: ParameterTensor): Tensor => shifted(vector, tensor.offset);

export const shifted = ({ buffer, offset = 0 }: Tensor, elements: number): Tensor => ({
  buffer,
  offset: offset + elements,
});

/** Columns of the one product that makes query, key and value. */
export const queryKeyValueWidth = (config: ModelConfig): number => queryWidth(config) + 2 * keyValueWidth(config);

/** Logits of every position; every layer's activations are kept for the way back. */
export function createForward(arena: Arena, weights: LlamaWeights, shape: LlamaShape): LlamaForward {
  const { config, batch, length, choices = safeChoices } = shape;
  const { width, vocabulary } = config;
  const rows = batch * length;
  const layout = llamaLayout(config);
  const tokens = arena.tensor('tokens', rows);
  const embedded = arena.tensor('stream', rows * width);
  const layers: LayerActivations[] = [];
  for (const index of layout.layers.keys()) {
    layers.push(layerActivations(arena, shape, `layer ${index}`, layers.at(-1)?.output ?? embedded));
  }
  const last = layers.at(-1)?.output ?? embedded;
  const normed = arena.tensor('normed', rows * width);
  const lastScale = arena.tensor('last scale', rows);
  const logits = arena.tensor('logits', rows * vocabulary);
  const table = part(weights.parameters, layout.embedding);
  const dispatches = [
    embeddingDispatch({ tokens, table, output: embedded, rows, width, vocabulary }),
    ...layout.layers.flatMap((layer, index) => {
      const kept = layers[index];
      return kept === undefined ? [] : layerForward(weights, shape, layer, kept);
    }),
    rmsNormDispatch({
      input: last,
      weight: part(weights.parameters, layout.norm),
      output: normed,
      inverseRms: lastScale,
      rows,
      width,
      epsilon: config.normEpsilon,
      choices,
    }),
    matmulDispatch({
      form: 'NT',
      left: normed,
      right: table,
      output: logits,
      rows,
      columns: vocabulary,
      inner: width,
      choices,
    }),
  ];
  return { ...shape, ...weights, tokens, layers, last, lastScale, normed, logits, dispatches };
}

function layerActivations(
  arena: Arena,
  { config, batch, length }: LlamaShape,
  label: string,
  input: Tensor,
): LayerActivations {
  const { width, hidden, heads } = config;
  const rows = batch * length;
  const named = (name: string, columns: number): Tensor => arena.tensor(`${label} ${name}`, rows * columns);
  return {
    input,
    attentionScale: named('attention scale', 1),
    attentionInput: named('attention input', width),
    queryKeyValue: named('query key value', queryKeyValueWidth(config)),
    logSumExp: named('log sum exp', heads),
    mixed: named('mixed', width),
    middle: named('middle', width),
    feedForwardScale: named('feed-forward scale', 1),
    feedForwardInput: named('feed-forward input', width),
    gateUp: named('gate up', 2 * hidden),
    gated: named('gated', hidden),
    output: named('output', width),
  };
}

/** Nine dispatches from `kept.input` to `kept.output`. */
function layerForward(
  weights: LlamaWeights,
  shape: LlamaShape,
  layer: LlamaLayerTensors,
  kept: LayerActivations,
): Dispatch[] {
  const { config, batch, length, choices = safeChoices } = shape;
  const { width, hidden, heads, keyValueHeads, normEpsilon: epsilon } = config;
  const rows = batch * length;
  const of = (tensor: ParameterTensor): Tensor => part(weights.parameters, tensor);
  const project = (input: Tensor, weight: ParameterTensor, output: Tensor, from: number, to: number) => ({
    form: 'NT' as const,
    left: input,
    right: of(weight),
    output,
    rows,
    columns: to,
    inner: from,
    choices,
  });
  const { attentionInput, queryKeyValue, mixed, middle, feedForwardInput, gateUp, gated } = kept;
  const columns = queryKeyValueWidth(config);
  return [
    rmsNormDispatch({
      input: kept.input,
      weight: of(layer.attentionNorm),
      output: attentionInput,
      inverseRms: kept.attentionScale,
      rows,
      width,
      epsilon,
      choices,
    }),
    // Key and value follow the query in the flat vector.
    matmulDispatch(project(attentionInput, layer.query, queryKeyValue, width, columns)),
    ropeDispatch({
      table: weights.rope,
      values: queryKeyValue,
      rows,
      tokens: length,
      heads: heads + keyValueHeads,
      headSize: headWidth(config),
      rowStride: columns,
    }),
    attentionDispatch({
      ...attentionParts(shape, queryKeyValue),
      output: mixed,
      logSumExp: kept.logSumExp,
    }),
    matmulDispatch({ ...project(mixed, layer.output, middle, width, width), residual: kept.input }),
    rmsNormDispatch({
      input: middle,
      weight: of(layer.feedForwardNorm),
      output: feedForwardInput,
      inverseRms: kept.feedForwardScale,
      rows,
      width,
      epsilon,
      choices,
    }),
    // The up projection follows the gate.
    matmulDispatch(project(feedForwardInput, layer.gate, gateUp, width, 2 * hidden)),
    siluGateDispatch({ gateUp, output: gated, rows, hidden }),
    matmulDispatch({ ...project(gated, layer.down, kept.output, hidden, width), residual: middle }),
  ];
}

/** Query, key and value as attention reads them from rows that hold all three. */
export function attentionParts({ config, batch, length, choices = safeChoices }: LlamaShape, rows: Tensor) {
  const stride = queryKeyValueWidth(config);
  return {
    query: rows,
    key: shifted(rows, config.width),
    value: shifted(rows, config.width + keyValueWidth(config)),
    sequences: batch,
    tokens: length,
    heads: config.heads,
    kvHeads: config.keyValueHeads,
    headSize: headWidth(config),
    queryStride: stride,
    keyValueStride: stride,
    choices,
  };
}

export interface LlamaLoss {
  /** u32 [batch, length]; fill before running. */
  readonly targets: Tensor;
  /**
   * Runs after `forward`: the summed loss of the rows goes to element `index` of `sums`, and the logits become the
   * gradient of the mean loss.
   */
  readonly dispatches: (sums: Tensor, index: number) => readonly Dispatch[];
}

export function createLoss(arena: Arena, forward: LlamaForward): LlamaLoss {
  const rows = forward.batch * forward.length;
  const targets = arena.tensor('targets', rows);
  const losses = arena.tensor('losses', rows);
  const scratch = arena.tensor('loss parts', reduceParts);
  const { logits, config, choices = safeChoices } = forward;
  const entropy = crossEntropyDispatch({
    targets,
    logits,
    losses,
    rows,
    vocabulary: config.vocabulary,
    gradientScale: 1 / rows,
    choices,
  });
  return {
    targets,
    dispatches: (sums, index) => [
      entropy,
      ...sumDispatches({ values: losses, scratch, output: { buffer: sums.buffer, offset: index }, count: rows }),
    ],
  };
}
