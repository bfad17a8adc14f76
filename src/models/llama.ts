/**
 * The Llama network as a program of kernels: which kernels run in which order on which tensors, forward over whole
 * sequences. Everything is laid out once for a (config, batch, length); a step only runs the list again.
 * The way back is `llama-backward.ts`, one token at a time with a cache `llama-decode.ts`, the same mathematics to be read
 * `llama-truth.ts`.
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
import { combineDispatch } from '../kernels/vector.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import type { Arena } from './arena.ts';
import { headWidth, keyValueWidth, llamaLayout, type ParameterTensor } from './llama-parameters.ts';

export interface LlamaShape {
  readonly config: ModelConfig;
  /** Sequences. */
  readonly batch: number;
  /** Tokens of each sequence, at most the config's context. */
  readonly length: number;
}

/** Tensors that the network shares with whoever opens it. */
export interface LlamaWeights {
  /** The flat vector. */
  readonly parameters: Tensor;
  /** `ropeTable` for at least `length` positions. */
  readonly rope: Tensor;
}

export interface LayerActivations {
  readonly input: Tensor;
  readonly attentionScale: Tensor;
  readonly attentionInput: Tensor;
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly logSumExp: Tensor;
  readonly mixed: Tensor;
  readonly middle: Tensor;
  readonly feedForwardScale: Tensor;
  readonly feedForwardInput: Tensor;
  readonly gate: Tensor;
  readonly up: Tensor;
  readonly gated: Tensor;
}

export interface LlamaForward extends LlamaShape, LlamaWeights {
  /** u32 [batch, length]; fill before running. */
  readonly tokens: Tensor;
  readonly layers: readonly LayerActivations[];
  readonly last: Tensor;
  readonly lastScale: Tensor;
  readonly normed: Tensor;
  /** [batch * length, vocabulary], or [1, vocabulary] of the last position. */
  readonly logits: Tensor;
  readonly dispatches: readonly Dispatch[];
}

export const part = (vector: Tensor, tensor: ParameterTensor): Tensor => ({
  buffer: vector.buffer,
  offset: (vector.offset ?? 0) + tensor.offset,
});

/** Logits of every position, or with `lastOnly` (batch 1) those after the last token. */
export function createForward(arena: Arena, weights: LlamaWeights, shape: LlamaShape, lastOnly = false): LlamaForward {
  const { config, batch, length } = shape;
  const { width, hidden, heads, vocabulary, normEpsilon: epsilon } = config;
  const inner = keyValueWidth(config);
  const rows = batch * length;
  const layout = llamaLayout(config);
  const of = (tensor: ParameterTensor): Tensor => part(weights.parameters, tensor);
  const tokens = arena.tensor('tokens', rows);
  const projected = arena.tensor('projected', rows * width);
  const project = (input: Tensor, weight: ParameterTensor, output: Tensor, from: number, to: number): Dispatch =>
    matmulDispatch({ form: 'NT', left: input, right: of(weight), output, rows, columns: to, inner: from });
  let stream = arena.tensor('stream', rows * width);
  const dispatches: Dispatch[] = [
    embeddingDispatch({ tokens, table: of(layout.embedding), output: stream, rows, width, vocabulary }),
  ];
  const layers = layout.layers.map((layer, index): LayerActivations => {
    const named = (name: string, elements: number): Tensor => arena.tensor(`layer ${index} ${name}`, elements);
    const kept: LayerActivations = {
      input: stream,
      attentionScale: named('attention scale', rows),
      attentionInput: named('attention input', rows * width),
      query: named('query', rows * width),
      key: named('key', rows * inner),
      value: named('value', rows * inner),
      logSumExp: named('log sum exp', rows * heads),
      mixed: named('mixed', rows * width),
      middle: named('middle', rows * width),
      feedForwardScale: named('feed-forward scale', rows),
      feedForwardInput: named('feed-forward input', rows * width),
      gate: named('gate', rows * hidden),
      up: named('up', rows * hidden),
      gated: named('gated', rows * hidden),
    };
    stream = named('output', rows * width);
    const { attentionInput, feedForwardInput, query, key, value, middle, gate, up, gated } = kept;
    const turn = { table: weights.rope, rows, tokens: length, headSize: headWidth(config) };
    dispatches.push(
      rmsNormDispatch({
        input: kept.input,
        weight: of(layer.attentionNorm),
        output: attentionInput,
        inverseRms: kept.attentionScale,
        rows,
        width,
        epsilon,
      }),
      project(attentionInput, layer.query, query, width, width),
      project(attentionInput, layer.key, key, width, inner),
      project(attentionInput, layer.value, value, width, inner),
      ropeDispatch({ ...turn, values: query, heads }),
      ropeDispatch({ ...turn, values: key, heads: config.keyValueHeads }),
      attentionDispatch({ ...attentionSizes(shape), query, key, value, output: kept.mixed, logSumExp: kept.logSumExp }),
      project(kept.mixed, layer.output, projected, width, width),
      combineDispatch({ left: kept.input, right: projected, output: middle, count: rows * width }),
      rmsNormDispatch({
        input: middle,
        weight: of(layer.feedForwardNorm),
        output: feedForwardInput,
        inverseRms: kept.feedForwardScale,
        rows,
        width,
        epsilon,
      }),
      project(feedForwardInput, layer.gate, gate, width, hidden),
      project(feedForwardInput, layer.up, up, width, hidden),
      siluGateDispatch({ gate, up, output: gated, count: rows * hidden }),
      project(gated, layer.down, projected, hidden, width),
      combineDispatch({ left: middle, right: projected, output: stream, count: rows * width }),
    );
    return kept;
  });
  const normed = arena.tensor('normed', rows * width);
  const lastScale = arena.tensor('last scale', rows);
  const logitRows = lastOnly ? 1 : rows;
  const logits = arena.tensor('logits', logitRows * vocabulary);
  dispatches.push(
    rmsNormDispatch({
      input: stream,
      weight: of(layout.norm),
      output: normed,
      inverseRms: lastScale,
      rows,
      width,
      epsilon,
    }),
    matmulDispatch({
      form: 'NT',
      left: { buffer: normed.buffer, offset: (rows - logitRows) * width },
      right: of(layout.embedding),
      output: logits,
      rows: logitRows,
      columns: vocabulary,
      inner: width,
    }),
  );
  return { ...shape, ...weights, tokens, layers, last: stream, lastScale, normed, logits, dispatches };
}

export const attentionSizes = ({ config, batch, length }: LlamaShape) => ({
  sequences: batch,
  tokens: length,
  heads: config.heads,
  kvHeads: config.keyValueHeads,
  headSize: headWidth(config),
});

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
  const { logits, config } = forward;
  const entropy = crossEntropyDispatch({
    targets,
    logits,
    losses,
    rows,
    vocabulary: config.vocabulary,
    gradientScale: 1 / rows,
  });
  return {
    targets,
    dispatches: (sums, index) => [
      entropy,
      ...sumDispatches({ values: losses, scratch, output: { buffer: sums.buffer, offset: index }, count: rows }),
    ],
  };
}
