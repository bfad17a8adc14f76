/**
 * Steps of a recurrent network without attention: the convolution and the selective state space of Mamba-2 (Dao and Gu,
 * "Transformers are SSMs", 2024). Each row has a slot of state, which it moves on by one token; rows of one dispatch have
 * different slots. The layers that they stand in are `models/mamba-decode.ts`.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';

const convolve = defineKernel({
  shader: 'ssm_convolve',
  tensors: ['slots:u32', 'input', 'weight', 'bias', '>state', '>output'],
  numbers: ['rows', 'channels', 'taps', 'input_stride'],
});

const step = defineKernel({
  shader: 'ssm_step',
  tensors: ['slots:u32', 'projected', 'convolved', 'a_log', 'skip', 'step_bias', '>state', '>output'],
  numbers: ['rows', 'heads', 'head_width', 'states', 'state_groups'],
});

export const ssmKernels = [convolve, step];

export interface ConvolveOptions {
  /** u32 [rows]: where in `state` each row's past is. */
  readonly slots: Tensor;
  /** [rows, channels], rows `inputStride` apart. */
  readonly input: Tensor;
  readonly inputStride: number;
  /** [channels, taps], the newest input's last. */
  readonly weight: Tensor;
  /** [channels]. */
  readonly bias: Tensor;
  /** [slots, channels, taps - 1]. */
  readonly state: Tensor;
  /** [rows, channels]. */
  readonly output: Tensor;
  readonly rows: number;
  readonly channels: number;
  readonly taps: number;
}

/** output = silu(bias + weight . (state, input)); the state moves on. */
export function convolveDispatch(of: ConvolveOptions): Dispatch {
  const { slots, input, weight, bias, state, output, rows, channels, taps, inputStride } = of;
  return dispatchOf(
    convolve,
    { slots, input, weight, bias, state, output },
    { rows, channels, taps, input_stride: inputStride },
    elementGrid(rows * channels),
  );
}

export interface SsmSizes {
  readonly heads: number;
  readonly headWidth: number;
  /** Of each head. */
  readonly states: number;
  /** Heads of a group share B and C; a divisor of `heads`. */
  readonly groups: number;
}

export interface SsmStepOptions extends SsmSizes {
  /** u32 [rows]. */
  readonly slots: Tensor;
  /** [rows, 2 inner + 2 groups * states + heads] with inner = heads * headWidth: z, what is convolved, steps. */
  readonly projected: Tensor;
  /** [rows, inner + 2 groups * states]: x, B, C. */
  readonly convolved: Tensor;
  /** [heads] each. */
  readonly aLog: Tensor;
  readonly skip: Tensor;
  readonly stepBias: Tensor;
  /** [slots, heads, states, headWidth]. */
  readonly state: Tensor;
  /** [rows, inner]. */
  readonly output: Tensor;
  readonly rows: number;
}

/** Moves the state on and sets output = (C . state + skip x) silu(z). */
export function ssmStepDispatch(of: SsmStepOptions): Dispatch {
  const { slots, projected, convolved, aLog, skip, stepBias, state, output, rows } = of;
  const { heads, headWidth, states, groups } = of;
  return dispatchOf(
    step,
    { slots, projected, convolved, a_log: aLog, skip, step_bias: stepBias, state, output },
    { rows, heads, head_width: headWidth, states, state_groups: groups },
    elementGrid(rows * heads * headWidth),
  );
}

export const silu = (x: number): number => x / (1 + Math.exp(-x));
export const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)));

/** One channel of one row; moves `past` (the oldest first) on. */
export function convolveTruth(past: Float64Array, newest: number, weight: ArrayLike<number>, bias: number): number {
  const inputs = [...past, newest];
  past.set(inputs.slice(1));
  return silu(inputs.reduce((sum, x, tap) => sum + x * at(weight, tap), bias));
}

/** One head of one row: moves `state` [states, headWidth] on and returns C . state + skip x. */
export function ssmStepTruth(
  state: Float64Array,
  of: { x: ArrayLike<number>; b: ArrayLike<number>; c: ArrayLike<number>; step: number; aLog: number; skip: number },
): Float64Array {
  const decay = Math.exp(-of.step * Math.exp(of.aLog));
  const width = of.x.length;
  const output = Float64Array.from({ length: width }, (_, place) => of.skip * at(of.x, place));
  for (let index = 0; index < state.length; index++) {
    const [row, place] = [Math.floor(index / width), index % width];
    state[index] = at(state, index) * decay + of.step * at(of.b, row) * at(of.x, place);
    output[place] = at(output, place) + at(of.c, row) * at(state, index);
  }
  return output;
}

