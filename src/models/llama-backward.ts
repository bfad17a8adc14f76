/**
 * The way back through the Llama network: after a forward run and its loss, the list of kernels that sets the gradient of
 * every parameter. Attention's probabilities are computed again, everything else was kept by `llama.ts`.
 */

import { attentionGradientDispatches } from '../kernels/attention.ts';
import type { Dispatch } from '../kernels/device.ts';
import { embeddingGradientDispatch } from '../kernels/embedding.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { matmulDispatch } from '../kernels/matmul.ts';
import { rmsNormInputGradientDispatch, rmsNormWeightGradientDispatch } from '../kernels/rms-norm.ts';
import { ropeDispatch } from '../kernels/rope.ts';
import { siluGateGradientDispatch } from '../kernels/silu-gate.ts';
import type { Arena } from './arena.ts';
import {
  headWidth,
  keyValueWidth,
  llamaLayout,
  type LlamaLayerTensors,
  type ParameterTensor,
} from './llama-parameters.ts';
import { attentionSizes, part, type LayerActivations, type LlamaForward } from './llama.ts';

/** What runs after `LlamaLoss`: sets every element of `gradients`, laid out as the parameters are. */
export function createBackward(arena: Arena, forward: LlamaForward, gradients: Tensor): readonly Dispatch[] {
  const { config, batch, length } = forward;
  const { width, hidden, heads, vocabulary } = config;
  const rows = batch * length;
  const layout = llamaLayout(config);
  const step = createBackwardStep(forward, gradients);
  const scratch = {
    stream: arena.tensor('stream gradient', rows * width),
    input: arena.tensor('input gradient', rows * width),
    mixed: arena.tensor('mixed gradient', rows * width),
    query: arena.tensor('query gradient', rows * width),
    key: arena.tensor('key gradient', rows * keyValueWidth(config)),
    value: arena.tensor('value gradient', rows * keyValueWidth(config)),
    delta: arena.tensor('attention delta', rows * heads),
    gated: arena.tensor('gated gradient', rows * hidden),
    gate: arena.tensor('gate gradient', rows * hidden),
    up: arena.tensor('up gradient', rows * hidden),
  };
  return [
    ...step.project(forward.logits, forward.normed, layout.embedding, scratch.input, width, vocabulary, false),
    ...step.normalise(scratch.input, forward.last, forward.lastScale, layout.norm, scratch.stream, false),
    ...layout.layers
      .flatMap((layer, index) => {
        const kept = forward.layers[index];
        return kept === undefined ? [] : [layerBackward(forward, layer, kept, scratch, step)];
      })
      .toReversed()
      .flat(),
    embeddingGradientDispatch({
      tokens: forward.tokens,
      outputGradient: scratch.stream,
      tableGradient: part(gradients, layout.embedding),
      rows,
      width,
      vocabulary,
    }),
  ];
}

type BackwardScratch = Readonly<
  Record<'stream' | 'input' | 'mixed' | 'query' | 'key' | 'value' | 'delta' | 'gated' | 'gate' | 'up', Tensor>
>;

type BackwardStep = ReturnType<typeof createBackwardStep>;

/** The two kinds of backward step that repeat: through a projection and through a norm. */
function createBackwardStep(forward: LlamaForward, gradients: Tensor) {
  const { parameters, batch, length } = forward;
  const { width } = forward.config;
  const rows = batch * length;
  return {
    /** Gradients of weight [to, from] and of the input [rows, from]. */
    project: (
      outputGradient: Tensor,
      input: Tensor,
      weight: ParameterTensor,
      inputGradient: Tensor,
      from: number,
      to: number,
      accumulate: boolean,
    ): Dispatch[] => [
      matmulDispatch({
        form: 'TN',
        left: outputGradient,
        right: input,
        output: part(gradients, weight),
        rows: to,
        columns: from,
        inner: rows,
      }),
      matmulDispatch({
        form: 'NN',
        left: outputGradient,
        right: part(parameters, weight),
        output: inputGradient,
        rows,
        columns: from,
        inner: to,
        accumulate,
      }),
    ],
    normalise: (
      outputGradient: Tensor,
      input: Tensor,
      inverseRms: Tensor,
      weight: ParameterTensor,
      inputGradient: Tensor,
      accumulate: boolean,
    ): Dispatch[] => [
      rmsNormWeightGradientDispatch({
        input,
        inverseRms,
        outputGradient,
        weightGradient: part(gradients, weight),
        rows,
        width,
      }),
      rmsNormInputGradientDispatch({
        input,
        weight: part(parameters, weight),
        inverseRms,
        outputGradient,
        inputGradient,
        rows,
        width,
        accumulate,
      }),
    ],
  };
}

/** Turns the gradient of a layer's output, in `scratch.stream`, into that of its input, and sets its weights' gradients. */
function layerBackward(
  forward: LlamaForward,
  layer: LlamaLayerTensors,
  kept: LayerActivations,
  scratch: BackwardScratch,
  step: BackwardStep,
): Dispatch[] {
  const { config, batch, length } = forward;
  const { width, hidden, heads, keyValueHeads } = config;
  const inner = keyValueWidth(config);
  const rows = batch * length;
  const { stream, input, mixed, query, key, value, gate, up, gated } = scratch;
  const turn = { table: forward.rope, rows, tokens: length, headSize: headWidth(config), inverse: true };
  return [
    ...step.project(stream, kept.gated, layer.down, gated, hidden, width, false),
    siluGateGradientDispatch({
      gate: kept.gate,
      up: kept.up,
      outputGradient: gated,
      gateGradient: gate,
      upGradient: up,
      count: rows * hidden,
    }),
    ...step.project(gate, kept.feedForwardInput, layer.gate, input, width, hidden, false),
    ...step.project(up, kept.feedForwardInput, layer.up, input, width, hidden, true),
    ...step.normalise(input, kept.middle, kept.feedForwardScale, layer.feedForwardNorm, stream, true),
    ...step.project(stream, kept.mixed, layer.output, mixed, width, width, false),
    ...attentionGradientDispatches({
      ...attentionSizes(forward),
      query: kept.query,
      key: kept.key,
      value: kept.value,
      output: kept.mixed,
      logSumExp: kept.logSumExp,
      outputGradient: mixed,
      delta: scratch.delta,
      queryGradient: query,
      keyGradient: key,
      valueGradient: value,
    }),
    ropeDispatch({ ...turn, values: query, heads }),
    ropeDispatch({ ...turn, values: key, heads: keyValueHeads }),
    ...step.project(query, kept.attentionInput, layer.query, input, width, width, false),
    ...step.project(key, kept.attentionInput, layer.key, input, width, inner, true),
    ...step.project(value, kept.attentionInput, layer.value, input, width, inner, true),
    ...step.normalise(input, kept.input, kept.attentionScale, layer.attentionNorm, stream, true),
  ];
}
