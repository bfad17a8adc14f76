/** ONNX's operators over the last axis in the forms of our row kernels: softmax, norms, losses, choices. */

import { crossEntropyDispatch, crossEntropyTruth, targetIgnored } from '../../src/kernels/cross-entropy.ts';
import { layerNormDispatch, layerNormTruth } from '../../src/kernels/layer-norm.ts';
import { reduceParts, sumDispatches, sumTruth } from '../../src/kernels/reduce.ts';
import { rmsNormDispatch, rmsNormTruth } from '../../src/kernels/rms-norm.ts';
import { argmaxDispatch, argmaxTruth } from '../../src/kernels/sample.ts';
import { softmaxDispatch, softmaxTruth } from '../../src/kernels/softmax.ts';
import { toF64 } from '../../src/kernels/test-case.ts';
import { topKDispatch, topKTruth } from '../../src/kernels/top-k.ts';
import { at } from '../../src/kernels/truth.ts';
import { combineDispatch } from '../../src/kernels/vector.ts';
import type { Form, Golden, GoldenTensor } from './onnx-golden.ts';

export const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export const inputsOf = ({ node_inputs, inputs }: Golden): (GoldenTensor | undefined)[] =>
  node_inputs.map((name) => inputs[name]);

export const theirs = ({ node_outputs, outputs }: Golden, index = 0): readonly number[] =>
  outputs[node_outputs[index] ?? '']?.data ?? [];

export const axisOf = ({ attrs }: Golden, { shape }: GoldenTensor, otherwise: number): number => {
  const axis = Number(attrs['axis'] ?? otherwise);
  return axis < 0 ? axis + shape.length : axis;
};

export const missing = 'an input is missing';
export const notLast = 'an axis that is not the last: rows lie in one piece here';

export function softmaxForm(golden: Golden): Form | string {
  const [x] = inputsOf(golden);
  if (x === undefined) return missing;
  if (axisOf(golden, x, -1) !== x.shape.length - 1) return notLast;
  const width = at(x.shape, x.shape.length - 1);
  const rows = x.data.length / width;
  return {
    kernel: 'softmax',
    tensors: { input: Float32Array.from(x.data), output: new Float32Array(x.data.length) },
    dispatches: (tensor) => [softmaxDispatch({ input: tensor('input'), output: tensor('output'), rows, width })],
    outputs: { output: { ours: softmaxTruth(toF64(x.data), width), theirs: theirs(golden) } },
  };
}

export function layerNormForm(golden: Golden): Form | string {
  const [x, w, b] = inputsOf(golden);
  if (x === undefined || w === undefined) return missing;
  const width = product(x.shape.slice(axisOf(golden, x, -1)));
  const rows = x.data.length / width;
  const epsilon = Number(golden.attrs['epsilon'] ?? 1e-5);
  const bias = b?.data ?? w.data.map(() => 0);
  const truth = layerNormTruth(toF64(x.data), toF64(w.data), toF64(bias), epsilon);
  return {
    kernel: 'layer_norm',
    tensors: {
      input: Float32Array.from(x.data),
      weight: Float32Array.from(w.data),
      bias: Float32Array.from(bias),
      output: new Float32Array(x.data.length),
      mean: new Float32Array(rows),
      inverseDeviation: new Float32Array(rows),
    },
    dispatches: (tensor) => [
      layerNormDispatch({
        input: tensor('input'),
        weight: tensor('weight'),
        bias: tensor('bias'),
        output: tensor('output'),
        mean: tensor('mean'),
        inverseDeviation: tensor('inverseDeviation'),
        rows,
        width,
        epsilon,
      }),
    ],
    outputs: {
      output: { ours: truth.output, theirs: theirs(golden) },
      mean: { ours: truth.mean, theirs: theirs(golden, 1) },
      inverseDeviation: { ours: truth.inverseDeviation, theirs: theirs(golden, 2) },
    },
  };
}

export function rmsNormForm(golden: Golden): Form | string {
  const [x, w] = inputsOf(golden);
  if (x === undefined || w === undefined) return missing;
  const width = product(x.shape.slice(axisOf(golden, x, -1)));
  if (w.data.length !== width) return 'a weight that is repeated along an axis';
  const rows = x.data.length / width;
  const epsilon = Number(golden.attrs['epsilon'] ?? 1e-5);
  return {
    kernel: 'rms_norm',
    tensors: {
      input: Float32Array.from(x.data),
      weight: Float32Array.from(w.data),
      output: new Float32Array(x.data.length),
      inverseRms: new Float32Array(rows),
    },
    dispatches: (tensor) => [
      rmsNormDispatch({
        input: tensor('input'),
        weight: tensor('weight'),
        output: tensor('output'),
        inverseRms: tensor('inverseRms'),
        rows,
        width,
        epsilon,
      }),
    ],
    outputs: {
      output: { ours: rmsNormTruth(toF64(x.data), toF64(w.data), epsilon).output, theirs: theirs(golden) },
    },
  };
}

