/**
 * The way back of `llama-truth.ts` in f64, and the loss: what the gradients of the GPU program are held to. Sequences of one
 * batch are independent of each other, so they are done one after another and their gradients added. Only what can be
 * trained has a gradient.
 */

import { assert } from '../core/assert.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { untrainable } from '../protocol/model-config.ts';
import { headWidth, keyValueWidth, llamaLayout, tensorOf, type LlamaLayerTensors } from './llama-parameters.ts';
import {
  add,
  at,
  forward,
  inverseRootMeanSquare,
  rotate,
  type ForwardState,
  type LayerState,
  type Vector,
} from './llama-truth.ts';
import { rotationOf } from './rope-scaling.ts';

/** Token ids of a batch, sequence after sequence: `inputs` feeds the network, `targets` is what should come next. */
export interface TokenBatch {
  readonly inputs: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
  readonly batch: number;
  readonly length: number;
}

/** The mean cross-entropy of a batch in nats per token. */
export function lossTruth(config: ModelConfig, parameters: Vector, tokens: TokenBatch): number {
  let sum = 0;
  for (let sequence = 0; sequence < tokens.batch; sequence++) {
    const { logits } = forward(config, parameters, slice(tokens.inputs, sequence, tokens.length));
    sum += crossEntropy(config, logits, slice(tokens.targets, sequence, tokens.length), 1).loss;
  }
  return sum / (tokens.batch * tokens.length);
}

/** The same with its gradient, laid out as the parameters are. */
export function gradientTruth(
  config: ModelConfig,
  parameters: Vector,
  tokens: TokenBatch,
): { readonly loss: number; readonly gradient: Float64Array } {
  assert(untrainable(config) === undefined, `no gradient: ${untrainable(config)}`);
  const gradient = new Float64Array(llamaLayout(config).elements);
  const count = tokens.batch * tokens.length;
  let sum = 0;
  for (let sequence = 0; sequence < tokens.batch; sequence++) {
    const inputs = slice(tokens.inputs, sequence, tokens.length);
    const state = forward(config, parameters, inputs);
    const targets = slice(tokens.targets, sequence, tokens.length);
    const { loss, logitsGradient } = crossEntropy(config, state.logits, targets, 1 / count);
    sum += loss;
    backward(config, parameters, inputs, state, logitsGradient, gradient);
  }
  return { loss: sum / count, gradient };
}

const slice = (values: ArrayLike<number>, sequence: number, length: number): number[] =>
  Array.from({ length }, (_, position) => values[sequence * length + position] ?? 0);

function backward(
  config: ModelConfig,
  parameters: Vector,
  tokens: ArrayLike<number>,
  state: ForwardState,
  logitsGradient: Float64Array,
  gradient: Float64Array,
): void {
  const layout = llamaLayout(config);
  const { width, vocabulary, normEpsilon } = config;
  const embedding = tensorOf(parameters, layout.embedding);
  const embeddingGradient = tensorOf(gradient, layout.embedding);
  const normed = projectBackward(logitsGradient, state.normed, embedding, embeddingGradient, width, vocabulary);
  let stream = normaliseBackward(
    normed,
    state.last,
    tensorOf(parameters, layout.norm),
    tensorOf(gradient, layout.norm),
    width,
    normEpsilon,
  );
  for (let index = layout.layers.length - 1; index >= 0; index--) {
    const layer = layout.layers[index];
    const kept = state.layers[index];
    assert(layer !== undefined && kept !== undefined, 'a layer without its state');
    stream = layerBackward(config, parameters, layer, kept, stream, gradient);
  }
  for (let position = 0; position < tokens.length; position++) {
    const row = at(tokens, position) * width;
    for (let i = 0; i < width; i++) {
      embeddingGradient[row + i] = at(embeddingGradient, row + i) + at(stream, position * width + i);
    }
  }
}

type ProjectionName = 'query' | 'key' | 'value' | 'output' | 'gate' | 'up' | 'down';

function layerBackward(
  config: ModelConfig,
  parameters: Vector,
  layer: LlamaLayerTensors,
  kept: LayerState,
  outputGradient: Float64Array,
  gradient: Float64Array,
): Float64Array {
  const { width, hidden, normEpsilon } = config;
  const inner = keyValueWidth(config);
  const through = (name: ProjectionName, out: Float64Array, input: Float64Array, from: number, to: number) =>
    projectBackward(out, input, tensorOf(parameters, layer[name]), tensorOf(gradient, layer[name]), from, to);

  const gated = through('down', outputGradient, kept.gated, hidden, width);
  const gate = new Float64Array(gated.length);
  const up = new Float64Array(gated.length);
  for (let i = 0; i < gated.length; i++) {
    const x = at(kept.gate, i);
    const sigmoid = 1 / (1 + Math.exp(-x));
    gate[i] = at(gated, i) * at(kept.up, i) * sigmoid * (1 + x * (1 - sigmoid));
    up[i] = at(gated, i) * x * sigmoid;
  }
  const feedForwardInput = add(
    through('gate', gate, kept.feedForwardInput, width, hidden),
    through('up', up, kept.feedForwardInput, width, hidden),
  );
  const middle = add(
    outputGradient,
    normaliseBackward(
      feedForwardInput,
      kept.middle,
      tensorOf(parameters, layer.feedForwardNorm),
      tensorOf(gradient, layer.feedForwardNorm),
      width,
      normEpsilon,
    ),
  );
  const mixed = through('output', middle, kept.mixed, width, width);
  const { query, key, value } = attendBackward(config, kept, mixed);
  const rotation = rotationOf(config);
  rotate(rotation, query, width, -1);
  rotate(rotation, key, inner, -1);
  const attentionInput = add(
    through('query', query, kept.attentionInput, width, width),
    add(
      through('key', key, kept.attentionInput, width, inner),
      through('value', value, kept.attentionInput, width, inner),
    ),
  );
  return add(
    middle,
    normaliseBackward(
      attentionInput,
      kept.input,
      tensorOf(parameters, layer.attentionNorm),
      tensorOf(gradient, layer.attentionNorm),
      width,
      normEpsilon,
    ),
  );
}

