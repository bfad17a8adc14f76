/** What the shaders of `quant-matvec.ts` and `quant-matmul.ts` have in common: their declaration, and how a product is asked. */

import { present } from '../core/assert.ts';
import { defineKernel, type Kernel, type Tensor } from './kernel.ts';
import { quantBlock, type QuantFormat } from './quant-blocks.ts';
import type { Choices, Variant } from './variants.ts';

export interface QuantSizes {
  readonly rows: number;
  readonly columns: number;
  /** A multiple of 32. */
  readonly inner: number;
}

export interface QuantProduct extends QuantSizes {
  readonly format: QuantFormat;
  /** [rows, inner]. */
  readonly input: Tensor;
  /** Of a weight [columns, inner], as `QuantWeights` has it; the offset counts words. */
  readonly quants: Tensor;
  /** The same weight's scales; the offset counts words. */
  readonly scales: Tensor;
  /** [rows, columns]. */
  readonly output: Tensor;
  /** [columns]. */
  readonly bias?: Tensor;
  /** Adds to what the output holds, as a residual stream wants it; default false. */
  readonly accumulate?: boolean;
  /** Elements from one row of output to the next; default columns. */
  readonly outputStride?: number;
  readonly choices?: Choices;
}

const tensors = ['input', 'quants:u32', 'scales:u32', 'bias', '>output'] as const;
const numbers = ['rows', 'columns', 'blocks', 'has_bias', 'accumulate', 'output_stride'] as const;
type QuantKernel = Kernel<'input' | 'quants' | 'scales' | 'bias' | 'output', (typeof numbers)[number]>;

/** One shader's kernel for each format. */
export type QuantKernels = Readonly<Record<QuantFormat, QuantKernel>>;

/** Parts of shaders that read single words, at any offset, and unpack them by shifts. */
export const quantOnes = ['quant_ones', 'quant_product', 'quant_bytes', 'quant_nibbles_shifted'] as const;

/** Parts of shaders that read four words at once: see `readsFours`. */
export const quantFours = ['quant_fours', 'quant_product'] as const;

/** Whether the product's inputs and quants lie so that shaders can read four words at once. */
export const readsFours = ({ input, quants }: QuantProduct): boolean =>
  [input, quants].every(({ offset = 0 }) => offset % 4 === 0);

export function quantKernels(
  shader: string,
  parts: readonly string[],
  constants: Readonly<Record<string, number>> = {},
): QuantKernels {
  const of = (bits: number): QuantKernel =>
    defineKernel({ shader, parts, tensors, numbers, constants: { ...constants, bits } });
  return { q4_0: of(4), q8_0: of(8) };
}

/** Every binding wants a buffer, read or not. */
export const boundOf = ({ input, quants, scales, output, bias }: QuantProduct) => ({
  input,
  quants,
  scales,
  bias: bias ?? input,
  output,
});

export const quantNumbersOf = ({ rows, columns, inner, bias, accumulate = false, outputStride }: QuantProduct) => ({
  rows,
  columns,
  blocks: inner / quantBlock,
  has_bias: bias === undefined ? 0 : 1,
  accumulate: accumulate ? 1 : 0,
  output_stride: outputStride ?? columns,
});

/** The variant of this name; there must be one. */
export const variantNamed = <Own extends { readonly variant: Variant }>(all: readonly Own[], name: string): Own =>
  present(
    all.find(({ variant }) => variant.name === name),
    `there is no variant '${name}'`,
  );
