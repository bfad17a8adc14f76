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
import { safeChoices } from '../kernels/variants.ts';
import type { Arena } from './arena.ts';
import { headWidth, llamaLayout, type LlamaLayerTensors, type ParameterTensor } from './llama-parameters.ts';
import { attentionParts, part, queryKeyValueWidth, type LayerActivations, type LlamaForward } from './llama.ts';

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
    queryKeyValue: arena.tensor('query key value gradient', rows * queryKeyValueWidth(config)),
    delta: arena.tensor('attention delta', rows * heads),
    gated: arena.tensor('gated gradient', rows * hidden),
    gateUp: arena.tensor('gate up gradient', rows * 2 * hidden),
  };
  return [
    ...step.project(forward.logits, forward.normed, layout.embedding, scratch.input, width, vocabulary),
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
  Record<'stream' | 'input' | 'mixed' | 'queryKeyValue' | 'delta' | 'gated' | 'gateUp', Tensor>
>;

type BackwardStep = ReturnType<typeof createBackwardStep>;

/** The two kinds of backward step that repeat: through a projection and through a norm. */
function createBackwardStep(forward: LlamaForward, gradients: Tensor) {
  const { parameters, batch, length, choices = safeChoices } = forward;
  const { width } = forward.config;
  const rows = batch * length;
  return {
    /** Gradients of weight [to, from] and of the input [rows, from]; `weight` may be the first of neighbours. */
    project: (
      outputGradient: Tensor,
      input: Tensor,
      weight: ParameterTensor,
      inputGradient: Tensor,
      from: number,
      to: number,
    ): Dispatch[] => [
      matmulDispatch({
        form: 'TN',
        left: outputGradient,
        right: input,
        output: part(gradients, weight),
        rows: to,
        columns: from,
        inner: rows,
        choices,
      }),
      matmulDispatch({
        form: 'NN',
        left: outputGradient,
        right: part(parameters, weight),
        output: inputGradient,
        rows,
        columns: from,
        inner: to,
        choices,
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
        choices,
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
        choices,
      }),
    ],
  };
}

/** Sixteen dispatches that turn the gradient of a layer's output, in `scratch.stream`, into that of its input, and sets its weights' gradients. */
function layerBackward(
  forward: LlamaForward,
  layer: LlamaLayerTensors,
  kept: LayerActivations,
  scratch: BackwardScratch,
  step: BackwardStep,
): Dispatch[] {
  const { config, batch, length } = forward;
  const { width, hidden, heads, keyValueHeads } = config;
  const rows = batch * length;
  const columns = queryKeyValueWidth(config);
  const { stream, input, mixed, queryKeyValue, delta, gated, gateUp } = scratch;
  return [
    ...step.project(stream, kept.gated, layer.down, gated, hidden, width),
    siluGateGradientDispatch({
      gateUp: kept.gateUp,
      outputGradient: gated,
      gateUpGradient: gateUp,
      rows,
      hidden,
    }),
    ...step.project(gateUp, kept.feedForwardInput, layer.gate, input, width, 2 * hidden),
    ...step.normalise(input, kept.middle, kept.feedForwardScale, layer.feedForwardNorm, stream, true),
    ...step.project(stream, kept.mixed, layer.output, mixed, width, width),
    ...attentionGradientDispatches({
      ...attentionParts(forward, kept.queryKeyValue),
      output: kept.mixed,
      logSumExp: kept.logSumExp,
      outputGradient: mixed,
      delta,
      gradient: queryKeyValue,
    }),
    ropeDispatch({
      table: forward.rope,
      values: queryKeyValue,
      rows,
      tokens: length,
      heads: heads + keyValueHeads,
      headSize: headWidth(config),
      rowStride: columns,
      inverse: true,
    }),
    ...step.project(queryKeyValue, kept.attentionInput, layer.query, input, width, columns),
    ...step.normalise(input, kept.input, kept.attentionScale, layer.attentionNorm, stream, true),
  ];
}