function normaliseBackward(
  outputGradient: Float64Array,
  input: Float64Array,
  gain: Vector,
  gainGradient: Vector,
  width: number,
  epsilon: number,
): Float64Array {
  const inputGradient = new Float64Array(input.length);
  for (let row = 0; row < input.length; row += width) {
    const scale = inverseRootMeanSquare(input, row, width, epsilon);
    let dot = 0;
    for (let i = 0; i < width; i++) {
      dot += at(outputGradient, row + i) * at(gain, i) * at(input, row + i);
      gainGradient[i] = at(gainGradient, i) + at(outputGradient, row + i) * at(input, row + i) * scale;
    }
    for (let i = 0; i < width; i++) {
      inputGradient[row + i] =
        scale * at(outputGradient, row + i) * at(gain, i) - (scale ** 3 * dot * at(input, row + i)) / width;
    }
  }
  return inputGradient;
}

/** Adds to `weightGradient`, returns the gradient of the input. */
function projectBackward(
  outputGradient: Float64Array,
  input: Float64Array,
  weight: Vector,
  weightGradient: Vector,
  from: number,
  to: number,
): Float64Array {
  const rows = input.length / from;
  const inputGradient = new Float64Array(rows * from);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < to; column++) {
      const slope = at(outputGradient, row * to + column);
      for (let i = 0; i < from; i++) {
        inputGradient[row * from + i] = at(inputGradient, row * from + i) + slope * at(weight, column * from + i);
        weightGradient[column * from + i] = at(weightGradient, column * from + i) + slope * at(input, row * from + i);
      }
    }
  }
  return inputGradient;
}

function attendBackward(config: ModelConfig, kept: LayerState, mixedGradient: Float64Array) {
  const { width, heads } = config;
  const head = headWidth(config);
  const inner = keyValueWidth(config);
  const length = kept.query.length / width;
  const query = new Float64Array(kept.query.length);
  const key = new Float64Array(kept.key.length);
  const value = new Float64Array(kept.value.length);
  const scale = 1 / Math.sqrt(head);
  for (let h = 0; h < heads; h++) {
    const shared = Math.floor((h * config.keyValueHeads) / heads) * head;
    for (let t = 0; t < length; t++) {
      const row = kept.weights.subarray((h * length + t) * length, (h * length + t + 1) * length);
      const own = t * width + h * head;
      const slopes = new Float64Array(t + 1);
      let mean = 0;
      for (let s = 0; s <= t; s++) {
        const other = s * inner + shared;
        for (let i = 0; i < head; i++) {
          slopes[s] = at(slopes, s) + at(mixedGradient, own + i) * at(kept.value, other + i);
          value[other + i] = at(value, other + i) + at(row, s) * at(mixedGradient, own + i);
        }
        mean += at(row, s) * at(slopes, s);
      }
      for (let s = 0; s <= t; s++) {
        const score = at(row, s) * (at(slopes, s) - mean) * scale;
        const other = s * inner + shared;
        for (let i = 0; i < head; i++) {
          query[own + i] = at(query, own + i) + score * at(kept.key, other + i);
          key[other + i] = at(key, other + i) + score * at(kept.query, own + i);
        }
      }
    }
  }
  return { query, key, value };
}

/** Summed cross-entropy of rows of logits, and its gradient times `weight`. */
function crossEntropy(config: ModelConfig, logits: Float64Array, targets: ArrayLike<number>, weight: number) {
  const { vocabulary } = config;
  const logitsGradient = new Float64Array(logits.length);
  let loss = 0;
  for (let position = 0; position < targets.length; position++) {
    const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary);
    const largest = row.reduce((most, x) => Math.max(most, x), -Infinity);
    const sum = row.reduce((total, x) => total + Math.exp(x - largest), 0);
    loss += Math.log(sum) + largest - at(row, at(targets, position));
    for (let token = 0; token < vocabulary; token++) {
      const chance = Math.exp(at(row, token) - largest) / sum;
      logitsGradient[position * vocabulary + token] = weight * (chance - (token === at(targets, position) ? 1 : 0));
    }
  }
  return { loss, logitsGradient };
}
