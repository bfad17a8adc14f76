/**
 * The Llama network one token at a time, for several sequences of the same prompt at once: the prompt runs through the
 * whole-sequence program once, its keys and values go to every sequence's cache, and then each step reads one token a
 * sequence and leaves the next logits. A step is one list of six dispatches a layer, built once; from step to step only
 * the position in it changes. Choosing tokens is the caller's.
 */

import { viewBytes } from '../core/bytes.ts';
import { attentionDecodeDispatch, cacheStoreDispatch, moveAttentionDecode } from '../kernels/attention-decode.ts';
import type { Device, Dispatch, Pipeline } from '../kernels/device.ts';
import { embeddingDispatch } from '../kernels/embedding.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { gatedMatvecDispatch, matvecDispatch } from '../kernels/matvec.ts';
import { moveRopeStore, ropeStoreDispatch, ropeTable } from '../kernels/rope.ts';
import { safeChoices, type Choices } from '../kernels/variants.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import type { Arena } from './arena.ts';
import {
  headWidth,
  keyValueWidth,
  llamaLayout,
  type LlamaLayerTensors,
  type ParameterTensor,
} from './llama-parameters.ts';
import { createPrompt, part, queryKeyValueWidth, shifted, type LlamaWeights } from './llama.ts';

export interface LlamaDecoder {
  /** [sequences, vocabulary] after the prompt or the last step. */
  readonly logits: Tensor;
  readonly pipelines: readonly Pipeline[];
  load(parameters: Uint8Array): void;
  /** Fills every cache with the prompt and leaves the logits after it. */
  prefill(prompt: readonly number[]): Promise<void>;
  /**
   * Feeds `tokens` u32 [sequences] at this position; the work is recorded when `run` of the device is given it. The list
   * is the decoder's own: it is good until the next call.
   */
  step(tokens: Tensor, position: number): readonly Dispatch[];
}

export interface DecoderOptions {
  readonly config: ModelConfig;
  readonly sequences: number;
  readonly promptLength: number;
  /** Tokens that a sequence may reach, prompt included. */
  readonly positionsMax: number;
  /** Which variants of kernels run; default the safe ones. */
  readonly choices?: Choices;
}

export function createDecoder(device: Device, arena: Arena, options: DecoderOptions): LlamaDecoder {
  const { config, sequences, promptLength, positionsMax, choices = safeChoices } = options;
  const { width, vocabulary } = config;
  const layout = llamaLayout(config);
  const weights = {
    parameters: arena.tensor('parameters', layout.elements),
    rope: arena.tensor('rope', positionsMax * headWidth(config)),
  };
  const kept = 2 * keyValueWidth(config);
  /** Of each layer [sequences, positionsMax, 2, key heads, head width]: of each position the keys and then the values. */
  const caches = layout.layers.map((_, index) => arena.tensor(`layer ${index} cache`, sequences * positionsMax * kept));
  const prompt = createPrompt(arena, weights, { config, length: promptLength, choices }, (index, { queryKeyValue }) => {
    const cache = caches[index];
    if (cache === undefined) return [];
    const input = shifted(queryKeyValue, width);
    const inputStride = queryKeyValueWidth(config);
    const sizes = { sequences, tokens: promptLength, width: kept, positionsMax };
    return [cacheStoreDispatch({ input, inputStride, cache, ...sizes })];
  });
  const row = (name: string, columns: number): Tensor => arena.tensor(`decode ${name}`, sequences * columns);
  const state = {
    stream: row('stream', width),
    queryKeyValue: row('query key value', queryKeyValueWidth(config)),
    mixed: row('mixed', width),
    gated: row('gated', config.hidden),
    logits: row('logits', vocabulary),
  };
  const layers = layout.layers.flatMap((layer, index) => {
    const cache = caches[index];
    return cache === undefined ? [] : [decodeLayer(options, weights, layer, state, cache)];
  });
  const table = part(weights.parameters, layout.embedding);
  const embed = (tokens: Tensor): Dispatch =>
    embeddingDispatch({ tokens, table, output: state.stream, rows: sequences, width, vocabulary });
  const list: Dispatch[] = [
    embed(state.logits),
    ...layers.flatMap(({ dispatches }) => dispatches),
    matvecDispatch({
      input: state.stream,
      norm: { gain: part(weights.parameters, layout.norm), epsilon: config.normEpsilon },
      weight: table,
      output: state.logits,
      rows: sequences,
      columns: vocabulary,
      inner: width,
      choices,
    }),
  ];
  const prefilled = [
    ...prompt.dispatches,
    // The same logits for every sequence.
    cacheStoreDispatch({
      input: prompt.logits,
      cache: state.logits,
      sequences,
      tokens: 1,
      width: vocabulary,
      positionsMax: 1,
    }),
  ];

  return {
    logits: state.logits,
    pipelines: [...prefilled, ...list].map(({ pipeline }) => pipeline),
    load: (parameters) => {
      device.write(weights.parameters.buffer, parameters);
      const angles = ropeTable(positionsMax, headWidth(config), config.ropeTheta);
      device.write(weights.rope.buffer, viewBytes(angles));
    },
    prefill: async (tokens) => {
      device.write(prompt.tokens.buffer, viewBytes(Uint32Array.from(tokens)));
      await device.run(prefilled);
    },
    step: (tokens, position) => {
      list[0] = embed(tokens);
      for (const { move } of layers) move(position);
      return list;
    },
  };
}

