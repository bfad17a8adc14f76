/**
 * Matrix product in the three forms that a network needs: NT forward (weights stored [out, in]), NN for the gradient of
 * the input, TN for the gradient of the weights; with bias, activation and residual. Every output element sums over
 * `inner` in ascending order in every variant, so a row's result does not depend on how many rows there are. Variants
 * differ in who reads what: software adapters want large register tiles, GPUs want tiles in a workgroup's memory.
 */

import type { Dispatch } from './device.ts';
import { gridOf, type Grid } from './grid.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import type { Activation, MatmulForm, MatmulSizes } from './matmul-truth.ts';
import { matmulTrial } from './matmul-trial.ts';
import { bucketOf, safeChoices, type Choices, type Family, type Variant } from './variants.ts';

export { matmulTolerance, matmulTruth, type Activation, type MatmulForm } from './matmul-truth.ts';

const epilogue = ['has_bias', 'activation', 'has_residual', 'accumulate', 'output_stride'] as const;
const plainDeclaration = {
  shader: 'matmul',
  parts: ['matmul_activation'],
  tensors: ['left', 'right:u32', 'bias', 'residual', '>output'],
  numbers: [
    'rows',
    'columns',
    'inner',
    'left_row_stride',
    'left_inner_stride',
    'right_inner_stride',
    'right_column_stride',
    ...epilogue,
  ],
} as const;
const tiledDeclaration = {
  shader: 'matmul_tiled',
  parts: ['matmul_activation'],
  tensors: ['left', 'right:u32', 'left_wide', 'right_wide', 'bias', 'residual', '>output'],
  numbers: [
    'rows',
    'columns',
    'inner',
    'left_line_stride',
    'left_step_stride',
    'right_line_stride',
    'right_step_stride',
    ...epilogue,
  ],
} as const;
const quadDeclaration = { shader: 'matmul_quad', numbers: ['rows', 'columns', 'inner', ...epilogue] } as const;
const quadTensors = {
  f32: ['left', 'right', 'bias', 'residual', '>output'],
  f16: ['left', 'right:u32', 'bias', 'residual', '>output'],
} as const;

const byStorage = (entryPoint: string) => ({
  f32: defineKernel({ ...plainDeclaration, entryPoint }),
  f16: defineKernel({ ...plainDeclaration, entryPoint, constants: { half_weights: 1 } }),
});
const plain = byStorage('main');
const single = byStorage('single_row');
/** How weights are stored: floats, or halves, two in each word, the first in the low half; offsets count elements. */
export type WeightStorage = 'f32' | 'f16';

export interface MatmulOptions extends MatmulSizes {
  readonly form: MatmulForm;
  readonly left: Tensor;
  readonly right: Tensor;
  readonly output: Tensor;
  /** How `right` is stored; halves only in form NT. Default f32. */
  readonly weights?: WeightStorage;
  /** [columns], added to every row of the product. */
  readonly bias?: Tensor;
  /** Of product and bias; default none. */
  readonly activation?: Activation;
  /** [rows, columns], added after the activation; in another buffer than the output. To add in place use `accumulate`. */
  readonly residual?: Tensor;
  /** Whether all this is added to what the output holds; default false. */
  readonly accumulate?: boolean;
  /** Elements from one row of output and residual to the next; default columns. */
  readonly outputStride?: number;
  readonly choices?: Choices;
}

/** output [rows, columns] = activation(left x right + bias) + residual, or output += that with `accumulate`. */
export function matmulDispatch(of: MatmulOptions): Dispatch {
  const { rows, weights = 'f32', choices = safeChoices } = of;
  // A single row would leave most of a tile idle; one invocation an element keeps the same order of sums.
  if (rows === 1) return plainDispatch(single[weights], of, elementGrid(of.columns));
  const variant = choices.variantOf(matmulFamily, matmulBucket(of));
  const tile = tiles[variant];
  if (tile !== undefined) return tiledDispatch(tile, of);
  const quadRows = quads[variant];
  if (quadRows !== undefined && isWide(waysOf(of), of)) return quadDispatch(quadRows, of);
  return plainDispatch(plain[weights], of, elementGrid(Math.ceil(rows / 8) * Math.ceil(of.columns / 4)));
}

