/**
 * What is true of products with weights in blocks, in f64, and the cases that every variant has to pass: of
 * `quant-matvec.ts` and `quant-matmul.ts`, which both call this and are not imported here.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { halfBits } from './half.ts';
import {
  dequantise,
  ggmlBlockBytes,
  quantBlock,
  quantWords,
  type QuantFormat,
  type QuantWeights,
} from './quant-blocks.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at, dot } from './truth.ts';
import { variantNamed, type QuantProduct, type QuantSizes } from './quant-kernel.ts';
import { sizesOf, type FamilyTrial, type Variant } from './variants.ts';

/** [rows, columns]: input [rows, inner] times the weight [columns, inner] transposed. */
export function quantTruth(
  input: Float64Array,
  weights: QuantWeights,
  { rows, columns, inner }: QuantSizes,
): Float64Array {
  const weight = dequantise(weights);
  return Float64Array.from({ length: rows * columns }, (_, index) =>
    dot(input, Math.floor(index / columns) * inner, weight, (index % columns) * inner, inner),
  );
}

export const quantTolerance: Tolerance = {
  absolute: 5e-4,
  relative: 5e-6,
  reason: 'sums of up to 2,176 products of normals with weights of about 1: the root of the count is 47',
};

/** Any quants, with scales that make weights of about 1. Faster than quantising as many normals. */
export function anyWeights(random: Random, format: QuantFormat, count: number): QuantWeights {
  const blocks = count / quantBlock;
  const spread = format === 'q4_0' ? 4.6 : 74;
  const quants = Uint32Array.from({ length: blocks * quantWords[format] }, () => random.u32());
  const half = (block: number): number => (block < blocks ? halfBits((0.5 + random.next()) / spread) : 0);
  const scales = Uint32Array.from(
    { length: Math.ceil(blocks / 2) },
    (_, word) => (half(2 * word) | (half(2 * word + 1) << 16)) >>> 0,
  );
  return { format, quants, scales };
}

export interface QuantVariant {
  readonly variant: Variant;
  readonly kernel: Readonly<Record<QuantFormat, { readonly name: string }>>;
}

export type QuantDispatch = (of: QuantProduct) => Dispatch;

interface Asked extends QuantSizes {
  readonly format: QuantFormat;
  readonly bias?: boolean;
  readonly accumulate?: boolean;
}

/** One problem on seeded inputs, the same for every variant. */
function quantProblem(random: Random, dispatch: QuantDispatch, asked: Asked): (own: QuantVariant) => KernelCase {
  const { format, rows, columns, inner, bias: hasBias = false, accumulate = false } = asked;
  const input = normals(random, rows * inner);
  const { quants, scales } = anyWeights(random, format, columns * inner);
  const bias = normals(random, columns);
  const output = normals(random, rows * columns);
  const product = quantTruth(toF64(input), { format, quants, scales }, asked);
  const expected = product.map(
    (sum, index) => sum + (hasBias ? at(bias, index % columns) : 0) + (accumulate ? at(output, index) : 0),
  );
  return ({ variant, kernel }) => ({
    kernel: kernel[format].name,
    variant,
    title: `${variant.name}, ${format}, ${rows} x ${inner} by ${columns} columns${hasBias ? ', bias' : ''}${accumulate ? ', added' : ''}`,
    tensors: { input, quants, scales, bias, output },
    // The safe variant takes tensors at any offset.
    ...(variant.name !== 'plain' && { alignment: 4 as const }),
    dispatches: (tensor) => [
      dispatch({
        format,
        input: tensor('input'),
        quants: tensor('quants'),
        scales: tensor('scales'),
        output: tensor('output'),
        ...(hasBias && { bias: tensor('bias') }),
        rows,
        columns,
        inner,
        accumulate,
        choices: { variantOf: () => variant.name },
      }),
    ],
    expected: { output: expected },
    tolerance: quantTolerance,
  });
}

/** Every variant and format at sizes that no tile divides. */
export const quantCases = (
  random: Random,
  dispatch: QuantDispatch,
  variants: readonly QuantVariant[],
  shapes: readonly QuantSizes[],
): KernelCase[] =>
  (['q4_0', 'q8_0'] as const).flatMap((format) =>
    shapes.flatMap((sizes, index) =>
      variants.map(
        quantProblem(random, dispatch, { ...sizes, format, bias: index % 2 === 1, accumulate: index % 3 === 1 }),
      ),
    ),
  );

/**
 * A problem of a bucket `rows:..,columns:..,inner:..`. Work is bytes read and written, or flops. Problems beyond `rowsMax` and
 * `sizeMax` say no more about which variant is fastest, and their truth takes too long.
 */
export function quantTrial(
  bucket: string,
  random: Random,
  of: {
    readonly format: QuantFormat;
    readonly bound: 'bytes' | 'flops';
    readonly rowsMax: number;
    readonly sizeMax: number;
    readonly variants: readonly QuantVariant[];
    readonly dispatch: QuantDispatch;
  },
): FamilyTrial {
  const sizes = sizesOf(bucket);
  const { format, bound, rowsMax, sizeMax, variants, dispatch } = of;
  const rows = Math.min(rowsMax, sizes['rows'] ?? 1);
  const columns = Math.min(sizeMax, sizes['columns'] ?? 1);
  const whole = Math.min(sizeMax, Math.max(quantBlock, sizes['inner'] ?? quantBlock));
  // A row of blocks that cannot be read by two.
  const inner = sizes['odd'] === undefined ? whole : Math.max(quantBlock, whole - quantBlock);
  const caseOf = quantProblem(random, dispatch, { format, rows, columns, inner });
  const weightBytes = (columns * inner * ggmlBlockBytes[format]) / quantBlock;
  return {
    caseOf: (name) => caseOf(variantNamed(variants, name)),
    work: bound === 'flops' ? 2 * rows * columns * inner : weightBytes + 4 * rows * (columns + inner),
  };
}
