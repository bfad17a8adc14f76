/**
 * The exact family: integer operations whose bits are equal on every adapter, because integer addition is associative and
 * integer division is defined to the last bit (algorithms of the RepOps kind, "variant I": int8 products summed in i32,
 * scaling by multiply and shift, softmax by a table, integer square root). An operation names its tensors; it gives the
 * dispatch for a GPU and the same computation in TypeScript for whoever referees. Tables are `exact-tables.ts`.
 */

import { assert } from '../core/assert.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { addWhole, integerRoot, powerOfTwo, roundHalfAway, scaled, wholeAt } from './exact-arithmetic.ts';

/** A tensor of i32 by name, from element `offset` on; default 0. */
export interface ExactTensor {
  readonly name: string;
  readonly offset?: number;
}

/** One exact operation, ready for a GPU and for a CPU. */
export interface ExactOperation {
  readonly kernel: string;
  /** The tensor that it writes. */
  readonly output: string;
  dispatch(tensor: (name: string) => Tensor): Dispatch;
  /** Does the same to these vectors. */
  compute(tensor: (name: string) => Int32Array): void;
}

/** Scaling by `multiplier / 2^shift`: multiplier below 2^15, shift from 17 to 30. */
export interface ExactScale {
  readonly multiplier: number;
  readonly shift: number;
}

/** The nearest scale to a factor below 4 and above 2^-29. */
export function exactScale(factor: number): ExactScale {
  for (let shift = 30; shift >= 17; shift--) {
    const multiplier = Math.round(factor * powerOfTwo(shift));
    if (multiplier > 0 && multiplier < 32768) return { multiplier, shift };
  }
  throw new RangeError(`an exact scale lies between 2^-30 and 0.25, and ${factor} does not`);
}

const matmul = defineKernel({
  shader: 'exact_matmul',
  tensors: ['left:i32', 'right:i32', '>output:i32'],
  numbers: [
    'rows',
    'columns',
    'inner',
    'left_row_stride',
    'left_inner_stride',
    'right_inner_stride',
    'right_column_stride',
    'output_row_stride',
    'accumulate',
  ],
});
const requantiseTensors = ['input:i32', 'other:i32', '>output:i32'] as const;
const requantiseNumbers = ['count', 'multiplier', 'shift', 'bound', 'negate'] as const;
const scaling = (entryPoint: string) =>
  defineKernel({ shader: 'exact_requantise', entryPoint, tensors: requantiseTensors, numbers: requantiseNumbers });
const requantise = scaling('main');
const update = scaling('update');
const product = scaling('product');
const table = defineKernel({
  shader: 'exact_table',
  tensors: ['input:i32', 'table:i32', '>output:i32'],
  numbers: ['count'],
});
const softmax = defineKernel({
  shader: 'exact_softmax',
  tensors: ['logits:i32', 'table:i32', 'targets:i32', '>output:i32'],
  numbers: ['rows', 'columns', 'multiplier', 'shift', 'causal', 'gradient'],
});
const norm = defineKernel({
  shader: 'exact_rms_norm',
  tensors: ['input:i32', 'gain:i32', '>output:i32'],
  numbers: ['rows', 'width'],
});
const gatherTensors = ['tokens:i32', 'input:i32', '>output:i32'] as const;
const gatherNumbers = ['rows', 'width', 'vocabulary'] as const;
const gather = defineKernel({ shader: 'exact_gather', tensors: gatherTensors, numbers: gatherNumbers });
const gatherGradient = defineKernel({
  shader: 'exact_gather',
  entryPoint: 'gradient',
  tensors: gatherTensors,
  numbers: gatherNumbers,
});

export const exactKernels = [matmul, requantise, update, product, table, softmax, norm, gather, gatherGradient];

/** How an operand of a product is stored: elements between two rows (of the product) and between two inner steps. */
export interface ExactOperand extends ExactTensor {
  readonly outerStride: number;
  readonly innerStride: number;
}

/**
 * output [rows, columns] = left x right, or added to it; wraps around at 32 bits. Bytes stay exact up to an inner of
 * 133,152, as 133,152 * 127 * 127 < 2^31.
 */
export function exactMatmul(of: {
  readonly left: ExactOperand;
  readonly right: ExactOperand;
  readonly output: ExactTensor;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  /** Elements between two rows of the output; default `columns`. */
  readonly outputRowStride?: number;
  readonly accumulate?: boolean;
}): ExactOperation {
  const { left, right, output, rows, columns, inner, outputRowStride = columns, accumulate = false } = of;
  return {
    kernel: matmul.name,
    output: output.name,
    dispatch: (tensor) =>
      dispatchOf(
        matmul,
        { left: placed(tensor, left), right: placed(tensor, right), output: placed(tensor, output) },
        {
          rows,
          columns,
          inner,
          left_row_stride: left.outerStride,
          left_inner_stride: left.innerStride,
          right_inner_stride: right.innerStride,
          right_column_stride: right.outerStride,
          output_row_stride: outputRowStride,
          accumulate: accumulate ? 1 : 0,
        },
        elementGrid(rows * columns),
      ),
    compute: (tensor) => {
      const [a, b, to] = [view(tensor, left), view(tensor, right), view(tensor, output)];
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          let sum = 0;
          for (let step = 0; step < inner; step++) {
            const from = wholeAt(a, row * left.outerStride + step * left.innerStride);
            sum = addWhole(sum, Math.imul(from, wholeAt(b, column * right.outerStride + step * right.innerStride)));
          }
          const place = row * outputRowStride + column;
          to[place] = accumulate ? addWhole(wholeAt(to, place), sum) : sum;
        }
      }
    },
  };
}