function plainDispatch(kernel: (typeof plain)['f32'], of: MatmulOptions, grid: Grid): Dispatch {
  const { form, rows, columns, inner } = of;
  const strides = {
    left_row_stride: form === 'TN' ? 1 : inner,
    left_inner_stride: form === 'TN' ? rows : 1,
    right_inner_stride: form === 'NT' ? 1 : columns,
    right_column_stride: form === 'NT' ? inner : 1,
  };
  return dispatchOf(kernel, boundOf(of), { ...sizesAndEpilogue(of), ...strides }, grid);
}

function tiledDispatch({ down, across }: Tile, of: MatmulOptions): Dispatch {
  const { form, left, right, rows, columns, inner } = of;
  const strides = {
    left_line_stride: form === 'TN' ? 1 : inner,
    left_step_stride: form === 'TN' ? rows : 1,
    right_line_stride: form === 'NT' ? inner : 1,
    right_step_stride: form === 'NT' ? 1 : columns,
  };
  const constants = { threads_down: down, threads_across: across, ...waysOf(of) };
  const groups = Math.ceil(rows / (8 * down)) * Math.ceil(columns / (8 * across));
  const bound = { ...boundOf(of), left_wide: left, right_wide: right };
  return dispatchOf(tiledKernel(constants), bound, { ...sizesAndEpilogue(of), ...strides }, gridOf(groups, 1));
}

function quadDispatch(height: number, of: MatmulOptions): Dispatch {
  const { form, weights = 'f32', rows, columns } = of;
  // Four neighbours make the same rows, so that invocations across come in fours.
  const invocations = Math.ceil(rows / height) * Math.ceil(columns / 32) * 4;
  const places = [
    columns,
    of.outputStride ?? columns,
    ...[of.output, of.bias, of.residual].map((tensor) => tensor?.offset ?? 0),
  ];
  const kernel = quadKernel(form, weights, places.every((place) => place % 4 === 0) ? 'fours' : 'ones', height);
  return dispatchOf(kernel, boundOf(of), sizesAndEpilogue(of), gridOf(invocations, quadInvocations));
}

/** Every binding wants a buffer, read or not. */
const boundOf = ({ left, right, bias, residual, output }: MatmulOptions) => ({
  left,
  right,
  bias: bias ?? left,
  residual: residual ?? left,
  output,
});

const sizesAndEpilogue = (of: MatmulOptions) => ({
  rows: of.rows,
  columns: of.columns,
  inner: of.inner,
  has_bias: of.bias === undefined ? 0 : 1,
  activation: activations.indexOf(of.activation ?? 'none'),
  has_residual: of.residual === undefined ? 0 : 1,
  accumulate: of.accumulate === true ? 1 : 0,
  output_stride: of.outputStride ?? of.columns,
});
const activations: readonly Activation[] = ['none', 'gelu', 'silu', 'relu'];

/** `-odd` where the operands cannot be read by four elements. */
const matmulBucket = (of: MatmulOptions): string => {
  const { form, weights = 'f32', rows, columns, inner } = of;
  const odd = isWide(waysOf(of), of) ? '' : '-odd';
  return `${form}${weights === 'f16' ? '-f16' : ''}${odd},${bucketOf({ rows, columns, inner })}`;
};
const isWideBucket = (bucket: string): boolean => !bucket.includes('-odd,');

/** How the tiled shader reads the operands: by four elements where they lie so, see `left_way` and `right_way` there. */
function waysOf({ form, left, right, rows, columns, inner, weights = 'f32' }: MatmulOptions): Ways {
  const wayOf = (byLines: boolean, length: number, offset = 0): number => {
    if (length % 4 !== 0 || offset % 4 !== 0) return 0;
    return byLines ? 2 : 1;
  };
  const leftWay = form === 'TN' ? wayOf(true, rows, left.offset) : wayOf(false, inner, left.offset);
  if (weights === 'f16') {
    const isEven = inner % 2 === 0 && (right.offset ?? 0) % 2 === 0;
    return { left_way: leftWay, right_way: isEven ? 4 : 3 };
  }
  const rightWay = form === 'NT' ? wayOf(false, inner, right.offset) : wayOf(true, columns, right.offset);
  return { left_way: leftWay, right_way: rightWay };
}

/** Whether both operands can be read by four elements throughout. */
const isWide = ({ left_way, right_way }: Ways, { inner, right }: MatmulOptions): boolean =>
  left_way > 0 && right_way > 0 && inner % 4 === 0 && (right_way < 3 || (right.offset ?? 0) % 4 === 0);

