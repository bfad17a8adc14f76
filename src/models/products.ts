/**
 * Products with the weights of `network-weights.ts`, whatever their format and into however many parts they are cut: each
 * part's product lands at its place in the output's rows, with the same bits as a whole matrix would give. Whether kernels
 * for few rows or for many run is the caller's word, never the number of rows: a row's bits must not depend on its company.
 */

import { assert, present } from '../core/assert.ts';
import type { Dispatch } from '../kernels/device.ts';
import { embeddingPartDispatch } from '../kernels/embedding-part.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { matmulDispatch } from '../kernels/matmul.ts';
import { gatedMatvecDispatch, matvecDispatch, type FusedNorm } from '../kernels/matvec.ts';
import { quantMatmulDispatch } from '../kernels/quant-matmul.ts';
import { quantMatvecDispatch } from '../kernels/quant-matvec.ts';
import { rmsNormDispatch } from '../kernels/rms-norm.ts';
import { siluGateDispatch } from '../kernels/silu-gate.ts';
import type { Choices } from '../kernels/variants.ts';
import type { WeightMatrix, WeightPart } from './network-weights.ts';

/** What products write on their way; none of it outlives them. */
export interface ProductScratch {
  /** [rows, columns of the widest matrix with a norm]. */
  readonly normed: Tensor;
  /** [rows]. */
  readonly inverseRms: Tensor;
}

interface Common {
  /** [rows, columns]. */
  readonly input: Tensor;
  readonly rows: number;
  /** RMSNorm of the input first. */
  readonly norm?: FusedNorm;
  /** Needed with `norm`. */
  readonly scratch?: ProductScratch;
  /** Whether kernels for many rows run, as prefill wants them, or those for few. */
  readonly many: boolean;
  readonly choices: Choices;
}

export interface Product extends Common {
  /** [rows, rows of the matrix]. */
  readonly output: Tensor;
  /** [rows of the matrix]. */
  readonly bias?: Tensor;
  /** Adds to what the output holds, as a residual stream wants it; default false. */
  readonly accumulate?: boolean;
}

/** output = norm(input) x transposed matrix + bias, or output += that. */
export function productDispatches(matrix: WeightMatrix, of: Product): Dispatch[] {
  const { norm, ...own } = of;
  const fuses = norm !== undefined && !of.many && matrix.parts.every(isUnpacked);
  const first = norm === undefined || fuses ? [] : [normDispatch(matrix, of, norm)];
  const input = first.length > 0 ? scratchOf(of).normed : of.input;
  const fused = { ...own, input, ...(fuses && { norm }) };
  return [...first, ...matrix.parts.map((part) => partDispatch(matrix, part, fused))];
}

export interface GatedProduct extends Common {
  /** [rows, rows of the matrix]: what both halves make; used where they are not one kernel. */
  readonly gateUp: Tensor;
  /** [rows, half of the matrix's rows]. */
  readonly output: Tensor;
}

/** output = silu(norm(input) x gate) * (norm(input) x up), the gate being the first half of the matrix's rows. */
export function gatedProductDispatches(matrix: WeightMatrix, { gateUp, output, ...of }: GatedProduct): Dispatch[] {
  const { input, rows, norm, many, choices } = of;
  const hidden = matrix.rows / 2;
  const [whole] = matrix.parts;
  if (!many && matrix.parts.length === 1 && whole !== undefined && isUnpacked(whole)) {
    const { format, values: weight } = whole;
    const own = { input, weight, output, rows, hidden, inner: matrix.columns, weights: format, choices };
    return [gatedMatvecDispatch({ ...own, ...(norm && { norm }) })];
  }
  return [...productDispatches(matrix, { ...of, output: gateUp }), siluGateDispatch({ gateUp, output, rows, hidden })];
}

export interface EmbeddingRows {
  /** u32 [rows]. */
  readonly tokens: Tensor;
  /** [rows, columns]; a token outside the vocabulary gives zeros. */
  readonly output: Tensor;
  readonly rows: number;
}

/** The matrix's rows by token. */
export const embeddingDispatches = (matrix: WeightMatrix, { tokens, output, rows }: EmbeddingRows): Dispatch[] =>
  matrix.parts.map(({ firstRow, rows: count, format, values: table, scales }) =>
    embeddingPartDispatch({
      format,
      tokens,
      table,
      output,
      rows,
      width: matrix.columns,
      first: firstRow,
      count,
      vocabulary: matrix.rows,
      ...(scales && { scales }),
    }),
  );

type Unpacked = WeightPart & { readonly format: 'f32' | 'f16' };
const isUnpacked = (part: WeightPart): part is Unpacked => part.format === 'f32' || part.format === 'f16';

const scratchOf = ({ scratch }: Common): ProductScratch => present(scratch, 'a norm before this product needs scratch');

function normDispatch(matrix: WeightMatrix, of: Common, { gain, epsilon }: FusedNorm): Dispatch {
  const { normed, inverseRms } = scratchOf(of);
  const { input, rows, choices } = of;
  const sizes = { rows, width: matrix.columns, epsilon };
  return rmsNormDispatch({ input, weight: gain, output: normed, inverseRms, ...sizes, choices });
}

function partDispatch(matrix: WeightMatrix, part: WeightPart, of: Product): Dispatch {
  const { input, output, bias, rows, norm, many, accumulate = false, choices } = of;
  const at = (tensor: Tensor): Tensor => ({ buffer: tensor.buffer, offset: (tensor.offset ?? 0) + part.firstRow });
  const common = {
    rows,
    columns: part.rows,
    inner: matrix.columns,
    output: at(output),
    outputStride: matrix.rows,
    accumulate,
    choices,
    ...(bias && { bias: at(bias) }),
  };
  if (isUnpacked(part)) {
    const { values, format: weights } = part;
    return many
      ? matmulDispatch({ ...common, form: 'NT', left: input, right: values, weights })
      : matvecDispatch({ ...common, input, weight: values, weights, ...(norm && { norm }) });
  }
  const { format, values: quants, scales } = part;
  assert(format === 'q4_0' || format === 'q8_0', `${matrix.name}: no product for ${format}`);
  const own = { ...common, format, input, quants, scales: present(scales, `${matrix.name}: ${format} without scales`) };
  return many ? quantMatmulDispatch(own) : quantMatvecDispatch(own);
}
