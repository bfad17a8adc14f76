/** What is true of `matmul.ts`, in f64: the product in its three forms, and what follows it. */

import { type Tolerance } from './test-case.ts';
import { addAt, at } from './truth.ts';

/** Which operand is stored transposed. NN: left [rows, inner], right [inner, columns]. NT: right is stored [columns, inner]. TN: left is stored [inner, rows]. */
export type MatmulForm = 'NN' | 'NT' | 'TN';

/** What follows the product: GELU is the one of tanh, as GPT-2 has it. */
export type Activation = 'none' | 'gelu' | 'silu' | 'relu';

export interface MatmulSizes {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

export function matmulTruth(
  form: MatmulForm,
  left: Float64Array,
  right: Float64Array,
  { rows, columns, inner }: MatmulSizes,
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

/** What `matmulDispatch` writes when the product is this: bias, activation, and the sum with residual and held output. */
export function epilogueTruth(
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

export const matmulTolerance: Tolerance = {
  absolute: 5e-4,
  relative: 2e-6,
  reason:
    'sums of up to 2,179 products of standard normals, some f32 roundings of the root of the count, and exp of WGSL',
};
