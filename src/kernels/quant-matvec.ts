/**
 * Products of few rows with weights in blocks (q4_0, q8_0), as decoding wants them: bound by reading the weights, so they
 * are unpacked in registers. Every row is summed in the same order however many rows there are. The layout and its
 * making are `quant-blocks.ts`; many rows at once are `quant-matmul.ts`; truth and cases are `quant-cases.ts`.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { gridOf, type Grid } from './grid.ts';
import { dispatchOf, elementGrid, rowGrid } from './kernel.ts';
import { quantBlock, type QuantFormat } from './quant-blocks.ts';
import { quantCases, quantTrial } from './quant-cases.ts';
import {
  boundOf,
  quantFours,
  quantKernels,
  quantNumbersOf,
  quantOnes,
  readsFours,
  variantNamed,
  type QuantKernels,
  type QuantProduct,
  type QuantSizes,
} from './quant-kernel.ts';
import type { KernelCase } from './test-case.ts';
import { bucketOf, safeChoices, sizesOf, type Family, type Variant } from './variants.ts';

interface Form {
  readonly variant: Variant;
  readonly kernel: QuantKernels;
  /** Whether tensors and sizes suit it; else the safe variant computes the product. */
  readonly takes: (of: QuantProduct) => boolean;
  readonly grid: (of: QuantSizes) => Grid;
}

const plain: Form = {
  variant: { name: 'plain', features: [] },
  kernel: quantKernels('quant_matvec', quantOnes),
  takes: () => true,
  grid: ({ rows, columns }) => elementGrid(Math.ceil(columns / 4) * rows),
};

const shareParts = [...quantFours, 'quant_bytes', 'quant_nibbles_marked', 'quant_matvec_share'];

/** A workgroup makes four columns of a row. */
const grouped = (kind: 'workgroup' | 'subgroup', size: number): Form => ({
  variant: { name: `${kind}-${size}`, features: kind === 'subgroup' ? ['subgroups'] : [] },
  kernel: quantKernels(
    `quant_matvec_${kind}`,
    kind === 'subgroup' ? ['subgroups', ...shareParts] : [...shareParts, 'workgroup_sum'],
    { workgroup_size: size },
  ),
  takes: readsFours,
  grid: ({ rows, columns }) => rowGrid(Math.ceil(columns / 4) * rows),
});

const quadInvocations = 16;

/** An invocation makes eight columns of a row, which its three neighbours make too. */
const quad: Form = {
  variant: { name: 'quad', features: ['subgroups'], serves: (bucket) => sizesOf(bucket)['odd'] === undefined },
  kernel: quantKernels('quant_matvec_quad', ['subgroups', ...quantFours], { workgroup_size: quadInvocations }),
  takes: (of) => readsFours(of) && of.inner % (2 * quantBlock) === 0,
  grid: ({ rows, columns }) => gridOf(rows * Math.ceil(columns / 32) * 4, quadInvocations),
};

const forms: readonly Form[] = [
  plain,
  grouped('workgroup', 64),
  grouped('workgroup', 128),
  grouped('subgroup', 32),
  grouped('subgroup', 64),
  grouped('subgroup', 128),
  quad,
];

/**
 * output [rows, columns] = input x transposed weight + bias, or output += that with `accumulate`. Meant for 1 to 64 rows; more
 * work too, but more slowly than `quantMatmulDispatch` does them. What a variant does not take, as most do not take tensors
 * at odd offsets, is left to the safe one.
 */
export function quantMatvecDispatch(of: QuantProduct): Dispatch {
  const { format, columns, inner, choices = safeChoices } = of;
  assert(inner % quantBlock === 0, `${format} matvec: inner is ${inner}, no multiple of ${quantBlock}`);
  // Rows are no part of the bucket: a row's bits must not depend on how many there are.
  const bucket = bucketOf({ columns, inner, ...(quad.takes(of) ? {} : { odd: 1 }) });
  const chosen = variantNamed(forms, choices.variantOf(format === 'q4_0' ? q4MatvecFamily : q8MatvecFamily, bucket));
  const form = chosen.takes(of) ? chosen : plain;
  return dispatchOf(form.kernel[format], boundOf(of), quantNumbersOf(of), form.grid(of));
}

const family = (format: QuantFormat): Family => ({
  name: format === 'q4_0' ? 'q4-matvec' : 'q8-matvec',
  variants: forms.map(({ variant }) => variant),
  bound: 'bytes',
  trial: (bucket, random) =>
    quantTrial(bucket, random, {
      format,
      bound: 'bytes',
      rowsMax: 1,
      sizeMax: 4096,
      variants: forms,
      dispatch: quantMatvecDispatch,
    }),
  shown: [bucketOf({ columns: 2048, inner: 2048 })],
});

export const q4MatvecFamily: Family = family('q4_0');
export const q8MatvecFamily: Family = family('q8_0');

export const quantMatvecKernels = forms.flatMap(({ kernel }) => Object.values(kernel));

export const quantMatvecCases = (random: Random): KernelCase[] =>
  quantCases(random, quantMatvecDispatch, forms, [
    { rows: 1, columns: 1, inner: 32 },
    { rows: 3, columns: 65, inner: 96 },
    { rows: 1, columns: 97, inner: 2176 },
    { rows: 17, columns: 3, inner: 352 },
    { rows: 5, columns: 65, inner: 320 },
  ]);