export const ssmTolerance: Tolerance = {
  absolute: 2e-5,
  relative: 5e-6,
  reason: 'exp of exp and log of WGSL are off by some units in the last place, and states are summed in f32',
};

export const ssmCases = (random: Random): KernelCase[] => [...convolveCases(random), ...stepCases(random)];

/** Rows have slots in another order than their own. */
const slotsOf = (rows: number): Uint32Array => Uint32Array.from({ length: rows }, (_, row) => rows - row);

const convolveCases = (random: Random): KernelCase[] =>
  [
    { rows: 1, channels: 1, taps: 1 },
    { rows: 3, channels: 97, taps: 4 },
    { rows: 65, channels: 3, taps: 2 },
  ].map(({ rows, channels, taps }): KernelCase => {
    const slots = slotsOf(rows);
    const inputStride = channels + 5;
    const input = normals(random, rows * inputStride);
    const weight = normals(random, channels * taps);
    const bias = normals(random, channels);
    const state = normals(random, (rows + 1) * channels * (taps - 1) || 1);
    const expected = { state: toF64(state), output: new Float64Array(rows * channels) };
    for (let index = 0; index < rows * channels; index++) {
      const [row, channel] = [Math.floor(index / channels), index % channels];
      const place = (at(slots, row) * channels + channel) * (taps - 1);
      expected.output[index] = convolveTruth(
        expected.state.subarray(place, place + taps - 1),
        at(input, row * inputStride + channel),
        toF64(weight.subarray(channel * taps, (channel + 1) * taps)),
        at(bias, channel),
      );
    }
    const sizes = { rows, channels, taps, inputStride };
    return {
      kernel: convolve.name,
      title: `${rows} rows of ${channels} channels, ${taps} taps`,
      tensors: { slots, input, weight, bias, state, output: new Float32Array(rows * channels) },
      dispatches: (of) => [
        convolveDispatch({
          slots: of('slots'),
          input: of('input'),
          weight: of('weight'),
          bias: of('bias'),
          state: of('state'),
          output: of('output'),
          ...sizes,
        }),
      ],
      expected,
      tolerance: ssmTolerance,
    };
  });

const stepCases = (random: Random): KernelCase[] =>
  [
    { rows: 1, heads: 1, headWidth: 1, states: 1, groups: 1 },
    { rows: 3, heads: 6, headWidth: 5, states: 17, groups: 2 },
    { rows: 5, heads: 2, headWidth: 64, states: 128, groups: 1 },
  ].map(({ rows, ...sizes }): KernelCase => {
    const { heads, headWidth, states, groups } = sizes;
    const inner = heads * headWidth;
    const channels = inner + 2 * groups * states;
    const slots = slotsOf(rows);
    const projected = normals(random, rows * (inner + channels + heads));
    const convolved = normals(random, rows * channels);
    const [aLog, skip, stepBias] = [normals(random, heads), normals(random, heads), normals(random, heads)];
    const state = normals(random, (rows + 1) * heads * states * headWidth);
    const expected = { state: toF64(state), output: new Float64Array(rows * inner) };
    for (let row = 0; row < rows; row++) {
      const own = projected.subarray(row * (inner + channels + heads));
      const inputs = convolved.subarray(row * channels, (row + 1) * channels);
      for (let head = 0; head < heads; head++) {
        const b = inner + Math.floor(head / (heads / groups)) * states;
        const place = (at(slots, row) * heads + head) * states * headWidth;
        const y = ssmStepTruth(expected.state.subarray(place, place + states * headWidth), {
          x: inputs.subarray(head * headWidth, (head + 1) * headWidth),
          b: inputs.subarray(b, b + states),
          c: inputs.subarray(b + groups * states, b + (groups + 1) * states),
          step: softplus(at(own, inner + channels + head) + at(stepBias, head)),
          aLog: at(aLog, head),
          skip: at(skip, head),
        });
        y.forEach((value, index) => {
          const column = head * headWidth + index;
          expected.output[row * inner + column] = value * silu(at(own, column));
        });
      }
    }
    return {
      kernel: step.name,
      title: `${rows} rows, ${heads} heads of ${headWidth} in ${groups} groups, ${states} states`,
      tensors: { slots, projected, convolved, aLog, skip, stepBias, state, output: new Float32Array(rows * inner) },
      dispatches: (of) => [
        ssmStepDispatch({
          slots: of('slots'),
          projected: of('projected'),
          convolved: of('convolved'),
          aLog: of('aLog'),
          skip: of('skip'),
          stepBias: of('stepBias'),
          state: of('state'),
          output: of('output'),
          rows,
          ...sizes,
        }),
      ],
      expected,
      tolerance: ssmTolerance,
    };
  });
