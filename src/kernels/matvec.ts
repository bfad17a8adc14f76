/**
 * Matrix times few rows, as decode has them: each row's projection by a weight [columns, inner], f32 or packed halves, with
 * what stands around it in a transformer: RMSNorm of the input (Zhang and Sennrich, 2019), bias, the residual in place, and
 * the gate of a SwiGLU feed-forward (Shazeer, 2020). A row's sums do not depend on how many rows there are, nor does the
 * choice of variant. Many rows are `matmul.ts`'s; truths and cases are in `matvec-cases.ts`.
 */

import { assert, present } from '../core/assert.ts';
import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import type { WeightStorage } from './matmul.ts';
import { matvecTrial } from './matvec-trial.ts';
import { bucketOf, safeChoices, type Choices, type Family, type Variant } from './variants.ts';

/** RMSNorm of the input before the product: gain * x / sqrt(mean(x^2) + epsilon). */
export interface FusedNorm {
  /** [inner]. */
  readonly gain: Tensor;
  readonly epsilon: number;
}

const numbers = ['rows', 'columns', 'inner', 'has_norm', 'epsilon:f32', 'has_bias', 'accumulate'] as const;
const plainKernel = (weights: WeightStorage, gated: boolean) =>
  defineKernel({
    shader: 'matvec',
    tensors: ['input', 'weight:u32', 'gain', 'bias', '>output'],
    numbers,
    constants: { half_weights: weights === 'f16' ? 1 : 0, gated: gated ? 1 : 0 },
  });
const pairKernel = (
  shader: 'matvec_shared' | 'matvec_subgroup',
  weights: WeightStorage,
  gated: boolean,
  wide: boolean,
) =>
  defineKernel({
    shader,
    tensors: ['input', 'weight:u32', 'input_wide', 'weight_wide', 'gain', 'bias', '>output'],
    numbers,
    constants: { half_weights: weights === 'f16' ? 1 : 0, gated: gated ? 1 : 0, wide: wide ? 1 : 0 },
  });

const quadKernel = (weights: WeightStorage, gated: boolean) =>
  defineKernel({
    shader: 'matvec_quad',
    tensors: ['input', 'weight:u32', 'input_wide', 'weight_wide', 'gain', 'bias', '>output'],
    numbers,
    constants: { half_weights: weights === 'f16' ? 1 : 0, gated: gated ? 1 : 0 },
  });

const both = [false, true] as const;
const storages: readonly WeightStorage[] = ['f32', 'f16'];
const plain = storages.map((weights) => both.map((gated) => plainKernel(weights, gated)));
const pairs = (shader: 'matvec_shared' | 'matvec_subgroup') =>
  storages.map((weights) => both.map((gated) => both.map((wide) => pairKernel(shader, weights, gated, wide))));
const shared = pairs('matvec_shared');
const subgroup = pairs('matvec_subgroup');
const quad = storages.map((weights) => both.map((gated) => quadKernel(weights, gated)));

export const matvecKernels = [...plain.flat(), ...shared.flat(2), ...subgroup.flat(2), ...quad.flat()];

export const matvecVariants: readonly Variant[] = [
  { name: 'plain', features: [] },
  { name: 'workgroup', features: [] },
  { name: 'subgroup', features: ['subgroups'] },
  { name: 'quad', features: ['subgroups'] },
];

/** Tuned by columns (of the weight) and inner alone: a row's bits must not depend on how many rows there are. */
export const matvecFamily: Family = {
  name: 'matvec',
  variants: matvecVariants,
  bound: 'bytes',
  trial: (bucket, random) => matvecTrial(matvecVariants, matvecDispatch, bucket, random),
  shown: (['f32', 'f16'] as const).map((weights) => `${weights},${bucketOf({ columns: 2048, inner: 2048 })}`),
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
export const matvecDispatch = (of: MatvecOptions): Dispatch => dispatchFor(of, false);

export interface GatedMatvecOptions extends Pick<
  MatvecOptions,
  'input' | 'weight' | 'output' | 'rows' | 'inner' | 'norm' | 'weights' | 'choices'
> {
  /** Columns of the output [rows, hidden]; the weight is [2 * hidden, inner], the gate's half first. */
  readonly hidden: number;
}

/** output [rows, hidden] = silu(norm(input) x gate) * (norm(input) x up), both halves of the weight transposed. */
export const gatedMatvecDispatch = ({ hidden, ...of }: GatedMatvecOptions): Dispatch =>
  dispatchFor({ ...of, columns: hidden }, true);

function dispatchFor(of: MatvecOptions, gated: boolean): Dispatch {
  const { input, weight, rows, columns, inner, weights = 'f32', choices = safeChoices } = of;
  const bucket = `${weights},${bucketOf({ columns: gated ? 2 * columns : columns, inner })}`;
  const variant = choices.variantOf(matvecFamily, bucket);
  const rowPairs = gated ? columns : Math.ceil(columns / 2);
  const pairCount = rows * rowPairs;
  const storage = storages.indexOf(weights);
  const isWide = [inner, input.offset ?? 0, weight.offset ?? 0].every((count) => count % 4 === 0);
  if (variant === 'quad' && isWide && inner % 16 === 0) {
    const kernel = present(quad[storage]?.[gated ? 1 : 0], `matvec does not know weights ${weights}`);
    const bound = { ...boundOf(of), input_wide: input, weight_wide: weight };
    // Four neighbours make one row.
    return dispatchOf(kernel, bound, sizesOf(of), elementGrid(rows * Math.ceil(rowPairs / 4) * 4));
  }
  if (variant === 'plain' || variant === 'quad') {
    const kernel = present(plain[storage]?.[gated ? 1 : 0], `matvec does not know weights ${weights}`);
    return dispatchOf(kernel, boundOf(of), sizesOf(of), elementGrid(pairCount));
  }
  const isSubgroup = variant === 'subgroup';
  assert(isSubgroup || variant === 'workgroup', `matvec has no variant '${variant}'`);
  const kernels = isSubgroup ? subgroup : shared;
  const kernel = present(
    kernels[storage]?.[gated ? 1 : 0]?.[isWide ? 1 : 0],
    `matvec does not know weights ${weights}`,
  );
  const bound = { ...boundOf(of), input_wide: input, weight_wide: weight };
  return dispatchOf(kernel, bound, sizesOf(of), gridOf(isSubgroup ? Math.ceil(pairCount / 4) : pairCount, 1));
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