interface ScalingParts {
  readonly input: ExactTensor;
  readonly output: ExactTensor;
  readonly count: number;
  readonly scale: ExactScale;
  /** The largest magnitude that is kept; 127 makes bytes. */
  readonly bound: number;
}

/** output = the scaled input, rounded half up and held to [-bound, bound]. */
export const exactRequantise = (of: ScalingParts): ExactOperation =>
  scalingOperation(requantise, { ...of, other: of.input }, (input) => scaled(input, of.scale));

/** output += the scaled input (or -= with `negate`): a residual, or a step of gradient descent. */
export const exactUpdate = (of: ScalingParts & { readonly negate?: boolean }): ExactOperation =>
  scalingOperation(update, { ...of, other: of.input }, (input, _, before) =>
    addWhole(before, of.negate === true ? -scaled(input, of.scale) : scaled(input, of.scale)),
  );

/** output = the scaled product of two tensors, whose products must fit 31 bits. */
export const exactProduct = (of: ScalingParts & { readonly other: ExactTensor }): ExactOperation =>
  scalingOperation(product, of, (input, other) => scaled(Math.imul(input, other), of.scale));

function scalingOperation(
  kernel: typeof requantise,
  of: ScalingParts & { readonly other: ExactTensor; readonly negate?: boolean },
  valueOf: (input: number, other: number, before: number) => number,
): ExactOperation {
  const { input, other, output, count, bound, negate = false } = of;
  const { multiplier, shift } = of.scale;
  assert(multiplier > 0 && multiplier < 32768 && shift >= 17 && shift <= 30, `${kernel.name}: no such scale`);
  return {
    kernel: kernel.name,
    output: output.name,
    dispatch: (tensor) =>
      dispatchOf(
        kernel,
        { input: placed(tensor, input), other: placed(tensor, other), output: placed(tensor, output) },
        { count, multiplier, shift, bound, negate: negate ? 1 : 0 },
        elementGrid(count),
      ),
    compute: (tensor) => {
      const [from, second, to] = [view(tensor, input), view(tensor, other), view(tensor, output)];
      for (let index = 0; index < count; index++) {
        const value = valueOf(wholeAt(from, index), wholeAt(second, index), wholeAt(to, index));
        to[index] = Math.max(-bound, Math.min(bound, value));
      }
    },
  };
}

/** output = table[input + 128], the input held to a byte; `table` has 256 elements. */
export function exactTable(of: {
  readonly input: ExactTensor;
  readonly table: ExactTensor;
  readonly output: ExactTensor;
  readonly count: number;
}): ExactOperation {
  const { input, output, count } = of;
  return {
    kernel: table.name,
    output: output.name,
    dispatch: (tensor) =>
      dispatchOf(
        table,
        { input: placed(tensor, input), table: placed(tensor, of.table), output: placed(tensor, output) },
        { count },
        elementGrid(count),
      ),
    compute: (tensor) => {
      const [from, values, to] = [view(tensor, input), view(tensor, of.table), view(tensor, output)];
      for (let index = 0; index < count; index++) {
        to[index] = wholeAt(values, Math.max(-128, Math.min(127, wholeAt(from, index))) + 128);
      }
    },
  };
}

/**
 * Probabilities in Q15 of each row of logits [rows, columns]: `table` (`expTable`) holds exp of minus the scaled distance
 * to the row's largest. `causal`: row r sees the columns up to r. With `targets` [rows] the gradient of the cross-entropy is
 * stored: the probability, less 2^15 at the target. A row has at most 2^16 columns, so that the sum fits 32 bits.
 */
