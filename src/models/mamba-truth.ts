/**
 * Mamba-2 on the CPU in f64, token by token, written for reading: the truth that the GPU program is held to. It follows
 * transformers' `modeling_mamba2.py`, `torch_forward`.
 */

import { convolveTruth, silu, softplus, ssmStepTruth } from '../kernels/ssm.ts';
import { at } from '../kernels/truth.ts';
import {
  channelsOf,
  innerWidth,
  mambaLayout,
  mambaTensor,
  projectedWidth,
  type MambaConfig,
  type MambaLayer,
} from './mamba-parameters.ts';

type Vector = Float32Array | Float64Array;

interface LayerState {
  /** [channels, taps - 1]. */
  readonly inputs: Float64Array;
  /** [heads, states, headWidth]. */
  readonly memory: Float64Array;
}

/** The logits [length, vocabulary] of one sequence. */
export function mambaTruth(config: MambaConfig, parameters: Vector, tokens: ArrayLike<number>): Float64Array {
  const layout = mambaLayout(config);
  const { width, vocabulary } = config;
  const embedding = mambaTensor(parameters, layout.embedding);
  const states = layout.layers.map((): LayerState => ({
    inputs: new Float64Array(channelsOf(config) * (config.taps - 1)),
    memory: new Float64Array(config.heads * config.states * config.headWidth),
  }));
  const logits = new Float64Array(tokens.length * vocabulary);
  for (let position = 0; position < tokens.length; position++) {
    const token = at(tokens, position);
    let stream = Float64Array.from(embedding.subarray(token * width, (token + 1) * width));
    for (const [index, layer] of layout.layers.entries()) {
      const state = states[index];
      if (state !== undefined) stream = layerTruth(config, parameters, layer, state, stream);
    }
    const normed = normalise(stream, mambaTensor(parameters, layout.norm), config.normEpsilon);
    logits.set(project(embedding, normed), position * vocabulary);
  }
  return logits;
}

/** One token through one layer; its state moves on. */
function layerTruth(
  config: MambaConfig,
  parameters: Vector,
  layer: MambaLayer,
  state: LayerState,
  stream: Float64Array,
): Float64Array<ArrayBuffer> {
  const { heads, headWidth, states, groups, taps, normEpsilon } = config;
  const of = (name: keyof MambaLayer): Vector => mambaTensor(parameters, layer[name]);
  const [inner, channels] = [innerWidth(config), channelsOf(config)];
  const projected = project(of('inProjection'), normalise(stream, of('norm'), normEpsilon));
  const convolved = Float64Array.from({ length: channels }, (_, channel) => {
    const past = state.inputs.subarray(channel * (taps - 1), (channel + 1) * (taps - 1));
    const weight = of('convolution').subarray(channel * taps, (channel + 1) * taps);
    return convolveTruth(past, at(projected, inner + channel), weight, at(of('convolutionBias'), channel));
  });
  const mixed = new Float64Array(inner);
  for (let head = 0; head < heads; head++) {
    const group = Math.floor((head * groups) / heads);
    const b = inner + group * states;
    const c = b + groups * states;
    const size = states * headWidth;
    const y = ssmStepTruth(state.memory.subarray(head * size, (head + 1) * size), {
      x: convolved.subarray(head * headWidth, (head + 1) * headWidth),
      b: convolved.subarray(b, b + states),
      c: convolved.subarray(c, c + states),
      step: softplus(at(projected, projectedWidth(config) - heads + head) + at(of('stepBias'), head)),
      aLog: at(of('aLog'), head),
      skip: at(of('skip'), head),
    });
    mixed.set(y, head * headWidth);
  }
  const gated = mixed.map((value, index) => value * silu(at(projected, index)));
  const output = project(of('outProjection'), normalise(gated, of('mixerNorm'), normEpsilon));
  return Float64Array.from(stream, (value, index) => value + at(output, index));
}

/** RMSNorm (Zhang and Sennrich 2019). */
function normalise(input: Float64Array, gain: Vector, epsilon: number): Float64Array {
  const squares = input.reduce((sum, value) => sum + value ** 2, 0);
  const scale = 1 / Math.sqrt(squares / input.length + epsilon);
  return input.map((value, index) => value * scale * at(gain, index));
}

/** A matrix [outputs, inputs] times a vector. */
function project(weight: Vector, input: Float64Array): Float64Array<ArrayBuffer> {
  const inputs = input.length;
  return Float64Array.from({ length: weight.length / inputs }, (_, output) => {
    let sum = 0;
    for (let index = 0; index < inputs; index++) sum += at(weight, output * inputs + index) * at(input, index);
    return sum;
  });
}
