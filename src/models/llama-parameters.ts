/**
 * The parameters of a Llama-shaped network as one flat f32 vector: the form in which they train and travel. Names and
 * shapes follow Meta's Llama and llama2.c (rotary pairs are neighbours); the classifier is the embedding or a matrix of
 * its own. Tensors follow each other without gaps: all matrices, those of the same input as neighbours, then all gains and
 * biases, which weight decay leaves alone. Files are `weights`, running is `llama.ts`, tensors one by one on a GPU are
 * `network-weights.ts`.
 */

import { alignUp } from '../core/bytes.ts';
import { createRandom } from '../core/prng.ts';
import type { ModelConfig } from '../protocol/manifest.ts';

export interface ParameterTensor {
  readonly name: string;
  /** Row-major: [rows, columns] or [columns]. */
  readonly shape: readonly number[];
  /** Elements before it in the flat vector. */
  readonly offset: number;
  readonly elements: number;
  readonly initial: 'one' | 'zero' | 'normal' | 'residual';
}

export interface LlamaLayerTensors {
  readonly query: ParameterTensor;
  readonly key: ParameterTensor;
  readonly value: ParameterTensor;
  readonly output: ParameterTensor;
  readonly attentionNorm: ParameterTensor;
  readonly feedForwardNorm: ParameterTensor;
  /** Feed-forward: `down(silu(gate x) * (up x))`, llama2.c's w2, w1 and w3. */
  readonly gate: ParameterTensor;
  readonly up: ParameterTensor;
  readonly down: ParameterTensor;
  /** Qwen 2's, and those of a Llama with `attention_bias`; all three or none. */
  readonly queryBias?: ParameterTensor;
  readonly keyBias?: ParameterTensor;
  readonly valueBias?: ParameterTensor;
  readonly outputBias?: ParameterTensor;
  /** Qwen 3's gains [head width], one for all heads. */
  readonly queryNorm?: ParameterTensor;
  readonly keyNorm?: ParameterTensor;
}

export interface LlamaLayout {
  /** In the order of their offsets. */
  readonly tensors: readonly ParameterTensor[];
  readonly embedding: ParameterTensor;
  readonly layers: readonly LlamaLayerTensors[];
  readonly norm: ParameterTensor;
  /** The classifier where it is not the embedding. */
  readonly head?: ParameterTensor;
  /** [head width / 2]: see `RopeScaling`, `factors`. */
  readonly ropeFactors?: ParameterTensor;
  /** Length of the flat vector: the number of parameters. */
  readonly elements: number;
  /** How many elements at the beginning are weights of matrices; the rest are gains and biases. */
  readonly matrixElements: number;
}

export const headWidth = (config: ModelConfig): number => config.headWidth ?? config.width / config.heads;
export const queryWidth = (config: ModelConfig): number => headWidth(config) * config.heads;
export const keyValueWidth = (config: ModelConfig): number => headWidth(config) * config.keyValueHeads;

/** Llama's feed-forward width: two thirds of four times the width, rounded up to a multiple. */
export const hiddenOfWidth = (width: number, multiple = 4): number => alignUp(Math.floor((8 * width) / 3), multiple);

/** Where each tensor of this network stands in the flat vector. */
export function llamaLayout(config: ModelConfig): LlamaLayout {
  const tensors: ParameterTensor[] = [];
  let end = 0;
  const add = (name: string, shape: readonly number[], initial: ParameterTensor['initial']): ParameterTensor => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const tensor = { name, shape, offset: end, elements, initial };
    tensors.push(tensor);
    end += elements;
    return tensor;
  };
  const { width, hidden, vocabulary } = config;
  const outer = queryWidth(config);
  const inner = keyValueWidth(config);
  const embedding = add('tok_embeddings.weight', [vocabulary, width], 'normal');
  const matrices = Array.from({ length: config.layers }, (_, layer) => ({
    query: add(`layers.${layer}.attention.wq.weight`, [outer, width], 'normal'),
    key: add(`layers.${layer}.attention.wk.weight`, [inner, width], 'normal'),
    value: add(`layers.${layer}.attention.wv.weight`, [inner, width], 'normal'),
    output: add(`layers.${layer}.attention.wo.weight`, [width, outer], 'residual'),
    gate: add(`layers.${layer}.feed_forward.w1.weight`, [hidden, width], 'normal'),
    up: add(`layers.${layer}.feed_forward.w3.weight`, [hidden, width], 'normal'),
    down: add(`layers.${layer}.feed_forward.w2.weight`, [width, hidden], 'residual'),
  }));
  const head = config.tied === false ? { head: add('output.weight', [vocabulary, width], 'normal') } : {};
  const matrixElements = end;
  const layers = matrices.map((layer, index) => ({
    ...layer,
    attentionNorm: add(`layers.${index}.attention_norm.weight`, [width], 'one'),
    feedForwardNorm: add(`layers.${index}.ffn_norm.weight`, [width], 'one'),
    ...(config.attentionBias !== undefined && {
      queryBias: add(`layers.${index}.attention.wq.bias`, [outer], 'zero'),
      keyBias: add(`layers.${index}.attention.wk.bias`, [inner], 'zero'),
      valueBias: add(`layers.${index}.attention.wv.bias`, [inner], 'zero'),
    }),
    ...(config.attentionBias === 'all' && { outputBias: add(`layers.${index}.attention.wo.bias`, [width], 'zero') }),
    ...(config.queryKeyNorm === true && {
      queryNorm: add(`layers.${index}.attention.q_norm.weight`, [headWidth(config)], 'one'),
      keyNorm: add(`layers.${index}.attention.k_norm.weight`, [headWidth(config)], 'one'),
    }),
  }));
  const norm = add('norm.weight', [width], 'one');
  const factors =
    config.ropeScaling?.kind === 'factors'
      ? { ropeFactors: add('rope_freqs.weight', [headWidth(config) / 2], 'one') }
      : {};
  return { tensors, embedding, layers, norm, ...head, ...factors, elements: end, matrixElements };
}

/** One tensor of a flat vector, without a copy. */
export const tensorOf = <Vector extends Float32Array | Float64Array>(vector: Vector, tensor: ParameterTensor): Vector =>
  vector.subarray(tensor.offset, tensor.offset + tensor.elements) as Vector;

/**
 * Starting parameters: gains one, biases zero, weights normal with deviation 0.02, and the two projections into the residual stream
 * smaller by sqrt(2 layers), so that its variance does not grow with depth (GPT-2, Radford et al. 2019). The same seed
 * gives the same numbers, tensor by tensor.
 */
export function initialParameters(config: ModelConfig, seed: number): Float32Array<ArrayBuffer> {
  const layout = llamaLayout(config);
  const vector = new Float32Array(layout.elements);
  for (const [index, tensor] of layout.tensors.entries()) {
    const values = tensorOf(vector, tensor);
    if (tensor.initial === 'one') values.fill(1);
    if (tensor.initial === 'one' || tensor.initial === 'zero') continue;
    const random = createRandom(seed, index);
    const deviation = tensor.initial === 'residual' ? 0.02 / Math.sqrt(2 * config.layers) : 0.02;
    for (let element = 0; element < values.length; element++) values[element] = deviation * random.normal();
  }
  return vector;
}
