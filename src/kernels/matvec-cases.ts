/** The cases that every variant of `matvec.ts` has to pass. */

import type { Random } from '../core/prng.ts';
import { packHalves, unpackHalves } from './half.ts';
import type { Tensor } from './kernel.ts';
import type { WeightStorage } from './matmul.ts';
import { gatedMatvecDispatch, matvecDispatch } from './matvec.ts';
import { gatedMatvecTruth, matvecTolerance, matvecTruth } from './matvec-truth.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { plus } from './truth.ts';
import type { Choices, Variant } from './variants.ts';

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
  { rows: 5, columns: 67, inner: 48 },
  { rows: 5, columns: 64, inner: 128 },
  { rows: 3, columns: 3, inner: 144 },
  { rows: 64, columns: 65, inner: 3 },
  { rows: 19, columns: 37, inner: 32 },
];
const gatedShapes: readonly Shape[] = [
  { rows: 1, columns: 97, inner: 315 },
  { rows: 3, columns: 65, inner: 64 },
  { rows: 11, columns: 21, inner: 48 },
];

/** The shader that runs the variant, as reports name it. */
function kernelName({ name }: Variant, { rows, inner }: Shape): string {
  if (name === 'quad' && inner % 16 === 0 && rows > 1) return 'matvec_quad_rows';
  return name === 'plain' ? 'matvec' : `matvec_${name === 'workgroup' ? 'shared' : name}`;
}

const ledBy = (lead: number, values: Float32Array): Float32Array =>
  Float32Array.from([...new Array<number>(lead).fill(NaN), ...values]);

/** Seeded inputs, and the problem as the truth and as the dispatch want it. */
function problemOf(shape: Shape, weightColumns: number, weights: WeightStorage, hasNorm: boolean, random: Random) {
  const { rows, columns, inner } = shape;
  const drawn = normals(random, weightColumns * inner);
  const packed = packHalves(drawn);
  // The self-test puts tensors at offset 3: one word on, they can be read by four, and thirteen words on by sixteen.
  const lead = inner % 16 === 0 ? 13 : inner % 4 === 0 ? 1 : 0;
  const values = weights === 'f16' ? unpackHalves(packed, drawn.length) : drawn;
  const input = normals(random, rows * inner);
  const gain = normals(random, inner);
  const bias = normals(random, columns);
  const output = normals(random, rows * columns);
  const epsilon = 1e-2;
  return {
    tensors: {
      input: ledBy(lead, input),
      weight: weights === 'f16' ? packHalves(ledBy(2 * lead, drawn)) : ledBy(lead, drawn),
      gain,
      bias,
      output,
    },
    truth: {
      input: toF64(input),
      weight: toF64(values),
      rows,
      inner,
      ...(hasNorm && { norm: { gain: toF64(gain), epsilon } }),
    },
    options: (of: (name: string) => Tensor) => {
      const led = (name: string, perWord: number): Tensor => {
        const { buffer, offset = 0 } = of(name);
        return { buffer, offset: (offset + lead) * perWord };
      };
      return {
        input: led('input', 1),
        // Offsets count elements, and two halves lie in one word.
        weight: led('weight', weights === 'f16' ? 2 : 1),
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
    kernel: kernelName(variant, shape),
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
    kernel: kernelName(variant, shape),
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
