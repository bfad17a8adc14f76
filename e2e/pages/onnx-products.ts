/** ONNX's matrix products in the forms of our kernels: batches as one product each, a bias as bias or as residual. */

import { exactMatmul } from '../../src/kernels/exact.ts';
import { matmulDispatch, matmulTruth } from '../../src/kernels/matmul.ts';
import { toF64 } from '../../src/kernels/test-case.ts';
import { at } from '../../src/kernels/truth.ts';
import { combineDispatch } from '../../src/kernels/vector.ts';
import type { Form, Golden } from './onnx-golden.ts';

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

export function matmulForm({ node_inputs, node_outputs, inputs, outputs }: Golden): Form | string {
  const [a, b] = node_inputs.map((name) => inputs[name]);
  if (a === undefined || b === undefined) return 'an input is missing';
  // A vector is a row on the left and a column on the right.
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [rows, inner, columns] = [at(left, left.length - 2), at(left, left.length - 1), at(right, right.length - 1)];
  const [leftBatch, rightBatch] = [left.slice(0, -2), right.slice(0, -2)];
  const [leftCount, rightCount] = [product(leftBatch), product(rightBatch)];
  const batch = Math.max(leftCount, rightCount);
  // A batch of the same shape, or one that is repeated as a whole, is all that the cases have.
  if (batch % leftCount !== 0 || batch % rightCount !== 0) return 'a batch that is repeated along a middle axis';
  const places = Array.from({ length: batch }, (_, index) => ({
    left: (index % leftCount) * rows * inner,
    right: (index % rightCount) * inner * columns,
    output: index * rows * columns,
  }));
  const sizes = { rows, columns, inner };
  const ours = new Float64Array(batch * rows * columns);
  for (const place of places) {
    const own = toF64(a.data).subarray(place.left, place.left + rows * inner);
    const other = toF64(b.data).subarray(place.right, place.right + inner * columns);
    ours.set(matmulTruth('NN', own, other, sizes), place.output);
  }
  return {
    kernel: 'matmul',
    tensors: {
      left: Float32Array.from(a.data),
      right: Float32Array.from(b.data),
      output: new Float32Array(ours.length),
    },
    dispatches: (tensor) =>
      places.map((place) =>
        matmulDispatch({
          form: 'NN',
          left: tensor('left', place.left),
          right: tensor('right', place.right),
          output: tensor('output', place.output),
          ...sizes,
        }),
      ),
    outputs: { output: { ours, theirs: outputs[node_outputs[0] ?? '']?.data ?? [] } },
  };
}

/** y = alpha * a b + beta * c: a bias where both are 1 and c is a row, else a product that is combined with c in full. */
export function gemmForm({ attrs, node_inputs, node_outputs, inputs, outputs }: Golden): Form | string {
  const [a, b, c] = node_inputs.map((name) => inputs[name]);
  if (a === undefined || b === undefined) return 'an input is missing';
  const [turnLeft, turnRight] = [attrs['transA'] === 1, attrs['transB'] === 1];
  if (turnLeft && turnRight) return 'both operands transposed';
  const form = turnLeft ? 'TN' : turnRight ? 'NT' : 'NN';
  const [rows, inner] = turnLeft ? [at(a.shape, 1), at(a.shape, 0)] : [at(a.shape, 0), at(a.shape, 1)];
  const columns = at(b.shape, turnRight ? 0 : 1);
  const sizes = { rows, columns, inner };
  const [alpha, beta] = [Number(attrs['alpha'] ?? 1), Number(attrs['beta'] ?? 1)];
  const repeated = (index: number): number => {
    if (c === undefined) return 0;
    const [high = 1, wide = 1] = c.shape.length === 2 ? c.shape : [1, c.shape[0] ?? 1];
    const row = high === 1 ? 0 : Math.floor(index / columns);
    return at(c.data, row * wide + (wide === 1 ? 0 : index % columns));
  };
  const full = Float64Array.from({ length: rows * columns }, (_, index) => repeated(index));
  const isBias =
    alpha === 1 &&
    beta === 1 &&
    c !== undefined &&
    product(c.shape) === columns &&
    at(c.shape, c.shape.length - 1) === columns;
  const plain = matmulTruth(form, toF64(a.data), toF64(b.data), sizes);
  const ours = plain.map((value, index) => alpha * value + beta * at(full, index));
  return {
    kernel: 'matmul',
    tensors: {
      left: Float32Array.from(a.data),
      right: Float32Array.from(b.data),
      bias: Float32Array.from(full.subarray(0, columns)),
      full: Float32Array.from(full),
      plain: new Float32Array(rows * columns),
      output: new Float32Array(rows * columns),
    },
    dispatches: (tensor) => {
      const of = { form, left: tensor('left'), right: tensor('right'), ...sizes } as const;
      if (isBias) return [matmulDispatch({ ...of, output: tensor('output'), bias: tensor('bias') })];
      const scales = { leftScale: alpha, rightScale: beta };
      return [
        matmulDispatch({ ...of, output: tensor('plain') }),
        combineDispatch({
          left: tensor('plain'),
          right: tensor('full'),
          output: tensor('output'),
          count: rows * columns,
          ...scales,
        }),
      ];
    },
    outputs: { output: { ours, theirs: outputs[node_outputs[0] ?? '']?.data ?? [] } },
  };
}

/** The zero points are taken off where the operands are laid out; the products and sums are the exact family's. */
export function matmulIntegerForm({ node_inputs, node_outputs, inputs, outputs }: Golden): Form | string {
  const [a, b, aZero, bZero] = node_inputs.map((name) => inputs[name]);
  if (a === undefined || b === undefined) return 'an input is missing';
  if ((aZero?.data.length ?? 0) > 1 || (bZero?.data.length ?? 0) > 1) return 'a zero point for each row';
  const [rows = 0, inner = 0] = a.shape;
  const columns = at(b.shape, 1);
  const left = Int32Array.from(a.data, (value) => value - (aZero?.data[0] ?? 0));
  const right = Int32Array.from(b.data, (value) => value - (bZero?.data[0] ?? 0));
  const operation = exactMatmul({
    left: { name: 'left', outerStride: inner, innerStride: 1 },
    right: { name: 'right', outerStride: 1, innerStride: columns },
    output: { name: 'output' },
    rows,
    columns,
    inner,
  });
  const words = (values: Int32Array): Uint32Array => Uint32Array.from(values, (value) => value >>> 0);
  return {
    kernel: 'exact_matmul',
    tensors: { left: words(left), right: words(right), output: new Uint32Array(rows * columns) },
    dispatches: (tensor) => [operation.dispatch((name) => tensor(name))],
    outputs: {
      output: {
        ours: matmulTruth('NN', toF64(left), toF64(right), { rows, columns, inner }),
        theirs: outputs[node_outputs[0] ?? '']?.data ?? [],
      },
    },
  };
}
