/**
 * Matrix times few rows, as decode has them: each row's projection by a weight [columns, inner], f32 or packed halves, with
 * what stands around it in a transformer: RMSNorm of the input (Zhang and Sennrich, 2019), bias, the residual in place, and
 * the gate of a SwiGLU feed-forward (Shazeer, 2020). A row's sums do not depend on how many rows there are, nor does the
 * choice of variant. Many rows are `matmul.ts`'s; truths and cases are in `matvec-cases.ts`.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import type { Choices, Variant } from './variants.ts';

/** How weights are stored: floats, or halves, two in each word, the first in the low half; offsets count elements. */
export type WeightStorage = 'f32' | 'f16';

/** RMSNorm of the input before the product: gain * x / sqrt(mean(x^2) + epsilon). */
export interface FusedNorm {
  /** [inner]. */
  readonly gain: Tensor;
  readonly epsilon: number;
}

const declaration = {
  shader: 'matvec',
  tensors: ['input', 'weight:u32', 'gain', 'bias', '>output'],
  numbers: ['rows', 'columns', 'inner', 'has_norm', 'epsilon:f32', 'has_bias', 'accumulate'],
} as const;
const plain = {
  f32: defineKernel({ ...declaration }),
  f16: defineKernel({ ...declaration, constants: { half_weights: 1 } }),
};
const plainGated = {
  f32: defineKernel({ ...declaration, constants: { gated: 1 } }),
  f16: defineKernel({ ...declaration, constants: { gated: 1, half_weights: 1 } }),
};

export interface MatvecOptions {
  /** [rows, inner]. */
  readonly input: Tensor;
  /** [columns, inner]. */
  readonly weight: Tensor;
  /** [rows, columns]. */
  readonly output: Tensor;
  /** 1 to 64; more work, but more slowly than `matmulDispatch` does them. */
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly norm?: FusedNorm;
  /** [columns]. */
  readonly bias?: Tensor;
  /** Adds to what the output holds, as a residual stream wants it; default false. */
  readonly accumulate?: boolean;
  /** Default f32. */
  readonly weights?: WeightStorage;
  readonly choices?: Choices;
}

/** output = norm(input) x transposed weight + bias, or output += that with `accumulate`. */
export function matvecDispatch(of: MatvecOptions): Dispatch {
  const { rows, columns, weights = 'f32' } = of;
  return dispatchOf(plain[weights], boundOf(of), sizesOf(of), elementGrid(rows * Math.ceil(columns / 2)));
}

export interface GatedMatvecOptions extends Pick<
  MatvecOptions,
  'input' | 'weight' | 'output' | 'rows' | 'inner' | 'norm' | 'weights' | 'choices'
> {
  /** Columns of the output [rows, hidden]; the weight is [2 * hidden, inner], the gate's half first. */
  readonly hidden: number;
}

/** output [rows, hidden] = silu(norm(input) x gate) * (norm(input) x up), both halves of the weight transposed. */
export function gatedMatvecDispatch({ hidden, ...of }: GatedMatvecOptions): Dispatch {
  const { rows, weights = 'f32' } = of;
  const options = { ...of, columns: hidden };
  return dispatchOf(plainGated[weights], boundOf(options), sizesOf(options), elementGrid(rows * hidden));
}

/** Every binding wants a buffer, read or not. */
const boundOf = ({ input, weight, output, norm, bias }: MatvecOptions) => ({
  input,
  weight,
  gain: norm?.gain ?? input,
  bias: bias ?? input,
  output,
});

const sizesOf = ({ rows, columns, inner, norm, bias, accumulate = false }: MatvecOptions) => ({
  rows,
  columns,
  inner,
  has_norm: norm === undefined ? 0 : 1,
  epsilon: norm?.epsilon ?? 0,
  has_bias: bias === undefined ? 0 : 1,
  accumulate: accumulate ? 1 : 0,
});

export const matvecKernels = [...Object.values(plain), ...Object.values(plainGated)];

export const matvecVariants: readonly Variant[] = [{ name: 'plain', features: [] }];
