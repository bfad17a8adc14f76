/**
 * Mamba-2 (Dao and Gu, "Transformers are SSMs", 2024): a recurrent network without attention, whose memory of a text does not
 * grow with the text. Its parameters as one flat f32 vector; names and shapes are those of transformers' `Mamba2ForCausalLM`.
 *
 * Why this one and not RWKV-7: of a layer's weights all but a few hundred stand in two matrices, for which the products of this
 * project are made; RWKV-7 has four low-rank networks in each layer, whose ranks are near the whole width in a network of a
 * million parameters. Its state decays by one number a head, between 0 and 1, so that gradients through time cannot grow, and
 * over a whole text it is a masked product of matrices (`mamba-truth.test.ts` computes it so), which trains as products do.
 */

import { assert } from '../core/assert.ts';
import { createRandom, type Random } from '../core/prng.ts';

export interface MambaConfig {
  readonly layers: number;
  /** Of the residual stream. */
  readonly width: number;
  /** heads * headWidth is the width inside a layer, twice that of the stream as a rule. */
  readonly heads: number;
  readonly headWidth: number;
  /** Numbers that each element of a head remembers. */
  readonly states: number;
  /** Heads of a group share what they let in and out; a divisor of `heads`. */
  readonly groups: number;
  /** Inputs that the convolution sees, the newest included. */
  readonly taps: number;
  readonly vocabulary: number;
  readonly normEpsilon: number;
}

export interface MambaTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Elements before it in the flat vector. */
  readonly offset: number;
  readonly elements: number;
  readonly initial: (random: Random) => number;
}

export interface MambaLayer {
  readonly norm: MambaTensor;
  /** [2 inner + 2 groups * states + heads, width]: the gate z, what is convolved (x, B, C), the heads' steps. */
  readonly inProjection: MambaTensor;
  /** [channels, 1, taps]. */
  readonly convolution: MambaTensor;
  readonly convolutionBias: MambaTensor;
  readonly stepBias: MambaTensor;
  readonly aLog: MambaTensor;
  readonly skip: MambaTensor;
  readonly mixerNorm: MambaTensor;
  readonly outProjection: MambaTensor;
}

export interface MambaLayout {
  readonly tensors: readonly MambaTensor[];
  /** Also the classifier. */
  readonly embedding: MambaTensor;
  readonly layers: readonly MambaLayer[];
  readonly norm: MambaTensor;
  readonly elements: number;
}

export const innerWidth = ({ heads, headWidth }: MambaConfig): number => heads * headWidth;
/** What goes through the convolution. */
export const channelsOf = (config: MambaConfig): number => innerWidth(config) + 2 * config.groups * config.states;
export const projectedWidth = (config: MambaConfig): number => innerWidth(config) + channelsOf(config) + config.heads;

/** Bytes that a sequence takes on a device, however long it is. */
export const stateBytes = (config: MambaConfig): number =>
  4 * config.layers * (channelsOf(config) * (config.taps - 1) + config.heads * config.states * config.headWidth);

/** Where each tensor stands in the flat vector; they follow each other without gaps. */
export function mambaLayout(config: MambaConfig): MambaLayout {
  const { width, heads, groups, taps, vocabulary, layers: count } = config;
  assert(heads % groups === 0, `mamba: ${groups} groups do not divide ${heads} heads`);
  const tensors: MambaTensor[] = [];
  let end = 0;
  const add = (name: string, shape: readonly number[], initial: MambaTensor['initial']): MambaTensor => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const tensor = { name, shape, offset: end, elements, initial };
    tensors.push(tensor);
    end += elements;
    return tensor;
  };
  const normal = (deviation: number) => (random: Random) => deviation * random.normal();
  const one = () => 1;
  const inner = innerWidth(config);
  const channels = channelsOf(config);
  const embedding = add('backbone.embeddings.weight', [vocabulary, width], normal(0.02));
  const layers = Array.from({ length: count }, (_, index): MambaLayer => {
    const named = (part: string): string => `backbone.layers.${index}.${part}`;
    return {
      norm: add(named('norm.weight'), [width], one),
      inProjection: add(named('mixer.in_proj.weight'), [projectedWidth(config), width], normal(0.02)),
      convolution: add(
        named('mixer.conv1d.weight'),
        [channels, 1, taps],
        uniform(-1, 1, (x) => x / Math.sqrt(taps)),
      ),
      convolutionBias: add(named('mixer.conv1d.bias'), [channels], () => 0),
      // Steps of 0.001 to 0.1, and decays of 1 to 16 in each unit of them, as the paper begins with.
      stepBias: add(
        named('mixer.dt_bias'),
        [heads],
        uniform(Math.log(0.001), Math.log(0.1), (x) => Math.log(Math.expm1(Math.exp(x)))),
      ),
      aLog: add(named('mixer.A_log'), [heads], uniform(1, 16, Math.log)),
      skip: add(named('mixer.D'), [heads], one),
      mixerNorm: add(named('mixer.norm.weight'), [inner], one),
      outProjection: add(named('mixer.out_proj.weight'), [width, inner], normal(0.02 / Math.sqrt(count))),
    };
  });
  const norm = add('backbone.norm_f.weight', [width], one);
  return { tensors, embedding, layers, norm, elements: end };
}

const uniform = (low: number, high: number, then: (x: number) => number) => (random: Random) =>
  then(low + (high - low) * random.next());

/** The same seed gives the same numbers, tensor by tensor. */
export function initialMamba(config: MambaConfig, seed: number): Float32Array<ArrayBuffer> {
  const layout = mambaLayout(config);
  const vector = new Float32Array(layout.elements);
  for (const [index, { offset, elements, initial }] of layout.tensors.entries()) {
    const random = createRandom(seed, index);
    for (let element = offset; element < offset + elements; element++) vector[element] = initial(random);
  }
  return vector;
}

export const mambaTensor = <Vector extends Float32Array | Float64Array>(vector: Vector, tensor: MambaTensor): Vector =>
  vector.subarray(tensor.offset, tensor.offset + tensor.elements) as Vector;
