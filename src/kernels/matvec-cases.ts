/** What is true of `matvec.ts`, in f64, and the cases that every variant of it has to pass. */

import type { Random } from '../core/prng.ts';
import { packHalves, unpackHalves } from './half.ts';
import type { Tensor } from './kernel.ts';
import { gatedMatvecDispatch, matvecDispatch, type WeightStorage } from './matvec.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at, dot, plus } from './truth.ts';
import type { Choices, Variant } from './variants.ts';

export interface MatvecTruth {
  /** [rows, inner]. */
  readonly input: Float64Array;
  /** [columns, inner]. */
  readonly weight: Float64Array;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly norm?: { readonly gain: Float64Array; readonly epsilon: number };
  readonly bias?: Float64Array;
}

/** [rows, columns]. */
export function matvecTruth({ input, weight, rows, columns, inner, norm, bias }: MatvecTruth): Float64Array {
  const output = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const own = input.slice(row * inner, (row + 1) * inner);
    const scale = norm === undefined ? 1 : 1 / Math.sqrt(dot(own, 0, own, 0, inner) / inner + norm.epsilon);
    const normed = norm === undefined ? own : own.map((value, index) => value * scale * at(norm.gain, index));
    for (let column = 0; column < columns; column++) {
      const sum = dot(normed, 0, weight, column * inner, inner);
      output[row * columns + column] = sum + (bias === undefined ? 0 : at(bias, column));
    }
  }
  return output;
}

/** [rows, hidden] of a weight [2 * hidden, inner]. */
export function gatedMatvecTruth({
  hidden,
  ...of
}: Omit<MatvecTruth, 'columns'> & { readonly hidden: number }): Float64Array {
  const both = matvecTruth({ ...of, columns: 2 * hidden });
  return Float64Array.from({ length: of.rows * hidden }, (_, index) => {
    const start = Math.floor(index / hidden) * 2 * hidden + (index % hidden);
    const gate = at(both, start);
    return (gate / (1 + Math.exp(-gate))) * at(both, start + hidden);
  });
}

export const matvecTolerance: Tolerance = {
  absolute: 5e-4,
  relative: 5e-6,
  reason:
    'sums of up to 2,179 products of standard normals, the root of whose count is 47, and 1 / sqrt and exp of WGSL',
};

/** Every variant at sizes that no tile divides, with and without what stands around the product. */
export const matvecCases = (variants: readonly Variant[], random: Random): KernelCase[] =>
  variants.flatMap((variant) =>
    (['f32', 'f16'] as const).flatMap((weights) => [
      ...shapes.map((shape, index) => matvecCase(variant, weights, shape, index, random)),
      ...gatedShapes.map((shape, index) => gatedCase(variant, weights, shape, index, random)),
    ]),
  );

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

const shapes: readonly Shape[] = [
  { rows: 1, columns: 1, inner: 1 },
  { rows: 1, columns: 315, inner: 97 },
  { rows: 1, columns: 65, inner: 2179 },
  { rows: 3, columns: 97, inner: 65 },
  { rows: 16, columns: 3, inner: 315 },
  { rows: 5, columns: 64, inner: 128 },
  { rows: 64, columns: 65, inner: 3 },
];
const gatedShapes: readonly Shape[] = [
  { rows: 1, columns: 97, inner: 315 },
  { rows: 3, columns: 65, inner: 64 },
];

/** Seeded inputs, and the problem as the truth and as the dispatch want it. */
function problemOf(shape: Shape, weightColumns: number, weights: WeightStorage, hasNorm: boolean, random: Random) {
  const { rows, columns, inner } = shape;
  const drawn = normals(random, weightColumns * inner);
  const packed = packHalves(drawn);
  const weight = weights === 'f16' ? packed : drawn;
  const values = weights === 'f16' ? unpackHalves(packed, drawn.length) : drawn;
  const input = normals(random, rows * inner);
  const gain = normals(random, inner);
  const bias = normals(random, columns);
  const output = normals(random, rows * columns);
  const epsilon = 1e-2;
  return {
    tensors: { input, weight, gain, bias, output },
    truth: {
      input: toF64(input),
      weight: toF64(values),
      rows,
      inner,
      ...(hasNorm && { norm: { gain: toF64(gain), epsilon } }),
    },
    options: (of: (name: string) => Tensor) => {
      const { buffer, offset = 0 } = of('weight');
      return {
        input: of('input'),
        // Offsets count elements, and two halves lie in one word.
        weight: { buffer, offset: weights === 'f16' ? 2 * offset : offset },
        output: of('output'),
        rows,
        inner,
        weights,
        ...(hasNorm && { norm: { gain: of('gain'), epsilon } }),
      };
    },
  };
}

export function matvecCase(
  variant: Variant,
  weights: WeightStorage,
  shape: Shape,
  index: number,
  random: Random,
): KernelCase {
  const { rows, columns, inner } = shape;
  const [hasNorm, hasBias, accumulate] = [index % 2 === 1, index % 3 === 1, index % 3 === 2];
  const { tensors, truth, options } = problemOf(shape, columns, weights, hasNorm, random);
  const product = matvecTruth({ ...truth, columns, ...(hasBias && { bias: toF64(tensors.bias) }) });
  const around = `${hasNorm ? ', normalised' : ''}${hasBias ? ', bias' : ''}${accumulate ? ', added' : ''}`;
  return {
    kernel: 'matvec',
    variant,
    title: `${variant.name}, ${weights}, ${rows} x ${inner} by ${columns} x ${inner}${around}`,
    tensors,
    dispatches: (of) => [
      matvecDispatch({
        ...options(of),
        columns,
        ...(hasBias && { bias: of('bias') }),
        accumulate,
        choices: always(variant),
      }),
    ],
    expected: { output: accumulate ? plus(product, tensors.output) : product },
    tolerance: matvecTolerance,
  };
}

function gatedCase(variant: Variant, weights: WeightStorage, shape: Shape, index: number, random: Random): KernelCase {
  const { rows, columns: hidden, inner } = shape;
  const { tensors, truth, options } = problemOf(shape, 2 * hidden, weights, index % 2 === 0, random);
  return {
    kernel: 'matvec',
    variant,
    title: `${variant.name}, ${weights}, gated, ${rows} x ${inner} by 2 x ${hidden} x ${inner}`,
    tensors,
    dispatches: (of) => [gatedMatvecDispatch({ ...options(of), hidden, choices: always(variant) })],
    expected: { output: gatedMatvecTruth({ ...truth, hidden }) },
    tolerance: gatedMatvecTolerance,
  };
}

const gatedMatvecTolerance: Tolerance = {
  absolute: 2e-3,
  relative: 1e-5,
  reason: 'the product of two sums, each off as those of matvec are, and each up to 60 in size',
};

/** Choices of this one variant. */
export const always = ({ name }: Variant): Choices => ({ variantOf: () => name });
