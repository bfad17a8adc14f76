/**
 * ONNX's Adam and Momentum in the forms of our optimisers, which step over one flat buffer: a case's several tensors are laid
 * one after another. ONNX adds the decay to the gradient, and leaves the first step uncorrected.
 */

import { adamwDispatch, adamwTruth } from '../../src/kernels/adamw.ts';
import { sgdDispatch, sgdTruth } from '../../src/kernels/sgd.ts';
import { toF64 } from '../../src/kernels/test-case.ts';
import { at } from '../../src/kernels/truth.ts';
import { axpyDispatch } from '../../src/kernels/vector.ts';
import type { Form, Golden } from './onnx-golden.ts';

/** Inputs are rate, step, then of each kind of tensor (values, gradients, states) as many as there are parameters. */
function partsOf({ node_inputs, node_outputs, inputs, outputs, attrs }: Golden, kinds: number) {
  const each = (node_inputs.length - 2) / kinds;
  const join = (names: readonly string[], of: Golden['inputs']): number[] =>
    names.flatMap((name) => [...(of[name]?.data ?? [])]);
  const first = (index: number): number => inputs[node_inputs[index] ?? '']?.data[0] ?? NaN;
  return {
    rate: first(0),
    step: first(1),
    input: (kind: number): number[] => join(node_inputs.slice(2 + kind * each, 2 + (kind + 1) * each), inputs),
    expected: (kind: number): number[] => join(node_outputs.slice(kind * each, (kind + 1) * each), outputs),
    number: (name: string): number => Number(attrs[name] ?? 0),
  };
}

const corrected = 'a rate that is corrected by the step';

/** Without a correction of the moments' beginning, as at a step so late that it is 1; the decay is added to the gradient. */
export function adamForm(golden: Golden): Form | string {
  const { rate, step, input, expected, number } = partsOf(golden, 4);
  if (step !== 0) return corrected;
  const [values, slopes, means, squares] = [input(0), input(1), input(2), input(3)];
  const decay = number('norm_coefficient');
  const numbers = {
    learningRate: rate,
    beta1: number('alpha'),
    beta2: number('beta'),
    epsilon: number('epsilon'),
    weightDecay: 0,
    step: 1e9,
  };
  const state = {
    parameters: toF64(values),
    gradients: toF64(slopes.map((slope, index) => slope + decay * at(values, index))),
    firstMoments: toF64(means),
    secondMoments: toF64(squares),
  };
  const truth = adamwTruth(state, { ...numbers, squaredNorm: 0, decayCount: 0 });
  const count = values.length;
  return {
    kernel: 'adamw',
    tensors: {
      parameters: Float32Array.from(values),
      gradients: Float32Array.from(slopes),
      firstMoments: Float32Array.from(means),
      secondMoments: Float32Array.from(squares),
      squaredNorm: new Float32Array(1),
    },
    dispatches: (tensor) => [
      axpyDispatch({ x: tensor('parameters'), y: tensor('gradients'), count, xScale: decay }),
      adamwDispatch({
        parameters: tensor('parameters'),
        gradients: tensor('gradients'),
        firstMoments: tensor('firstMoments'),
        secondMoments: tensor('secondMoments'),
        squaredNorm: tensor('squaredNorm'),
        count,
        ...numbers,
      }),
    ],
    outputs: {
      parameters: { ours: truth.parameters, theirs: expected(0) },
      firstMoments: { ours: truth.firstMoments, theirs: expected(1) },
      secondMoments: { ours: truth.secondMoments, theirs: expected(2) },
    },
  };
}

/** SGD with momentum, plain or Nesterov's. */
export function momentumForm(golden: Golden): Form | string {
  const { rate, step, input, expected, number } = partsOf(golden, 3);
  if (step !== 0) return corrected;
  const [values, slopes, momenta] = [input(0), input(1), input(2)];
  const numbers = {
    learningRate: rate,
    momentum: number('alpha'),
    nesterov: golden.attrs['mode'] === 'nesterov',
    weightDecay: number('norm_coefficient'),
  };
  const count = values.length;
  const state = { parameters: toF64(values), gradients: toF64(slopes), momenta: toF64(momenta) };
  const truth = sgdTruth(state, { ...numbers, squaredNorm: 0, decayCount: count });
  return {
    kernel: 'sgd',
    tensors: {
      parameters: Float32Array.from(values),
      gradients: Float32Array.from(slopes),
      momenta: Float32Array.from(momenta),
      squaredNorm: new Float32Array(1),
    },
    dispatches: (tensor) => [
      sgdDispatch({
        parameters: tensor('parameters'),
        gradients: tensor('gradients'),
        momenta: tensor('momenta'),
        squaredNorm: tensor('squaredNorm'),
        count,
        ...numbers,
      }),
    ],
    outputs: {
      parameters: { ours: truth.parameters, theirs: expected(0) },
      momenta: { ours: truth.momenta, theirs: expected(1) },
    },
  };
}
