/** The cases that every variant of `matmul.ts` has to pass: each form, sizes that no tile divides, each epilogue, halves. */

import type { Random } from '../core/prng.ts';
import { packHalves, unpackHalves } from './half.ts';
import type { Tensor } from './kernel.ts';
import {
  epilogueTruth,
  matmulTolerance,
  matmulTruth,
  type Activation,
  type MatmulForm,
  type MatmulSizes,
} from './matmul-truth.ts';
import { matmulDispatch, matmulVariants, type WeightStorage } from './matmul.ts';
import { normals, toF64, type KernelCase } from './test-case.ts';
import type { Variant } from './variants.ts';

const sizes: readonly MatmulSizes[] = [
  { rows: 1, columns: 1, inner: 1 },
  { rows: 1, columns: 315, inner: 97 },
  { rows: 3, columns: 97, inner: 65 },
  { rows: 65, columns: 3, inner: 315 },
  { rows: 97, columns: 65, inner: 3 },
  { rows: 64, columns: 64, inner: 32 },
  { rows: 9, columns: 17, inner: 2179 },
  { rows: 132, columns: 196, inner: 20 },
  { rows: 36, columns: 315, inner: 20 },
  { rows: 20, columns: 40, inner: 36 },
];
const stored: readonly (readonly [MatmulForm, WeightStorage])[] = [
  ['NN', 'f32'],
  ['NT', 'f32'],
  ['TN', 'f32'],
  ['NT', 'f16'],
];

/**
 * Single rows are one kernel for all variants, and so are tried for one; larger tiles and quads are the smallest one's shader
 * with other overrides, and need fewer cases.
 */
export const matmulCases = (random: Random): KernelCase[] =>
  matmulVariants.flatMap((variant) =>
    stored.flatMap(([form, weights]) =>
      sizes.flatMap((own, index) => {
        if (own.rows === 1 && variant.name !== 'plain') return [];
        const isLargeTile = variant.name.startsWith('tile-128');
        const formOfLarge = variant.name === 'tile-128x64' ? 'TN' : 'NT';
        if ((isLargeTile || variant.name === 'quad-32x8') && index < 5) return [];
        if (isLargeTile && (weights === 'f16' || form !== formOfLarge)) return [];
        return [matmulCase(variant, form, weights, own, index, random)];
      }),
    ),
  );

/** The shader that runs the variant, as reports name it. */
const kernelName = (variant: string): string => {
  if (variant.startsWith('tile')) return 'matmul_tiled';
  return variant.startsWith('quad') ? 'matmul_quad' : 'matmul';
};

const ledBy = (lead: number, values: Float32Array): Float32Array =>
  Float32Array.from([...new Array<number>(lead).fill(NaN), ...values]);

const activations: readonly Activation[] = ['none', 'gelu', 'silu', 'relu'];

/** `index` says what stands around the product. */
function matmulCase(
  variant: Variant,
  form: MatmulForm,
  weights: WeightStorage,
  own: MatmulSizes,
  index: number,
  random: Random,
): KernelCase {
  const { rows, columns, inner } = own;
  const left = normals(random, rows * inner);
  const drawn = normals(random, inner * columns);
  const packed = packHalves(drawn);
  const isHalf = weights === 'f16';
  const bias = normals(random, columns);
  const residual = normals(random, rows * columns);
  const output = normals(random, rows * columns);
  const accumulate = index % 2 === 1;
  // The self-test puts tensors at offset 3: one element on, floats can be read by four, and halves not by pairs.
  const lead = accumulate ? 1 : 0;
  const activation = activations[index % activations.length] ?? 'none';
  const [hasBias, hasResidual] = [index % 3 === 2, index % 4 === 2];
  const around = `${hasBias ? ', bias' : ''}${hasResidual ? ', residual' : ''}${accumulate ? ', added' : ''}`;
  const product = matmulTruth(form, toF64(left), toF64(isHalf ? unpackHalves(packed, drawn.length) : drawn), own);
  return {
    kernel: kernelName(rows === 1 ? 'plain' : variant.name),
    variant,
    title: `${variant.name}, ${form} ${weights}, ${rows} x ${inner} by ${inner} x ${columns}, ${activation}${around}`,
    tensors: {
      left: ledBy(lead, left),
      right: isHalf ? packHalves(ledBy(lead, drawn)) : ledBy(lead, drawn),
      bias,
      residual,
      output,
    },
    dispatches: (of) => {
      const led = (name: string, perWord: number): Tensor => {
        const { buffer, offset = 0 } = of(name);
        return { buffer, offset: offset * perWord + lead };
      };
      return [
        matmulDispatch({
          form,
          left: led('left', 1),
          // Offsets count elements, and two halves lie in one word.
          right: led('right', isHalf ? 2 : 1),
          output: of('output'),
          weights,
          ...(hasBias && { bias: of('bias') }),
          ...(hasResidual && { residual: of('residual') }),
          ...own,
          activation,
          accumulate,
          choices: { variantOf: () => variant.name },
        }),
      ];
    },
    expected: {
      output: epilogueTruth(product, columns, {
        activation,
        ...(hasBias && { bias }),
        ...(hasResidual && { residual }),
        ...(accumulate && { output }),
      }),
    },
    tolerance: matmulTolerance,
  };
}
