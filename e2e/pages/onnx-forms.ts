/**
 * Which of ONNX's single-operator cases our kernels can express, and how; for every other case the reason why not. What is
 * only a matter of layout (a row of a bias repeated, a batch of products) is laid out here; what would need another
 * kernel is not pretended.
 */

import { adamwDispatch, adamwTruth } from '../../src/kernels/adamw.ts';
import { crossEntropyDispatch, crossEntropyTruth, targetIgnored } from '../../src/kernels/cross-entropy.ts';
import { embeddingDispatch, embeddingTruth } from '../../src/kernels/embedding.ts';
import { geluDispatch, geluTruth } from '../../src/kernels/gelu.ts';
import { layerNormDispatch, layerNormTruth } from '../../src/kernels/layer-norm.ts';
import { columnSumDispatch, columnSumTruth } from '../../src/kernels/reduce-columns.ts';
import {
  reduceParts,
  squaredNormDispatches,
  squaredNormTruth,
  sumDispatches,
  sumTruth,
} from '../../src/kernels/reduce.ts';
import { rmsNormDispatch, rmsNormTruth } from '../../src/kernels/rms-norm.ts';
import { argmaxDispatch, argmaxTruth } from '../../src/kernels/sample.ts';
import { siluGateDispatch, siluGateTruth } from '../../src/kernels/silu-gate.ts';
import { softmaxDispatch, softmaxTruth } from '../../src/kernels/softmax.ts';
import { toF64 } from '../../src/kernels/test-case.ts';
import { at } from '../../src/kernels/truth.ts';
import { axpyDispatch, combineDispatch, combineTruth } from '../../src/kernels/vector.ts';
import { attentionForm, rotaryForm } from './onnx-attention.ts';
import type { Form, Golden, GoldenTensor } from './onnx-golden.ts';
import { gemmForm, matmulForm, matmulIntegerForm } from './onnx-products.ts';

/** The form in which we compute a case, or why we cannot. */
export function formOf(golden: Golden): Form | string {
  const form = forms[golden.op];
  if (form !== undefined) return form(golden);
  if (shapeOnly.has(golden.op)) return 'only the shape changes, and a tensor here is a buffer without one';
  return noKernel;
}

export const noKernel = 'no kernel of ours computes it';

const shapeOnly = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Identity']);

const forms: Readonly<Record<string, (golden: Golden) => Form | string>> = {
  MatMul: matmulForm,
  Gemm: gemmForm,
  MatMulInteger: matmulIntegerForm,
  Attention: attentionForm,
  RotaryEmbedding: rotaryForm,
  Softmax: softmaxForm,
  LayerNormalization: layerNormForm,
  RMSNormalization: rmsNormForm,
  Gelu: geluForm,
  Swish: swishForm,
  SoftmaxCrossEntropyLoss: crossEntropyForm,
  Adam: adamForm,
  ReduceSum: (golden) => reduceForm(golden, false),
  ReduceMean: (golden) => reduceForm(golden, true),
  ReduceSumSquare: sumSquareForm,
  Add: (golden) => combineForm(golden, 1),
  Sub: (golden) => combineForm(golden, -1),
  ArgMax: argmaxForm,
  Gather: gatherForm,
  QuantizeLinear: () => 'scale and zero point are given: our quantisers find their own',
  DequantizeLinear: () => 'a zero point, or words of 16 bits: our formats have neither',
  DynamicQuantizeLinear: () => 'scale and zero point of a whole tensor: our quantisers work in blocks or bins',
};

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const inputsOf = ({ node_inputs, inputs }: Golden): (GoldenTensor | undefined)[] =>
  node_inputs.map((name) => inputs[name]);

const theirs = ({ node_outputs, outputs }: Golden, index = 0): readonly number[] =>
  outputs[node_outputs[index] ?? '']?.data ?? [];

const axisOf = ({ attrs }: Golden, { shape }: GoldenTensor, otherwise: number): number => {
  const axis = Number(attrs['axis'] ?? otherwise);
  return axis < 0 ? axis + shape.length : axis;
};