type DecodeState = Readonly<Record<'stream' | 'queryKeyValue' | 'mixed' | 'gated', Tensor>>;

/** Six dispatches that add one layer to the stream, and what moves them to another position. */
function decodeLayer(
  { config, sequences, positionsMax, choices = safeChoices }: DecoderOptions,
  weights: LlamaWeights,
  layer: LlamaLayerTensors,
  { stream, queryKeyValue, mixed, gated }: DecodeState,
  cache: Tensor,
) {
  const { width, hidden, heads, keyValueHeads, normEpsilon: epsilon } = config;
  const inner = keyValueWidth(config);
  const of = (tensor: ParameterTensor): Tensor => part(weights.parameters, tensor);
  const sizes = { sequences, heads, kvHeads: keyValueHeads, headSize: headWidth(config), positionsMax };
  const store = ropeStoreDispatch({ table: weights.rope, values: queryKeyValue, cache, ...sizes, positionStart: 0 });
  const attend = attentionDecodeDispatch({
    query: queryKeyValue,
    key: cache,
    value: shifted(cache, inner),
    output: mixed,
    ...sizes,
    positionStart: 0,
    queryStride: queryKeyValueWidth(config),
    keyValueStride: 2 * inner,
    choices,
  });
  const dispatches = [
    matvecDispatch({
      input: stream,
      norm: { gain: of(layer.attentionNorm), epsilon },
      // Key and value follow the query in the flat vector.
      weight: of(layer.query),
      output: queryKeyValue,
      rows: sequences,
      columns: queryKeyValueWidth(config),
      inner: width,
      choices,
    }),
    store,
    attend,
    matvecDispatch({
      input: mixed,
      weight: of(layer.output),
      output: stream,
      rows: sequences,
      columns: width,
      inner: width,
      accumulate: true,
      choices,
    }),
    gatedMatvecDispatch({
      input: stream,
      norm: { gain: of(layer.feedForwardNorm), epsilon },
      // The up projection follows the gate.
      weight: of(layer.gate),
      output: gated,
      rows: sequences,
      hidden,
      inner: width,
      choices,
    }),
    matvecDispatch({
      input: gated,
      weight: of(layer.down),
      output: stream,
      rows: sequences,
      columns: width,
      inner: hidden,
      accumulate: true,
      choices,
    }),
  ];
  const move = (position: number): void => {
    moveRopeStore(store, position);
    moveAttentionDecode(attend, position);
  };
  return { dispatches, move };
}
