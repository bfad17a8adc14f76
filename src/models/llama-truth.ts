/**
 * The whole network on the CPU in f64, written for reading: the truth that the GPU program is held to, for Llama, Qwen 2 and
 * Qwen 3. It shares nothing with the kernels but the parameter layout and the rotary frequencies. The way back is
 * `llama-gradient-truth.ts`.
 */

import { assert } from '../core/assert.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import {
  headWidth,
  keyValueWidth,
  llamaLayout,
  queryWidth,
  tensorOf,
  type LlamaLayerTensors,
  type ParameterTensor,
} from './llama-parameters.ts';
import { rotationOf, type Rotation } from './rope-scaling.ts';

export type Vector = Float32Array | Float64Array;

/** The logits [length, vocabulary] of one sequence. */
export function logitsTruth(config: ModelConfig, parameters: Vector, tokens: ArrayLike<number>): Float64Array {
  return forward(config, parameters, tokens).logits;
}

export const at = (values: ArrayLike<number>, index: number): number => values[index] ?? 0;

export interface LayerState {
  readonly input: Float64Array;
  readonly attentionInput: Float64Array;
  readonly query: Float64Array;
  readonly key: Float64Array;
  readonly value: Float64Array;
  readonly weights: Float64Array;
  readonly mixed: Float64Array;
  readonly middle: Float64Array;
  readonly feedForwardInput: Float64Array;
  readonly gate: Float64Array;
  readonly up: Float64Array;
  readonly gated: Float64Array;
}

export interface ForwardState {
  readonly layers: readonly LayerState[];
  readonly last: Float64Array;
  readonly normed: Float64Array;
  readonly logits: Float64Array;
}

export function forward(config: ModelConfig, parameters: Vector, tokens: ArrayLike<number>): ForwardState {
  const layout = llamaLayout(config);
  assert(parameters.length === layout.elements, `${parameters.length} parameters, the network has ${layout.elements}`);
  const { width, hidden, vocabulary, normEpsilon } = config;
  const length = tokens.length;
  const rotation = rotationOf(config, layout.ropeFactors && tensorOf(parameters, layout.ropeFactors));
  const embedding = tensorOf(parameters, layout.embedding);
  let stream = new Float64Array(length * width);
  for (let position = 0; position < length; position++) {
    const token = at(tokens, position);
    assert(token >= 0 && token < vocabulary, `token ${token} is not in a vocabulary of ${vocabulary}`);
    for (let i = 0; i < width; i++) stream[position * width + i] = at(embedding, token * width + i);
  }
  const layers: LayerState[] = [];
  for (const layer of layout.layers) {
    const input = stream;
    const attentionInput = normalise(input, tensorOf(parameters, layer.attentionNorm), width, normEpsilon);
    const { query, key, value } = attentionRows(config, parameters, layer, attentionInput, rotation);
    const { weights, mixed } = attend(config, query, key, value, length);
    const projected = project(mixed, tensorOf(parameters, layer.output), queryWidth(config), width);
    const middle = add(input, biased(projected, parameters, layer.outputBias));
    const feedForwardInput = normalise(middle, tensorOf(parameters, layer.feedForwardNorm), width, normEpsilon);
    const gate = project(feedForwardInput, tensorOf(parameters, layer.gate), width, hidden);
    const up = project(feedForwardInput, tensorOf(parameters, layer.up), width, hidden);
    const gated = gate.map((x, index) => (x / (1 + Math.exp(-x))) * at(up, index));
    stream = add(middle, project(gated, tensorOf(parameters, layer.down), hidden, width));
    layers.push({
      input,
      attentionInput,
      query,
      key,
      value,
      weights,
      mixed,
      middle,
      feedForwardInput,
      gate,
      up,
      gated,
    });
  }
  const normed = normalise(stream, tensorOf(parameters, layout.norm), width, normEpsilon);
  const head = tensorOf(parameters, layout.head ?? layout.embedding);
  return { layers, last: stream, normed, logits: project(normed, head, width, vocabulary) };
}