const missing = 'an input is missing';
const notLast = 'an axis that is not the last: rows lie in one piece here';

function softmaxForm(golden: Golden): Form | string {
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

function layerNormForm(golden: Golden): Form | string {
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

function rmsNormForm(golden: Golden): Form | string {
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

function geluForm(golden: Golden): Form | string {
  const [x] = inputsOf(golden);
  if (x === undefined) return missing;
  const form = golden.attrs['approximate'] === 'tanh' ? 'tanh' : 'erf';
  const count = x.data.length;
  return {
    kernel: 'gelu',
    tensors: { input: Float32Array.from(x.data), output: new Float32Array(count) },
    dispatches: (tensor) => [geluDispatch({ input: tensor('input'), output: tensor('output'), count, form })],
    outputs: { output: { ours: geluTruth(toF64(x.data), form), theirs: theirs(golden) } },
  };
}

/** x * sigmoid(x) is a gate whose other half is 1. */
function swishForm(golden: Golden): Form | string {
  const [x] = inputsOf(golden);
  if (x === undefined) return missing;
  if (Number(golden.attrs['alpha'] ?? 1) !== 1) return 'a slope other than 1';
  const ones = x.data.map(() => 1);
  const count = x.data.length;
  return {
    kernel: 'silu_gate',
    tensors: { gateUp: Float32Array.from([...x.data, ...ones]), output: new Float32Array(count) },
    dispatches: (tensor) => [
      siluGateDispatch({ gateUp: tensor('gateUp'), output: tensor('output'), rows: 1, hidden: count }),
    ],
    outputs: { output: { ours: siluGateTruth(toF64(x.data), toF64(ones)), theirs: theirs(golden) } },
  };
}

function crossEntropyForm(golden: Golden): Form | string {
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

/** Without a correction of the moments' beginning, as at a step so late that it is 1; the decay is added to the gradient. */
function adamForm(golden: Golden): Form | string {
  const names = golden.node_inputs;
  const [rate, time] = inputsOf(golden);
  if (rate === undefined || time === undefined) return missing;
  if (at(time.data, 0) !== 0) return 'a rate that is corrected by the step';
  const tensorsOf = (first: number): number[] => {
    const each = (names.length - 2) / 4;
    return names
      .slice(2 + first * each, 2 + (first + 1) * each)
      .flatMap((name) => [...(golden.inputs[name]?.data ?? [])]);
  };
  const [values, slopes, means, squares] = [tensorsOf(0), tensorsOf(1), tensorsOf(2), tensorsOf(3)];
  const number = (name: string): number => Number(golden.attrs[name] ?? 0);
  const decay = number('norm_coefficient');
  const numbers = {
    learningRate: at(rate.data, 0),
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
  const outputs = golden.node_outputs.length / 3;
  const expected = (first: number): number[] =>
    Array.from({ length: outputs }, (_, index) => [...theirs(golden, first * outputs + index)]).flat();
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

/** The sum or mean over one axis, as sums of columns for each index before it; over all, as a sum of everything. */
function reduceForm(golden: Golden, isMean: boolean): Form | string {
  const [x, axes] = inputsOf(golden);
  if (x === undefined) return missing;
  const given = axes?.data ?? [];
  if (given.length === 0 && golden.attrs['noop_with_empty_axes'] === 1) return 'nothing is asked for';
  if (x.data.length === 0) return 'an empty tensor: a buffer has at least one element';
  if (given.length > 1) return 'several axes at once';
  const [first] = given;
  const axis = first === undefined ? 0 : first < 0 ? first + x.shape.length : first;
  const width = first === undefined ? 1 : product(x.shape.slice(axis + 1));
  const rows = first === undefined ? x.data.length : at(x.shape, axis);
  const pieces = x.data.length / (rows * width);
  const count = pieces * width;
  const scale = isMean ? 1 / rows : 1;
  const values = toF64(x.data);
  const ours = new Float64Array(count);
  for (let piece = 0; piece < pieces; piece++) {
    const own = values.subarray(piece * rows * width, (piece + 1) * rows * width);
    ours.set(
      columnSumTruth(own, width).map((sum) => sum * scale),
      piece * width,
    );
  }
  return {
    kernel: first === undefined ? 'reduce.sum' : 'column_sum',
    tensors: {
      values: Float32Array.from(x.data),
      scratch: new Float32Array(reduceParts),
      sums: new Float32Array(count),
      output: new Float32Array(count),
    },
    dispatches: (tensor) => {
      const sums = tensor('sums');
      const summed =
        first === undefined
          ? sumDispatches({ values: tensor('values'), scratch: tensor('scratch'), output: sums, count: rows })
          : Array.from({ length: pieces }, (_, piece) =>
              columnSumDispatch({
                values: tensor('values', piece * rows * width),
                output: tensor('sums', piece * width),
                rows,
                width,
              }),
            );
      const scaled = { left: sums, right: sums, output: tensor('output'), count, leftScale: scale, rightScale: 0 };
      return [...summed, combineDispatch(scaled)];
    },
    outputs: { output: { ours, theirs: theirs(golden) } },
  };
}

function sumSquareForm(golden: Golden): Form | string {
  const [x, axes] = inputsOf(golden);
  if (x === undefined) return missing;
  if (x.data.length === 0) return 'an empty tensor: a buffer has at least one element';
  if ((axes?.data ?? []).length > 0) return 'squares along an axis: ours are of a whole tensor';
  return {
    kernel: 'reduce.sum_of_squares',
    tensors: {
      values: Float32Array.from(x.data),
      scratch: new Float32Array(reduceParts),
      output: new Float32Array(1),
    },
    dispatches: (tensor) =>
      squaredNormDispatches({
        values: tensor('values'),
        scratch: tensor('scratch'),
        output: tensor('output'),
        count: x.data.length,
      }),
    outputs: { output: { ours: Float64Array.of(squaredNormTruth(toF64(x.data))), theirs: theirs(golden) } },
  };
}

function combineForm(golden: Golden, rightScale: number): Form | string {
  const [x, y] = inputsOf(golden);
  if (x === undefined || y === undefined) return missing;
  if (x.dtype !== 'f32') return 'integers';
  if (x.data.length !== y.data.length) return 'an operand that is repeated along an axis';
  const count = x.data.length;
  const ours = combineTruth(toF64(x.data), toF64(y.data), 1, rightScale);
  return {
    kernel: 'combine',
    tensors: { left: Float32Array.from(x.data), right: Float32Array.from(y.data), output: new Float32Array(count) },
    dispatches: (tensor) => [
      combineDispatch({
        left: tensor('left'),
        right: tensor('right'),
        output: tensor('output'),
        count,
        rightScale,
      }),
    ],
    outputs: { output: { ours, theirs: theirs(golden) } },
  };
}

function argmaxForm(golden: Golden): Form | string {
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

function gatherForm(golden: Golden): Form | string {
  const [x, y] = inputsOf(golden);
  if (x === undefined || y === undefined) return missing;
  if (axisOf(golden, x, 0) !== 0) return 'an axis that is not the first: ours takes rows';
  if (y.data.some((index) => index < 0)) return 'indices that count from the end';
  const width = product(x.shape.slice(1));
  const rows = y.data.length;
  const tokens = Uint32Array.from(y.data);
  return {
    kernel: 'embedding',
    tensors: { tokens, table: Float32Array.from(x.data), output: new Float32Array(rows * width) },
    dispatches: (tensor) => [
      embeddingDispatch({
        tokens: tensor('tokens'),
        table: tensor('table'),
        output: tensor('output'),
        rows,
        width,
        vocabulary: at(x.shape, 0),
      }),
    ],
    outputs: { output: { ours: embeddingTruth(tokens, toF64(x.data), width), theirs: theirs(golden) } },
  };
}
