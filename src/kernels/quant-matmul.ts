/**
 * Products of many rows with weights in blocks (q4_0, q8_0), as prefill wants them: each weight is unpacked once for many
 * rows. The layout is `quant-blocks.ts`, few rows are `quant-matvec.ts`, truth and cases `quant-cases.ts`.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { dispatchOf, elementGrid, rowGrid } from './kernel.ts';
import { quantBlock, type QuantFormat } from './quant-blocks.ts';
import { quantCases, quantTrial } from './quant-cases.ts';
import {
  boundOf,
  quantKernels,
  quantNumbersOf,
  quantOnes,
  variantNamed,
  type QuantKernels,
  type QuantProduct,
} from './quant-kernel.ts';
import type { KernelCase } from './test-case.ts';
import { bucketOf, safeChoices, type Family, type Variant } from './variants.ts';

interface Form {
  readonly variant: Variant;
  readonly kernel: QuantKernels;
  readonly rows: number;
  readonly columns: number;
}

/** Outputs of one invocation of `plain`, and of one workgroup of the other. */
const forms: readonly Form[] = [
  { variant: { name: 'plain', features: [] }, kernel: quantKernels('quant_matmul', quantOnes), rows: 8, columns: 4 },
  {
    variant: { name: 'tile-64x64', features: [] },
    kernel: quantKernels('quant_matmul_tile', quantOnes),
    rows: 64,
    columns: 64,
  },
];

/** output [rows, columns] = input x transposed weight + bias, or output += that with `accumulate`; any number of rows. */
export function quantMatmulDispatch(of: QuantProduct): Dispatch {
  const { format, rows, columns, inner, choices = safeChoices } = of;
  assert(inner % quantBlock === 0, `${format} matmul: inner is ${inner}, no multiple of ${quantBlock}`);
  const family = format === 'q4_0' ? q4MatmulFamily : q8MatmulFamily;
  const form = variantNamed(forms, choices.variantOf(family, bucketOf({ rows, columns, inner })));
  const tiles = Math.ceil(rows / form.rows) * Math.ceil(columns / form.columns);
  const grid = form.variant.name === 'plain' ? elementGrid(tiles) : rowGrid(tiles);
  return dispatchOf(form.kernel[format], boundOf(of), quantNumbersOf(of), grid);
}

const family = (format: QuantFormat): Family => ({
  name: format === 'q4_0' ? 'q4-matmul' : 'q8-matmul',
  variants: forms.map(({ variant }) => variant),
  bound: 'flops',
  trial: (bucket, random) =>
    quantTrial(bucket, random, {
      format,
      bound: 'flops',
      rowsMax: 128,
      sizeMax: 1024,
      variants: forms,
      dispatch: quantMatmulDispatch,
    }),
  shown: [bucketOf({ rows: 128, columns: 1024, inner: 1024 })],
});

export const q4MatmulFamily: Family = family('q4_0');
export const q8MatmulFamily: Family = family('q8_0');

export const quantMatmulKernels = forms.flatMap(({ kernel }) => Object.values(kernel));

export const quantMatmulCases = (random: Random): KernelCase[] =>
  quantCases(random, quantMatmulDispatch, forms, [
    { rows: 1, columns: 1, inner: 32 },
    { rows: 65, columns: 97, inner: 96 },
    { rows: 3, columns: 315, inner: 352 },
    { rows: 97, columns: 3, inner: 2176 },
  ]);
