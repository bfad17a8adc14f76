/**
 * Which of ONNX's single-operator cases our kernels can express, and how; for every other case the reason why not. What is
 * only a matter of layout (a row of a bias repeated, a batch of products) is laid out here; what would need another
 * kernel is not pretended.
 */

import { embeddingDispatch, embeddingTruth } from '../../src/kernels/embedding.ts';
import { geluDispatch, geluTruth } from '../../src/kernels/gelu.ts';
import { columnSumDispatch, columnSumTruth } from '../../src/kernels/reduce-columns.ts';
import { reduceParts, squaredNormDispatches, squaredNormTruth, sumDispatches } from '../../src/kernels/reduce.ts';
import { siluGateDispatch, siluGateTruth } from '../../src/kernels/silu-gate.ts';
import { toF64 } from '../../src/kernels/test-case.ts';
import { at } from '../../src/kernels/truth.ts';
import { combineDispatch, combineTruth } from '../../src/kernels/vector.ts';
import { attentionForm, rotaryForm } from './onnx-attention.ts';
import type { Form, Golden } from './onnx-golden.ts';
import { adamForm, momentumForm } from './onnx-optimisers.ts';
import { gemmForm, matmulForm, matmulIntegerForm } from './onnx-products.ts';
import {
  argmaxForm,
  axisOf,
  crossEntropyForm,
  inputsOf,
  layerNormForm,
  missing,
  product,
  rmsNormForm,
  softmaxForm,
  theirs,
  topKForm,
} from './onnx-rows.ts';

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
  Momentum: momentumForm,
  TopK: topKForm,
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
