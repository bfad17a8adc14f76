/**
 * Matrix product in the three forms that a network needs: NT forward (weights stored [out, in]), NN for the gradient of
 * the input, TN for the gradient of the weights. Every output element sums over `inner` in ascending order, so a row's
 * result does not depend on how many rows there are.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { addAt, at } from './truth.ts';
import type { Choices } from './variants.ts';

/** Which operand is stored transposed. NN: left [rows, inner], right [inner, columns]. NT: right is stored [columns, inner]. TN: left is stored [inner, rows]. */
export type MatmulForm = 'NN' | 'NT' | 'TN';

/** What follows the product: GELU is the one of tanh, as GPT-2 has it. */
export type Activation = 'none' | 'gelu' | 'silu' | 'relu';
const activations: readonly Activation[] = ['none', 'gelu', 'silu', 'relu'];

const tensors = ['left', 'right', 'bias', 'residual', '>output'] as const;
const numbers = [
  'rows',
  'columns',
  'inner',
  'left_row_stride',
  'left_inner_stride',
  'right_inner_stride',
  'right_column_stride',
  'has_bias',
  'activation',
  'has_residual',
  'accumulate',
] as const;
const tiled = defineKernel({ shader: 'matmul', tensors, numbers });
const single = defineKernel({ shader: 'matmul', entryPoint: 'single_row', tensors, numbers });

export interface MatmulOptions {
  readonly form: MatmulForm;
  readonly left: Tensor;
  readonly right: Tensor;
  readonly output: Tensor;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  /** [columns], added to every row of the product. */
  readonly bias?: Tensor;
  /** Of product and bias; default none. */
  readonly activation?: Activation;
  /** [rows, columns], added after the activation; in another buffer than the output. To add in place use `accumulate`. */
  readonly residual?: Tensor;
  /** Whether all this is added to what the output holds; default false. */
  readonly accumulate?: boolean;
  readonly choices?: Choices;
}

/** output [rows, columns] = activation(left x right + bias) + residual, or output += that with `accumulate`. */
export function matmulDispatch(of: MatmulOptions): Dispatch {
  const { form, left, right, output, bias, residual, rows, columns, inner } = of;
  const { activation = 'none', accumulate = false } = of;
  const sizes = {
    rows,
    columns,
    inner,
    left_row_stride: form === 'TN' ? 1 : inner,
    left_inner_stride: form === 'TN' ? rows : 1,
    right_inner_stride: form === 'NT' ? 1 : columns,
    right_column_stride: form === 'NT' ? inner : 1,
    has_bias: bias === undefined ? 0 : 1,
    activation: activations.indexOf(activation),
    has_residual: residual === undefined ? 0 : 1,
    accumulate: accumulate ? 1 : 0,
  };
  // Every binding wants a buffer, read or not.
  const bound = { left, right, bias: bias ?? left, residual: residual ?? left, output };
  // A single row would leave most of the tile idle; one thread an element keeps the same order of sums.
  if (rows === 1) return dispatchOf(single, bound, sizes, elementGrid(columns));
  const tiles = Math.ceil(rows / rowTile) * Math.ceil(columns / columnTile);
  return dispatchOf(tiled, bound, sizes, elementGrid(tiles));
}

/** Outputs of one invocation, as `shaders/matmul.wgsl` has them. */
const rowTile = 8;
const columnTile = 4;

export const matmulKernels = [tiled, single];

export function matmulTruth(
  form: MatmulForm,
  left: Float64Array,
  right: Float64Array,
  { rows, columns, inner }: { readonly rows: number; readonly columns: number; readonly inner: number },
): Float64Array {
  const output = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let step = 0; step < inner; step++) {
      const value = at(left, form === 'TN' ? step * rows + row : row * inner + step);
      for (let column = 0; column < columns; column++) {
        const other = at(right, form === 'NT' ? column * inner + step : step * columns + column);
        addAt(output, row * columns + column, value * other);
      }
    }
  }
  return output;
}

export const matmulTolerance: Tolerance = {
  absolute: 1e-4,
  relative: 1e-6,
  reason: 'sums of up to 315 products of standard normals: the root of the count times an f32 rounding of about 18',
};

export function matmulCases(random: Random): KernelCase[] {
  const forms: readonly MatmulForm[] = ['NN', 'NT', 'TN'];
  const shapes = [
    { rows: 1, columns: 1, inner: 1 },
    { rows: 1, columns: 315, inner: 97 },
    { rows: 3, columns: 97, inner: 65 },
    { rows: 65, columns: 3, inner: 315 },
    { rows: 97, columns: 65, inner: 3 },
    { rows: 64, columns: 64, inner: 32 },
  ];
  return forms.flatMap((form) =>
    shapes.map((sizes, index): KernelCase => {
      const { rows, columns, inner } = sizes;
      const left = normals(random, rows * inner);
      const right = normals(random, inner * columns);
      const bias = normals(random, columns);
      const residual = normals(random, rows * columns);
      const output = normals(random, rows * columns);
      const accumulate = index % 2 === 1;
      const activation = at4(activations, index);
      const [hasBias, hasResidual] = [index % 3 === 2, index % 4 === 2];
      const product = matmulTruth(form, toF64(left), toF64(right), sizes);
      const after = epilogueTruth(product, columns, {
        activation,
        ...(hasBias && { bias }),
        ...(hasResidual && { residual }),
        ...(accumulate && { output }),
      });
      return {
        kernel: rows === 1 ? single.name : tiled.name,
        title: `${form}, ${rows} x ${inner} by ${inner} x ${columns}, ${activation}${hasBias ? ', bias' : ''}${hasResidual ? ', residual' : ''}${accumulate ? ', added' : ''}`,
        tensors: { left, right, bias, residual, output },
        dispatches: (of) => [
          matmulDispatch({
            form,
            left: of('left'),
            right: of('right'),
            output: of('output'),
            ...(hasBias && { bias: of('bias') }),
            ...(hasResidual && { residual: of('residual') }),
            ...sizes,
            activation,
            accumulate,
          }),
        ],
        expected: { output: after },
        tolerance: matmulTolerance,
      };
    }),
  );
}

const at4 = (names: readonly Activation[], index: number): Activation => names[index % names.length] ?? 'none';

/** What follows the product: bias, activation, and then the sum with the residual and with what the output held. */
function epilogueTruth(
  product: Float64Array,
  columns: number,
  of: {
    readonly activation: Activation;
    readonly bias?: Float32Array;
    readonly residual?: Float32Array;
    readonly output?: Float32Array;
  },
): Float64Array {
  const { activation, bias, residual, output } = of;
  return product.map((value, index) => {
    const sum = activatedTruth(activation, value + (bias === undefined ? 0 : at(bias, index % columns)));
    return sum + (residual === undefined ? 0 : at(residual, index)) + (output === undefined ? 0 : at(output, index));
  });
}

export function activatedTruth(activation: Activation, x: number): number {
  if (activation === 'gelu') return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  if (activation === 'silu') return x / (1 + Math.exp(-x));
  return activation === 'relu' ? Math.max(x, 0) : x;
}