interface Ways {
  readonly left_way: number;
  readonly right_way: number;
}

/** The default of `workgroup_size` in `matmul_quad.wgsl`. */
const quadInvocations = 16;

/** Rows that an invocation of the variant makes. */
const quads: Readonly<Record<string, number>> = { 'quad-16x8': 16, 'quad-32x8': 32 };

const quadKernels = new Map<string, ReturnType<typeof makeQuad>>();
const makeQuad = (weights: WeightStorage, parts: readonly string[], constants: Readonly<Record<string, number>>) =>
  defineKernel({ ...quadDeclaration, tensors: quadTensors[weights], parts, constants });

/** `outputs` says whether bias, residual and output lie at multiples of four, and columns are one. */
function quadKernel(form: MatmulForm, weights: WeightStorage, outputs: 'fours' | 'ones', height: number) {
  const left = form === 'TN' ? 'left_steps' : 'left_rows';
  const right = form === 'NT' ? (weights === 'f16' ? 'right_halves' : 'right_columns') : 'right_steps';
  const own = [left, right, `output_${outputs}`].map((part) => `matmul_quad_${part}`);
  const parts = ['quad_blocks', ...own, 'matmul_activation'];
  const key = `${parts.join()} ${height}`;
  const kernel = quadKernels.get(key) ?? makeQuad(weights, parts, { is_tall: height === 32 ? 1 : 0 });
  quadKernels.set(key, kernel);
  return kernel;
}

const tiledKernels = new Map<string, ReturnType<typeof makeTiled>>();
const makeTiled = (constants: Readonly<Record<string, number>>) => defineKernel({ ...tiledDeclaration, constants });

function tiledKernel(constants: Readonly<Record<string, number>>): ReturnType<typeof makeTiled> {
  const key = JSON.stringify(constants);
  const kernel = tiledKernels.get(key) ?? makeTiled(constants);
  tiledKernels.set(key, kernel);
  return kernel;
}

/** Invocations of a workgroup, each of which makes 8 rows of 8 columns. */
interface Tile {
  readonly down: number;
  readonly across: number;
}

const tiles: Readonly<Record<string, Tile>> = {
  'tile-64x64': { down: 8, across: 8 },
  'tile-128x64': { down: 16, across: 8 },
  'tile-128x128': { down: 16, across: 16 },
};

/** Both tiles of a slice of 16 steps, padded by four floats a step: 16,896 bytes; WebGPU's default is 16,384. */
const largeTileBytes = 16 * (132 + 132) * 4;

export const matmulVariants: readonly Variant[] = [
  { name: 'plain', features: [] },
  { name: 'quad-16x8', features: ['subgroups'], serves: isWideBucket },
  {
    name: 'quad-32x8',
    features: ['subgroups'],
    serves: isWideBucket,
    follows: 'quad-16x8',
    // llvmpipe, which has larger workgroups, compiles it for many seconds and gains nothing from it.
    suits: ({ workgroupInvocationsMax }) => workgroupInvocationsMax <= 256,
  },
  { name: 'tile-64x64', features: [] },
  { name: 'tile-128x64', features: [], follows: 'tile-64x64' },
  {
    name: 'tile-128x128',
    features: [],
    follows: 'tile-64x64',
    suits: ({ workgroupBytesMax, workgroupInvocationsMax }) =>
      workgroupBytesMax >= largeTileBytes && workgroupInvocationsMax >= 256,
  },
];

export const matmulFamily: Family = {
  name: 'matmul',
  variants: matmulVariants,
  bound: 'flops',
  trial: (bucket, random) => matmulTrial(matmulVariants, matmulDispatch, bucket, random),
  shown: (['NN', 'NT', 'TN', 'NT-f16'] as const).map(
    (form) => `${form},${bucketOf({ rows: 512, columns: 512, inner: 512 })}`,
  ),
};

/** Each shader with its parts once; others differ in overrides alone. */
export const matmulKernels = [
  ...Object.values(plain),
  ...Object.values(single),
  ...(['fours', 'ones'] as const).flatMap((outputs) => [
    quadKernel('NN', 'f32', outputs, 16),
    quadKernel('TN', 'f32', outputs, 16),
    quadKernel('NT', 'f32', outputs, 16),
    quadKernel('NT', 'f16', outputs, 16),
  ]),
  makeTiled({ threads_down: 16, threads_across: 8 }),
];
