/**
 * Products of int8 activations with int8 weights (`quantise-int8.ts` makes both): whole-number sums within a block, exact on
 * every adapter, then scaled. A block is as long as whoever quantised chose: 32 to 256 elements, or a whole row. Products
 * of few rows are a family of their own, as they are bound by reading weights; a row's bits never depend on how many rows there are.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { int8Cases, int8Trial } from './int8-cases.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Kernel, type Tensor } from './kernel.ts';
import { variantNamed } from './quant-kernel.ts';
import { blocksOfRow, wordsOfRow } from './quantise-int8-truth.ts';
import type { KernelCase } from './test-case.ts';
import { bucketOf, safeChoices, type Choices, type Family, type Variant } from './variants.ts';

export interface Int8Product {
  /** [rows][words] and [rows][blocks], as `Int8Blocks` has them. */
  readonly input: Tensor;
  readonly inputScales: Tensor;
  /** Of a weight [columns, inner]: [columns][words] and [columns][blocks]. */
  readonly weight: Tensor;
  readonly weightScales: Tensor;
  /** f32 [rows, columns]. */
  readonly output: Tensor;
  readonly rows: number;
  readonly columns: number;
  /** Up to 131,072 elements of a block add up without overflow. */
  readonly inner: number;
  /** Elements of a row that share a scale, a multiple of 4; the same for both operands. */
  readonly block: number;
  readonly choices?: Choices;
}

const tensors = ['input:u32', 'input_scales', 'weight:u32', 'weight_scales', '>output'] as const;
const numbers = ['rows', 'columns', 'words', 'block_words', 'blocks'] as const;
type Int8Kernel = Kernel<'input' | 'input_scales' | 'weight' | 'weight_scales' | 'output', (typeof numbers)[number]>;

interface Form {
  readonly variant: Variant;
  readonly kernel: Int8Kernel;
  /** Outputs of one invocation, or of one workgroup where `grouped`. */
  readonly rows: number;
  readonly columns: number;
  readonly grouped?: true;
}

const packedDot = ['packed_4x8_integer_dot_product'];
/** How words are multiplied, whole numbers either way. */
type Words = 'int8_shifts' | 'int8_dot';
const kernelOf = (
  shader: string,
  words: Words,
  entryPoint = 'main',
  size = 64,
  more: readonly string[] = [],
): Int8Kernel =>
  defineKernel({
    shader,
    parts: [words, 'int8_product', ...more],
    entryPoint,
    tensors,
    numbers,
    ...(size !== 64 && { constants: { workgroup_size: size } }),
  });

const matmulForms: readonly Form[] = [
  { variant: { name: 'plain', features: [] }, kernel: kernelOf('int8_matmul', 'int8_shifts'), rows: 4, columns: 4 },
  {
    variant: { name: 'packed', features: packedDot },
    kernel: kernelOf('int8_matmul', 'int8_dot'),
    rows: 4,
    columns: 4,
  },
  {
    variant: { name: 'packed-tile-64x64', features: packedDot },
    kernel: kernelOf('int8_matmul_tile', 'int8_dot', 'main', 256),
    rows: 64,
    columns: 64,
    grouped: true,
  },
];

const workgroupForm = (size: number): Form => ({
  variant: { name: `packed-workgroup-${size}`, features: packedDot },
  kernel: kernelOf('int8_matvec_workgroup', 'int8_dot', 'main', size, ['workgroup_sum']),
  rows: 1,
  columns: 4,
  grouped: true,
});

const matvecForms: readonly Form[] = [
  {
    variant: { name: 'plain', features: [] },
    kernel: kernelOf('int8_matmul', 'int8_shifts', 'row'),
    rows: 1,
    columns: 4,
  },
  {
    variant: { name: 'packed', features: packedDot },
    kernel: kernelOf('int8_matmul', 'int8_dot', 'row'),
    rows: 1,
    columns: 4,
  },
  workgroupForm(64),
  workgroupForm(128),
];

/** output = input x transposed weight, for many rows. */
export function int8MatmulDispatch(of: Int8Product): Dispatch {
  const { rows, columns, inner, choices = safeChoices } = of;
  const chosen = choices.variantOf(int8MatmulFamily, bucketOf({ rows, columns, inner }));
  return dispatchAs(variantNamed(matmulForms, chosen), of);
}

/** output = input x transposed weight, for 1 to 64 rows. */
export function int8MatvecDispatch(of: Int8Product): Dispatch {
  const { columns, inner, choices = safeChoices } = of;
  const chosen = choices.variantOf(int8MatvecFamily, bucketOf({ columns, inner }));
  return dispatchAs(variantNamed(matvecForms, chosen), of);
}

function dispatchAs(form: Form, of: Int8Product): Dispatch {
  const { input, inputScales, weight, weightScales, output, rows, columns, inner, block } = of;
  assert(block % 4 === 0 && block > 0, `int8 product: a block of ${block} elements is no multiple of 4`);
  assert(
    Math.min(block, inner) <= 131_072,
    `int8 product: sums of ${block} elements may overflow 32 bits; use shorter blocks`,
  );
  const tiles = Math.ceil(rows / form.rows) * Math.ceil(columns / form.columns);
  return dispatchOf(
    form.kernel,
    { input, input_scales: inputScales, weight, weight_scales: weightScales, output },
    { rows, columns, words: wordsOfRow(of), block_words: block / 4, blocks: blocksOfRow(of) },
    form.grouped === true ? rowGrid(tiles) : elementGrid(tiles),
  );
}

export const int8MatmulFamily: Family = {
  name: 'int8-matmul',
  variants: matmulForms.map(({ variant }) => variant),
  bound: 'flops',
  trial: (bucket, random) =>
    int8Trial(bucket, random, { forms: matmulForms, dispatch: int8MatmulDispatch, rowsMax: 128 }),
  shown: [bucketOf({ rows: 128, columns: 1024, inner: 1024 })],
};

export const int8MatvecFamily: Family = {
  name: 'int8-matvec',
  variants: matvecForms.map(({ variant }) => variant),
  bound: 'bytes',
  trial: (bucket, random) =>
    int8Trial(bucket, random, { forms: matvecForms, dispatch: int8MatvecDispatch, rowsMax: 1 }),
  shown: [bucketOf({ columns: 2048, inner: 2048 })],
};

export const int8Kernels = [...matmulForms, ...matvecForms].map(({ kernel }) => kernel);

export const int8MatmulCases = (random: Random): KernelCase[] => [
  ...int8Cases(random, matmulForms, int8MatmulDispatch, [
    { rows: 1, columns: 1, inner: 1, block: 4 },
    { rows: 65, columns: 97, inner: 315, block: 64 },
    { rows: 3, columns: 315, inner: 97, block: 100 },
    { rows: 97, columns: 3, inner: 2179, block: 256 },
  ]),
  ...int8Cases(random, matvecForms, int8MatvecDispatch, [
    { rows: 1, columns: 3, inner: 2179, block: 64 },
    { rows: 17, columns: 97, inner: 65, block: 68 },
  ]),
];