export function crossEntropyForm(golden: Golden): Form | string {
  const [x, y, weights] = inputsOf(golden);
  if (x === undefined || y === undefined) return missing;
  if (weights !== undefined) return 'a weight for each class';
  if (x.shape.length !== 2) return 'classes on an axis that is not the last: rows lie in one piece here';
  const [rows = 0, vocabulary = 0] = x.shape;
  const ignored = golden.attrs['ignore_index'];
  const targets = Uint32Array.from(y.data, (target) => (target === ignored ? targetIgnored : target));
  const { losses } = crossEntropyTruth(toF64(x.data), targets, 1);
  const reduction = golden.attrs['reduction'] ?? 'mean';
  const counted = reduction === 'mean' ? targets.filter((target) => target !== targetIgnored).length : 1;
  const result =
    reduction === 'none'
      ? { losses: { ours: losses, theirs: theirs(golden) } }
      : { output: { ours: Float64Array.of(sumTruth(losses) / counted), theirs: theirs(golden) } };
  return {
    kernel: 'cross_entropy',
    tensors: {
      logits: Float32Array.from(x.data),
      targets,
      losses: new Float32Array(rows),
      scratch: new Float32Array(reduceParts),
      sum: new Float32Array(1),
      output: new Float32Array(1),
    },
    dispatches: (tensor) => {
      const [own, sum, output] = [tensor('losses'), tensor('sum'), tensor('output')];
      const from = { targets: tensor('targets'), logits: tensor('logits'), losses: own };
      return [
        crossEntropyDispatch({ ...from, rows, vocabulary, gradientScale: 1 }),
        ...sumDispatches({ values: own, scratch: tensor('scratch'), output: sum, count: rows }),
        combineDispatch({ left: sum, right: sum, output, count: 1, leftScale: 1 / counted, rightScale: 0 }),
      ];
    },
    outputs: result,
  };
}

export function argmaxForm(golden: Golden): Form | string {
  const [x] = inputsOf(golden);
  if (x === undefined) return missing;
  if (axisOf(golden, x, 0) !== x.shape.length - 1) return notLast;
  if (golden.attrs['select_last_index'] === 1) return 'the last of equals: ours takes the first';
  const width = at(x.shape, x.shape.length - 1);
  const rows = x.data.length / width;
  const ours = Float64Array.from({ length: rows }, (_, row) =>
    argmaxTruth(x.data.slice(row * width, (row + 1) * width)),
  );
  return {
    kernel: 'argmax',
    tensors: { values: Float32Array.from(x.data), indices: new Uint32Array(rows) },
    dispatches: (tensor) => [argmaxDispatch({ values: tensor('values'), indices: tensor('indices'), rows, width })],
    outputs: { indices: { ours, theirs: theirs(golden) } },
  };
}

/** Ours chooses by magnitude, which is by value where nothing is negative. */
export function topKForm(golden: Golden): Form | string {
  const [x, count] = inputsOf(golden);
  if (x === undefined || count === undefined) return missing;
  if (x.dtype !== 'f32') return 'integers';
  if (axisOf(golden, x, -1) !== x.shape.length - 1) return notLast;
  if (golden.attrs['largest'] === 0) return 'the smallest: ours takes the largest magnitudes';
  if (x.data.some((value) => value < 0)) return 'negative values: ours chooses by magnitude';
  const size = at(x.shape, x.shape.length - 1);
  const sizes = { chunks: x.data.length / size, size, k: at(count.data, 0) };
  const { indices, chosen } = topKTruth(Float32Array.from(x.data), sizes);
  return {
    kernel: 'top_k',
    tensors: {
      values: Float32Array.from(x.data),
      indices: new Uint32Array(indices.length),
      chosen: new Float32Array(chosen.length),
    },
    dispatches: (tensor) => [
      topKDispatch({ values: tensor('values'), indices: tensor('indices'), chosen: tensor('chosen'), ...sizes }),
    ],
    outputs: {
      chosen: { ours: toF64(chosen), theirs: theirs(golden) },
      indices: { ours: toF64(indices), theirs: theirs(golden, 1) },
    },
  };
}
