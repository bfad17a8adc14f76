/**
 * Matrix times few rows, as decode has them: each row's projection by a weight [columns, inner], f32 or packed halves, with
 * what stands around it in a transformer: RMSNorm of the input (Zhang and Sennrich, 2019), bias, the residual in place, and
 * the gate of a SwiGLU feed-forward (Shazeer, 2020). A row's sums do not depend on how many rows there are, nor does the
 * choice of variant. Many rows are `matmul.ts`'s; truths and cases are in `matvec-cases.ts`.
 */

import { present } from '../core/assert.ts';
import type { Dispatch } from './device.ts';
import { gridOf, type Grid } from './grid.ts';
import { defineKernel, dispatchOf, elementGrid, type Kernel, type Tensor } from './kernel.ts';
import type { WeightStorage } from './matmul.ts';
import { matvecTrial } from './matvec-trial.ts';
import { variantNamed } from './quant-kernel.ts';
import { bucketOf, safeChoices, type Choices, type Family, type Variant } from './variants.ts';

/** RMSNorm of the input before the product: gain * x / sqrt(mean(x^2) + epsilon). */
export interface FusedNorm {
  /** [inner]. */
  readonly gain: Tensor;
  readonly epsilon: number;
}

const numbers = [
  'rows',
  'columns',
  'inner',
  'has_norm',
  'epsilon:f32',
  'has_bias',
  'accumulate',
  'output_stride',
] as const;
type MatvecKernel = Kernel<
  'input' | 'weight' | 'gain' | 'bias' | 'output',
  'rows' | 'columns' | 'inner' | 'has_norm' | 'epsilon' | 'has_bias' | 'accumulate' | 'output_stride'
>;
/** How many elements a shader reads at once. */
type Width = 'ones' | 'fours' | 'sixteens';
type Shader = 'matvec' | 'matvec_shared' | 'matvec_subgroup' | 'matvec_quad' | 'matvec_quad_rows';

function kernelOf(shader: Shader, width: Width, weights: WeightStorage, gated: boolean, blocks = 0): MatvecKernel {
  const isHalf = weights === 'f16';
  const usesSubgroups = shader === 'matvec_subgroup' || shader.startsWith('matvec_quad');
  const usesShare = shader === 'matvec_shared' || shader === 'matvec_subgroup';
  const of = {
    shader,
    parts: [
      ...(usesSubgroups ? ['subgroups'] : []),
      width === 'ones' ? 'matvec_ones' : `matvec_${isHalf ? 'half_' : ''}${width}`,
      'matvec_product',
      ...(usesShare ? ['matvec_share'] : []),
      ...(shader === 'matvec_shared' ? ['workgroup_sum'] : []),
    ],
    numbers,
    constants: {
      gated: gated ? 1 : 0,
      ...(width === 'ones' && { half_weights: isHalf ? 1 : 0 }),
      ...(blocks > 0 && { blocks }),
    },
  };
  return width === 'ones' || isHalf
    ? defineKernel({ ...of, tensors: ['input', 'weight:u32', 'gain', 'bias', '>output'] })
    : defineKernel({ ...of, tensors: ['input', 'weight', 'gain', 'bias', '>output'] });
}

interface Form {
  readonly variant: Variant;
  readonly shader: Shader;
  /** Widest first; the first that the tensors allow is taken, and where none is the safe variant. */
  readonly widths: readonly Width[];
  readonly grid: (rows: number, rowPairs: number) => Grid;
  /** For two rows and more, with the same bits: a weight is read once for several of them. */
  readonly severalRows?: {
    readonly shader: Shader;
    readonly grid: (rows: number, rowPairs: number, blocks: number) => Grid;
  };
}

/** Blocks of four rows that an invocation makes, of which its shader knows 1, 2 and 4. */
const blocksOf = (rows: number): number => (rows > 8 ? 4 : rows > 4 ? 2 : 1);

/** Invocations of a workgroup of `matvec_quad.wgsl`. */
const quadInvocations = 16;

const plain: Form = {
  variant: { name: 'plain', features: [] },
  shader: 'matvec',
  widths: ['ones'],
  grid: (rows, rowPairs) => elementGrid(rows * rowPairs),
};

