/**
 * What is true of products of int8 with int8, in f64, and the cases that every variant has to pass: those with scales of 1
 * have no tolerance, because their sums are whole numbers below 2^24. `int8-matmul.ts` calls this and is not imported here.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import type { Int8Product } from './int8-matmul.ts';
import {
  blocksOfRow,
  dequantiseInt8,
  quantiseInt8,
  wordsOfRow,
  type Int8Blocks,
  type Int8Sizes,
} from './quantise-int8-truth.ts';
import { normals, type KernelCase, type Tolerance } from './test-case.ts';
import { dot } from './truth.ts';
import { variantNamed } from './quant-kernel.ts';
import { sizesOf, type FamilyTrial, type Variant } from './variants.ts';

export interface ProductSizes extends Int8Sizes {
  readonly columns: number;
}

/** [rows, columns]. */
export function int8Truth(input: Int8Blocks, weight: Int8Blocks, sizes: ProductSizes): Float64Array {
  const { rows, columns, inner } = sizes;
  const left = dequantiseInt8(input, sizes);
  const right = dequantiseInt8(weight, { ...sizes, rows: columns });
  return Float64Array.from({ length: rows * columns }, (_, index) =>
    dot(left, Math.floor(index / columns) * inner, right, (index % columns) * inner, inner),
  );
}

export const int8Tolerance: Tolerance = {
  absolute: 5e-4,
  relative: 5e-6,
  reason: 'whole-number sums are exact; scaled, up to 545 words of 2,179 standard normals are added in f32',
};

const exact: Tolerance = { absolute: 0, relative: 0, reason: 'whole numbers below 2^24, which f32 holds exactly' };

interface Int8Form {
  readonly variant: Variant;
  readonly kernel: { readonly name: string };
}
type Int8Dispatch = (of: Int8Product) => Dispatch;

function int8Problem(
  random: Random,
  dispatch: Int8Dispatch,
  sizes: ProductSizes,
  unscaled: boolean,
): (form: Int8Form) => KernelCase {
  const { rows, columns, inner, block } = sizes;
  const made = (own: number): Int8Blocks =>
    unscaled
      ? extremes(random, { ...sizes, rows: own })
      : quantiseInt8(normals(random, own * inner), { ...sizes, rows: own });
  const [input, weight] = [made(rows), made(columns)];
  const output = new Float32Array(rows * columns);
  const expected = int8Truth(input, weight, sizes);
  return ({ variant, kernel }) => ({
    kernel: kernel.name,
    variant,
    title: `${variant.name}, ${rows} x ${inner} by ${columns} columns, blocks of ${block}${unscaled ? ', whole numbers' : ''}`,
    tensors: {
      input: input.words,
      inputScales: input.scales,
      weight: weight.words,
      weightScales: weight.scales,
      output,
    },
    dispatches: (of) => [
      dispatch({
        input: of('input'),
        inputScales: of('inputScales'),
        weight: of('weight'),
        weightScales: of('weightScales'),
        output: of('output'),
        rows,
        columns,
        inner,
        block,
        choices: { variantOf: () => variant.name },
      }),
    ],
    expected: { output: expected },
    tolerance: unscaled ? exact : int8Tolerance,
  });
}

/** Any bytes, -128 too, and scales of 1. */
function extremes(random: Random, sizes: Int8Sizes): Int8Blocks {
  const bytes = new Uint8Array(sizes.rows * wordsOfRow(sizes) * 4);
  for (let row = 0; row < sizes.rows; row++) {
    for (let element = 0; element < sizes.inner; element++) {
      const any = random.below(4);
      bytes[row * wordsOfRow(sizes) * 4 + element] = any === 0 ? 0x80 : any === 1 ? 0x7f : random.below(256);
    }
  }
  return { words: new Uint32Array(bytes.buffer), scales: new Float32Array(sizes.rows * blocksOfRow(sizes)).fill(1) };
}

export const int8Cases = (
  random: Random,
  forms: readonly Int8Form[],
  dispatch: Int8Dispatch,
  shapes: readonly ProductSizes[],
): KernelCase[] =>
  shapes.flatMap((sizes) => [
    ...forms.map(int8Problem(random, dispatch, sizes, false)),
    ...forms.map(int8Problem(random, dispatch, { ...sizes, inner: Math.min(sizes.inner, 1023) }, true)),
  ]);

/** A problem of a bucket `rows:..,columns:..,inner:..`, in blocks of 64. */
export function int8Trial(
  bucket: string,
  random: Random,
  of: { readonly forms: readonly Int8Form[]; readonly dispatch: Int8Dispatch; readonly rowsMax: number },
): FamilyTrial {
  const { forms, dispatch, rowsMax } = of;
  const asked = sizesOf(bucket);
  const sizeMax = rowsMax === 1 ? 2048 : 1024;
  const rows = Math.min(rowsMax, asked['rows'] ?? 1);
  const columns = Math.min(sizeMax, asked['columns'] ?? 1);
  const inner = Math.min(sizeMax, asked['inner'] ?? 1);
  const caseOf = int8Problem(random, dispatch, { rows, columns, inner, block: 64 }, true);
  return {
    caseOf: (name) => caseOf(variantNamed(forms, name)),
    work: rowsMax === 1 ? columns * (inner + inner / 16) + inner + 4 * columns : 2 * rows * columns * inner,
  };
}
