/**
 * What a problem's output is, in f64 on the CPU. Of large products some rows are computed and the rest is left to the
 * comparison between contenders, so that a benchmark does not spend its time here.
 */

import { at } from '../../src/kernels/truth.ts';
import { gradientTruth } from '../../src/models/llama-gradient-truth.ts';
import { checkedSteps, type Matmul, type Problem, type Q4Matvec, type Train, blockSize } from './problem.ts';

/** Elements of the output by index; the others are not known. */
export interface Truth {
  readonly indices: readonly number[];
  readonly values: readonly number[];
}

/** Products of more rows than this are held against the truth on as many, spread over the matrix, the last one too. */
const rowsMax = 48;

/** A CPU would take minutes for larger steps; those are held against other contenders alone. */
const trainingFlopsMax = 1e10;

export function truthOf({ operation, bound }: Problem): Truth {
  switch (operation.kind) {
    case 'matmul':
      return byRows(operation.rows, operation.columns, matmulRow(operation));
    case 'matvec': {
      const { rows, inner, weights, vector } = operation;
      return byRows(rows, 1, (row) => [dot(inner, (index) => at(weights, row * inner + index) * at(vector, index))]);
    }
    case 'q4matvec':
      return byRows(operation.rows, 1, q4Row(operation));
    case 'softmax': {
      const { rows, width, input } = operation;
      return byRows(rows, width, (row) => {
        const values = rowOf(input, row, width);
        const largest = Math.max(...values);
        const powers = values.map((value) => Math.exp(value - largest));
        const sum = dot(width, (index) => at(powers, index));
        return powers.map((power) => power / sum);
      });
    }
    case 'layernorm': {
      const { rows, width, input, gain, bias, epsilon } = operation;
      return byRows(rows, width, (row) => {
        const values = rowOf(input, row, width);
        const mean = dot(width, (index) => at(values, index)) / width;
        const variance = dot(width, (index) => (at(values, index) - mean) ** 2) / width;
        return values.map(
          (value, index) => ((value - mean) / Math.sqrt(variance + epsilon)) * at(gain, index) + at(bias, index),
        );
      });
    }
    case 'train': {
      if (bound.amount > trainingFlopsMax) return { indices: [], values: [] };
      const values = trainingLosses(operation);
      return { indices: values.map((_, index) => index), values };
    }
  }
}

function byRows(rows: number, columns: number, rowAt: (row: number) => readonly number[]): Truth {
  const count = Math.min(rows, rowsMax);
  const chosen = Array.from({ length: count }, (_, index) => Math.round((index * (rows - 1)) / Math.max(1, count - 1)));
  return {
    indices: chosen.flatMap((row) => Array.from({ length: columns }, (_, column) => row * columns + column)),
    values: chosen.flatMap(rowAt),
  };
}

const rowOf = (values: Float32Array, row: number, width: number): number[] =>
  Array.from(values.subarray(row * width, (row + 1) * width));

function dot(count: number, termAt: (index: number) => number): number {
  let sum = 0;
  for (let index = 0; index < count; index++) sum += termAt(index);
  return sum;
}

const matmulRow =
  ({ columns, inner, left, right }: Matmul) =>
  (row: number): number[] => {
    const sums = new Float64Array(columns);
    for (let index = 0; index < inner; index++) {
      const value = at(left, row * inner + index);
      for (let column = 0; column < columns; column++) {
        sums[column] = at(sums, column) + value * at(right, index * columns + column);
      }
    }
    return Array.from(sums);
  };

const q4Row =
  ({ inner, quants, scales, vector }: Q4Matvec) =>
  (row: number): number[] => [
    dot(inner, (index) => {
      const place = row * inner + index;
      return (at(quants, place) - 8) * at(scales, Math.floor(place / blockSize)) * at(vector, index);
    }),
  ];

/** The losses before each of the first steps of Adam (Kingma and Ba, 2015), with the optimiser's constant rate. */
function trainingLosses({ config, batch, optimizer, parameters, inputs, targets }: Train): number[] {
  const { learningRate, betas, epsilon } = optimizer;
  const [beta1, beta2] = betas;
  const vector = Float64Array.from(parameters);
  const first = new Float64Array(vector.length);
  const second = new Float64Array(vector.length);
  return Array.from({ length: checkedSteps }, (_, index) => {
    const { loss, gradient } = gradientTruth(config, vector, { inputs, targets, batch, length: config.context });
    const step = index + 1;
    for (let place = 0; place < vector.length; place++) {
      const slope = at(gradient, place);
      const one = beta1 * at(first, place) + (1 - beta1) * slope;
      const two = beta2 * at(second, place) + (1 - beta2) * slope * slope;
      first[place] = one;
      second[place] = two;
      const root = Math.sqrt(two / (1 - beta2 ** step)) + epsilon;
      vector[place] = at(vector, place) - (learningRate * one) / (1 - beta1 ** step) / root;
    }
    return loss;
  });
}