/** Queries, keys and values of each token: projected, biased, normed head by head, and the first two turned. */
function attentionRows(
  config: ModelConfig,
  parameters: Vector,
  layer: LlamaLayerTensors,
  input: Float64Array,
  rotation: Rotation,
) {
  const { width, normEpsilon } = config;
  const made = (weight: ParameterTensor, to: number, bias: ParameterTensor | undefined) =>
    biased(project(input, tensorOf(parameters, weight), width, to), parameters, bias);
  const turned = (rows: Float64Array, to: number, gain: ParameterTensor | undefined) => {
    const head = headWidth(config);
    const normed = gain === undefined ? rows : normalise(rows, tensorOf(parameters, gain), head, normEpsilon);
    rotate(rotation, normed, to, 1);
    return normed;
  };
  const [outer, inner] = [queryWidth(config), keyValueWidth(config)];
  return {
    query: turned(made(layer.query, outer, layer.queryBias), outer, layer.queryNorm),
    key: turned(made(layer.key, inner, layer.keyBias), inner, layer.keyNorm),
    value: made(layer.value, inner, layer.valueBias),
  };
}

function biased(rows: Float64Array, parameters: Vector, bias: ParameterTensor | undefined): Float64Array {
  if (bias === undefined) return rows;
  const values = tensorOf(parameters, bias);
  return rows.map((x, index) => x + at(values, index % values.length));
}

export const add = (a: Float64Array, b: Float64Array): Float64Array<ArrayBuffer> =>
  Float64Array.from(a, (x, index) => x + at(b, index));

/** RMSNorm (Zhang and Sennrich 2019): rows divided by their root mean square, times a gain. */
function normalise(input: Float64Array, gain: Vector, width: number, epsilon: number): Float64Array {
  const output = new Float64Array(input.length);
  for (let row = 0; row < input.length; row += width) {
    const scale = inverseRootMeanSquare(input, row, width, epsilon);
    for (let i = 0; i < width; i++) output[row + i] = at(input, row + i) * scale * at(gain, i);
  }
  return output;
}

export function inverseRootMeanSquare(input: Float64Array, row: number, width: number, epsilon: number): number {
  let squares = 0;
  for (let i = 0; i < width; i++) squares += at(input, row + i) ** 2;
  return 1 / Math.sqrt(squares / width + epsilon);
}

/** Rows times the transpose of `weight` [to, from]. */
function project(input: Float64Array, weight: Vector, from: number, to: number): Float64Array<ArrayBuffer> {
  const rows = input.length / from;
  const output = new Float64Array(rows * to);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < to; column++) {
      let sum = 0;
      for (let i = 0; i < from; i++) sum += at(input, row * from + i) * at(weight, column * from + i);
      output[row * to + column] = sum;
    }
  }
  return output;
}

/** Rotary positions (Su et al. 2021) on neighbouring pairs, in place; direction -1 turns back, which is also its gradient. */
export function rotate(
  { frequencies, amplitude }: Rotation,
  rows: Float64Array,
  width: number,
  direction: 1 | -1,
): void {
  const head = 2 * frequencies.length;
  for (let position = 0; position < rows.length / width; position++) {
    for (let i = 0; i < width; i += 2) {
      const angle = direction * position * at(frequencies, (i % head) / 2);
      const index = position * width + i;
      const [x, y] = [at(rows, index), at(rows, index + 1)];
      rows[index] = amplitude * (x * Math.cos(angle) - y * Math.sin(angle));
      rows[index + 1] = amplitude * (x * Math.sin(angle) + y * Math.cos(angle));
    }
  }
}

/** Causal attention of one sequence; several query heads share a key and value head. `weights` is [heads, length, length]. */
function attend(config: ModelConfig, query: Float64Array, key: Float64Array, value: Float64Array, length: number) {
  const { heads } = config;
  const head = headWidth(config);
  const width = queryWidth(config);
  const inner = keyValueWidth(config);
  const weights = new Float64Array(heads * length * length);
  const mixed = new Float64Array(length * width);
  for (let h = 0; h < heads; h++) {
    const shared = Math.floor((h * config.keyValueHeads) / heads) * head;
    for (let t = 0; t < length; t++) {
      const row = weights.subarray((h * length + t) * length, (h * length + t + 1) * length);
      let largest = -Infinity;
      for (let s = 0; s <= t; s++) {
        let dot = 0;
        for (let i = 0; i < head; i++) dot += at(query, t * width + h * head + i) * at(key, s * inner + shared + i);
        row[s] = dot / Math.sqrt(head);
        largest = Math.max(largest, at(row, s));
      }
      let sum = 0;
      for (let s = 0; s <= t; s++) sum += row[s] = Math.exp(at(row, s) - largest);
      for (let s = 0; s <= t; s++) {
        row[s] = at(row, s) / sum;
        for (let i = 0; i < head; i++) {
          const index = t * width + h * head + i;
          mixed[index] = at(mixed, index) + at(row, s) * at(value, s * inner + shared + i);
        }
      }
    }
  }
  return { weights, mixed };
}
