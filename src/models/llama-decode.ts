/**
 * The Llama network one token at a time, for several sequences of the same prompt at once: the prompt runs through the
 * whole-sequence program once, its keys and values are copied to every sequence's cache, and then each step reads one
 * token a sequence and leaves the next logits. Choosing tokens is the caller's.
 */

import { attentionDecodeDispatch, cacheStoreDispatch } from '../kernels/attention-decode.ts';
import { viewBytes } from '../core/bytes.ts';
import type { Device, Dispatch, Pipeline } from '../kernels/device.ts';
import { embeddingDispatch } from '../kernels/embedding.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { matmulDispatch } from '../kernels/matmul.ts';
import { rmsNormDispatch } from '../kernels/rms-norm.ts';
import { ropeDispatch, ropeTable } from '../kernels/rope.ts';
import { siluGateDispatch } from '../kernels/silu-gate.ts';
import { combineDispatch } from '../kernels/vector.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import type { Arena } from './arena.ts';
import { headWidth, keyValueWidth, llamaLayout, type ParameterTensor } from './llama-parameters.ts';
import { createForward, part } from './llama.ts';

export interface LlamaDecoder {
  /** [sequences, vocabulary] after the prompt or the last step. */
  readonly logits: Tensor;
  readonly pipelines: readonly Pipeline[];
  load(parameters: Uint8Array): void;
  /** Fills every cache with the prompt and leaves the logits after it. */
  prefill(prompt: readonly number[]): Promise<void>;
  /** Feeds `tokens` u32 [sequences] at this position; the work is recorded when `run` of the device is given it. */
  step(tokens: Tensor, position: number): readonly Dispatch[];
}

export interface DecoderOptions {
  readonly config: ModelConfig;
  readonly sequences: number;
  readonly promptLength: number;
  /** Tokens that a sequence may reach, prompt included. */
  readonly positionsMax: number;
}

export function createDecoder(device: Device, arena: Arena, options: DecoderOptions): LlamaDecoder {
  const { config, sequences, promptLength, positionsMax } = options;
  const { width, hidden, heads, keyValueHeads, vocabulary } = config;
  const inner = keyValueWidth(config);
  const headSize = headWidth(config);
  const layout = llamaLayout(config);
  const weights = {
    parameters: arena.tensor('parameters', layout.elements),
    rope: arena.tensor('rope', positionsMax * headSize),
  };
  device.write(weights.rope.buffer, viewBytes(ropeTable(positionsMax, headSize, config.ropeTheta)));
  const prompt = createForward(arena, weights, { config, batch: 1, length: promptLength }, true);
  const caches = layout.layers.map((_, index) => ({
    key: arena.tensor(`layer ${index} key cache`, sequences * positionsMax * inner),
    value: arena.tensor(`layer ${index} value cache`, sequences * positionsMax * inner),
  }));
  const row = (name: string, columns: number): Tensor => arena.tensor(`decode ${name}`, sequences * columns);
  const state = {
    // Two streams, as a kernel may not write what it reads.
    stream: row('stream', width),
    middle: row('middle', width),
    scale: row('scale', 1),
    normed: row('normed', width),
    query: row('query', width),
    key: row('key', inner),
    value: row('value', inner),
    mixed: row('mixed', width),
    projected: row('projected', width),
    gate: row('gate', hidden),
    up: row('up', hidden),
    gated: row('gated', hidden),
    logits: row('logits', vocabulary),
  };
  const of = (tensor: ParameterTensor): Tensor => part(weights.parameters, tensor);
  const project = (input: Tensor, weight: ParameterTensor, output: Tensor, from: number, to: number): Dispatch =>
    matmulDispatch({ form: 'NT', left: input, right: of(weight), output, rows: sequences, columns: to, inner: from });
  const normalise = (input: Tensor, weight: ParameterTensor): Dispatch =>
    rmsNormDispatch({
      input,
      weight: of(weight),
      output: state.normed,
      inverseRms: state.scale,
      rows: sequences,
      width,
      epsilon: config.normEpsilon,
    });

  const step = (tokens: Tensor, position: number): Dispatch[] => {
    const { stream, middle, normed, query, key, value, mixed, projected, gate, up, gated } = state;
    const turn = { table: weights.rope, rows: sequences, tokens: 1, headSize, positionStart: position };
    const place = { sequences, tokens: 1, width: inner, positionStart: position, positionsMax };
    return [
      embeddingDispatch({ tokens, table: of(layout.embedding), output: stream, rows: sequences, width, vocabulary }),
      ...layout.layers.flatMap((layer, index) => {
        const cache = caches[index];
        if (cache === undefined) return [];
        return [
          normalise(stream, layer.attentionNorm),
          project(normed, layer.query, query, width, width),
          project(normed, layer.key, key, width, inner),
          project(normed, layer.value, value, width, inner),
          ropeDispatch({ ...turn, values: query, heads }),
          ropeDispatch({ ...turn, values: key, heads: keyValueHeads }),
          cacheStoreDispatch({ ...place, input: key, cache: cache.key }),
          cacheStoreDispatch({ ...place, input: value, cache: cache.value }),
          attentionDecodeDispatch({
            sequences,
            heads,
            kvHeads: keyValueHeads,
            headSize,
            positionStart: position,
            positionsMax,
            query,
            key: cache.key,
            value: cache.value,
            output: mixed,
          }),
          project(mixed, layer.output, projected, width, width),
          combineDispatch({ left: stream, right: projected, output: middle, count: sequences * width }),
          normalise(middle, layer.feedForwardNorm),
          project(normed, layer.gate, gate, width, hidden),
          project(normed, layer.up, up, width, hidden),
          siluGateDispatch({ gate, up, output: gated, count: sequences * hidden }),
          project(gated, layer.down, projected, hidden, width),
          combineDispatch({ left: middle, right: projected, output: stream, count: sequences * width }),
        ];
      }),
      normalise(stream, layout.norm),
      project(normed, layout.embedding, state.logits, width, vocabulary),
    ];
  };

  const prefill = async (tokens: readonly number[]): Promise<void> => {
    device.write(prompt.tokens.buffer, viewBytes(Uint32Array.from(tokens)));
    await device.run(prompt.dispatches);
    for (let sequence = 0; sequence < sequences; sequence++) {
      device.copy(prompt.logits.buffer, 0, state.logits.buffer, sequence * vocabulary * 4, vocabulary * 4);
      for (const [index, cache] of caches.entries()) {
        const kept = prompt.layers[index];
        if (kept === undefined) continue;
        const [to, bytes] = [sequence * positionsMax * inner * 4, promptLength * inner * 4];
        device.copy(kept.key.buffer, 0, cache.key.buffer, to, bytes);
        device.copy(kept.value.buffer, 0, cache.value.buffer, to, bytes);
      }
    }
  };

  return {
    logits: state.logits,
    pipelines: [...prompt.dispatches, ...step(state.key, promptLength)].map(({ pipeline }) => pipeline),
    load: (parameters) => device.write(weights.parameters.buffer, parameters),
    prefill,
    step,
  };
}