const forms: readonly Form[] = [
  plain,
  {
    variant: { name: 'workgroup', features: [] },
    shader: 'matvec_shared',
    widths: ['fours', 'ones'],
    grid: (rows, rowPairs) => gridOf(rows * rowPairs, 1),
  },
  {
    variant: { name: 'subgroup', features: ['subgroups'] },
    shader: 'matvec_subgroup',
    widths: ['fours', 'ones'],
    grid: (rows, rowPairs) => gridOf(rows * rowPairs, 4),
  },
  {
    variant: {
      name: 'quad',
      features: ['subgroups'],
      serves: (bucket) => !bucket.includes('-odd,'),
      // llvmpipe, which has larger workgroups, compiles it for seconds, and for many rows for a minute.
      suits: ({ workgroupInvocationsMax }) => workgroupInvocationsMax <= 256,
    },
    shader: 'matvec_quad',
    widths: ['sixteens'],
    // An invocation makes four pairs of a row, which its three neighbours make too.
    grid: (rows, rowPairs) => gridOf(rows * Math.ceil(rowPairs / 16) * 4, quadInvocations),
    // Four pairs of so many blocks of rows.
    severalRows: {
      shader: 'matvec_quad_rows',
      grid: (rows, rowPairs, blocks) =>
        gridOf(Math.ceil(rows / (4 * blocks)) * Math.ceil(rowPairs / 16) * 4, quadInvocations),
    },
  },
];

const keyOf = (...of: Parameters<typeof kernelOf>): string => of.join();
const kernels: ReadonlyMap<string, MatvecKernel> = new Map(
  forms.flatMap(({ shader, severalRows, widths }) =>
    widths.flatMap((width) =>
      (['f32', 'f16'] as const).flatMap((weights) =>
        [false, true].flatMap((gated): [string, MatvecKernel][] => {
          const made = [...(severalRows === undefined ? [] : [1, 2, 4])].map(
            (blocks) =>
              [
                keyOf('matvec_quad_rows', width, weights, gated, blocks),
                kernelOf('matvec_quad_rows', width, weights, gated, blocks),
              ] satisfies [string, MatvecKernel],
          );
          return [[keyOf(shader, width, weights, gated), kernelOf(shader, width, weights, gated)], ...made];
        }),
      ),
    ),
  ),
);

export const matvecKernels = [...kernels.values()];

export const matvecVariants: readonly Variant[] = forms.map(({ variant }) => variant);

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
  /** Elements from one row of output to the next; default columns. */
  readonly outputStride?: number;
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
  const { rows, columns, inner, weights = 'f32', choices = safeChoices } = of;
  // What the widest elements do not fit has a bucket of its own, as `quad` does not serve it.
  const odd = allows('sixteens', of) ? '' : '-odd';
  const bucket = `${weights}${odd},${bucketOf({ columns: gated ? 2 * columns : columns, inner })}`;
  const chosen = variantNamed(forms, choices.variantOf(matvecFamily, bucket));
  const width = chosen.widths.find((own) => allows(own, of));
  const form = width === undefined ? plain : chosen;
  const rowPairs = gated ? columns : Math.ceil(columns / 2);
  const several = rows > 1 ? form.severalRows : undefined;
  const blocks = blocksOf(rows);
  const key =
    several === undefined
      ? keyOf(form.shader, width ?? 'ones', weights, gated)
      : keyOf(several.shader, width ?? 'ones', weights, gated, blocks);
  const kernel = present(kernels.get(key), `matvec does not know weights ${weights}`);
  const grid = several === undefined ? form.grid(rows, rowPairs) : several.grid(rows, rowPairs, blocks);
  return dispatchOf(kernel, boundOf(of), sizesOf(of), grid);
}

/** Whether rows and tensors start where elements of this width do. */
function allows(width: Width, { input, weight, inner }: MatvecOptions): boolean {
  const own = { ones: 1, fours: 4, sixteens: 16 }[width];
  return inner % own === 0 && (weight.offset ?? 0) % own === 0 && (input.offset ?? 0) % Math.min(own, 4) === 0;
}

/** Every binding wants a buffer, read or not. */
const boundOf = ({ input, weight, output, norm, bias }: MatvecOptions) => ({
  input,
  weight,
  gain: norm?.gain ?? input,
  bias: bias ?? input,
  output,
});

const sizesOf = ({ rows, columns, inner, norm, bias, accumulate = false, outputStride }: MatvecOptions) => ({
  rows,
  columns,
  inner,
  has_norm: norm === undefined ? 0 : 1,
  epsilon: norm?.epsilon ?? 0,
  has_bias: bias === undefined ? 0 : 1,
  accumulate: accumulate ? 1 : 0,
  output_stride: outputStride ?? columns,
});