export function exactSoftmax(of: {
  readonly logits: ExactTensor;
  readonly table: ExactTensor;
  readonly output: ExactTensor;
  readonly rows: number;
  readonly columns: number;
  readonly scale: ExactScale;
  readonly causal?: boolean;
  readonly targets?: ExactTensor;
}): ExactOperation {
  const { logits, output, rows, columns, scale, causal = false, targets } = of;
  assert(columns <= 65536, `exact_softmax: ${columns} columns; 65536 are the most whose sum fits 32 bits`);
  return {
    kernel: softmax.name,
    output: output.name,
    dispatch: (tensor) =>
      dispatchOf(
        softmax,
        {
          logits: placed(tensor, logits),
          table: placed(tensor, of.table),
          targets: placed(tensor, targets ?? logits),
          output: placed(tensor, output),
        },
        { rows, columns, ...scale, causal: causal ? 1 : 0, gradient: targets === undefined ? 0 : 1 },
        elementGrid(rows),
      ),
    compute: (tensor) => {
      const [from, values, to] = [view(tensor, logits), view(tensor, of.table), view(tensor, output)];
      for (let row = 0; row < rows; row++) {
        const start = row * columns;
        const seen = causal ? Math.min(columns, row + 1) : columns;
        const own = from.subarray(start, start + seen);
        const largest = own.reduce((most, logit) => Math.max(most, logit), -(2 ** 31));
        const weightOf = (logit: number): number => {
          const place = Math.floor((addWhole(largest, -logit) * scale.multiplier) / powerOfTwo(scale.shift));
          return wholeAt(values, Math.min(255, place));
        };
        const sum = own.reduce((all, logit) => all + weightOf(logit), 0);
        for (let column = 0; column < columns; column++) {
          const weight = column < seen ? weightOf(wholeAt(from, start + column)) : 0;
          const target = targets !== undefined && wholeAt(view(tensor, targets), row) === column;
          to[start + column] = Math.floor((weight * 32768) / sum) - (target ? 32768 : 0);
        }
      }
    },
  };
}

/** Bytes of 32 for one root mean square of the row, times gain / 64; |gain| at most 4096, |input| below 2^31. */
export function exactNorm(of: {
  readonly input: ExactTensor;
  readonly gain: ExactTensor;
  readonly output: ExactTensor;
  readonly rows: number;
  readonly width: number;
}): ExactOperation {
  const { input, gain, output, rows, width } = of;
  assert(width <= 2048, `exact_rms_norm: a row of ${width}; 2048 are the most whose squares' sum fits 32 bits`);
  return {
    kernel: norm.name,
    output: output.name,
    dispatch: (tensor) =>
      dispatchOf(
        norm,
        { input: placed(tensor, input), gain: placed(tensor, gain), output: placed(tensor, output) },
        { rows, width },
        elementGrid(rows),
      ),
    compute: (tensor) => {
      const [from, gains, to] = [view(tensor, input), view(tensor, gain), view(tensor, output)];
      for (let row = 0; row < rows; row++) {
        const own = from.subarray(row * width, (row + 1) * width);
        const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        let shift = 0;
        while (largest >>> shift > 1023) shift++;
        const sum = own.reduce((all, value) => all + (value >> shift) ** 2, 0);
        const root = Math.max(1, integerRoot(Math.floor(sum / width) * 256));
        own.forEach((value, column) => {
          const quotient = roundHalfAway((value >> shift) * wholeAt(gains, column) * 8, root);
          to[row * width + column] = Math.max(-127, Math.min(127, quotient));
        });
      }
    },
  };
}

interface GatherParts {
  /** [rows], each below `vocabulary`. */
  readonly tokens: ExactTensor;
  readonly input: ExactTensor;
  readonly output: ExactTensor;
  readonly rows: number;
  readonly width: number;
  readonly vocabulary: number;
}

/** output [rows, width] = the rows of input [vocabulary, width] that the tokens name. */
export const exactGather = (of: GatherParts): ExactOperation =>
  gatherOperation(gather, of, of.rows * of.width, (tokens, from, to) => {
    for (let row = 0; row < of.rows; row++) {
      const start = wholeAt(tokens, row) * of.width;
      to.set(from.subarray(start, start + of.width), row * of.width);
    }
  });

/** output [vocabulary, width] = for each token the sum of its rows of input [rows, width]. */
export const exactGatherGradient = (of: GatherParts): ExactOperation =>
  gatherOperation(gatherGradient, of, of.vocabulary * of.width, (tokens, from, to) => {
    to.fill(0, 0, of.vocabulary * of.width);
    for (let row = 0; row < of.rows; row++) {
      for (let column = 0; column < of.width; column++) {
        const place = wholeAt(tokens, row) * of.width + column;
        to[place] = addWhole(wholeAt(to, place), wholeAt(from, row * of.width + column));
      }
    }
  });

function gatherOperation(
  kernel: typeof gather,
  { tokens, input, output, rows, width, vocabulary }: GatherParts,
  elements: number,
  compute: (tokens: Int32Array, from: Int32Array, to: Int32Array) => void,
): ExactOperation {
  return {
    kernel: kernel.name,
    output: output.name,
    dispatch: (tensor) =>
      dispatchOf(
        kernel,
        { tokens: placed(tensor, tokens), input: placed(tensor, input), output: placed(tensor, output) },
        { rows, width, vocabulary },
        elementGrid(elements),
      ),
    compute: (tensor) => compute(view(tensor, tokens), view(tensor, input), view(tensor, output)),
  };
}

function placed(tensor: (name: string) => Tensor, { name, offset = 0 }: ExactTensor): Tensor {
  const whole = tensor(name);
  return { buffer: whole.buffer, offset: (whole.offset ?? 0) + offset };
}

const view = (tensor: (name: string) => Int32Array, { name, offset = 0 }: ExactTensor): Int32Array =>
  tensor(name).subarray(offset);
