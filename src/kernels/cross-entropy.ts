/**
 * Softmax and cross-entropy in one: the loss of each row, and the logits replaced by their gradient, because the
 * logits are a model's largest activation and nothing needs them afterwards.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import type { Tensor } from './kernel.ts';
import {
  alignedFor,
  always,
  kernelsOf,
  rowDispatchOf,
  rowKernels,
  rowVariantNamed,
  rowVariantOf,
  rowVariants,
  trialRows,
  widthsInFours,
} from './row-variants.ts';
import { normals, toF64, whole, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';
import { sizesOf, type Choices, type Family } from './variants.ts';

const kernels = rowKernels({
  shader: 'cross_entropy',
  tensors: ['targets:u32', '>logits', '>losses'],
  numbers: ['rows', 'vocabulary', 'gradient_scale:f32'],
  perRow: ['targets', 'losses'],
});

export const crossEntropyKernels = kernelsOf(kernels);

export const crossEntropyFamily: Family = {
  name: 'cross_entropy',
  variants: rowVariants,
  bound: 'bytes',
  trial: (bucket, random) => {
    const { width = 1 } = sizesOf(bucket);
    const rows = trialRows(width);
    const caseOf = drawCases(random, rows, width);
    return { caseOf, work: 12 * rows * width };
  },
  shown: ['width:512', 'width:65536'],
};

/** A target that counts for nothing: loss 0, gradient 0. Padding. */
export const targetIgnored = 0xffffffff;

/**
 * losses[row] = log(sum(exp(logits[row]))) - logits[row, target] in nats;
 * logits[row] = gradientScale * (softmax(logits[row]) - one at target). For a mean over n counted rows use 1 / n.
 * Shapes: targets u32 [rows], logits [rows, vocabulary] in place, losses [rows]. Besides the logits there is nothing of
 * that size. Any other target at or above the vocabulary than `targetIgnored` is a fault: its loss and gradient are NaN.
 */
export function crossEntropyDispatch(of: {
  readonly targets: Tensor;
  readonly logits: Tensor;
  readonly losses: Tensor;
  readonly rows: number;
  readonly vocabulary: number;
  readonly gradientScale: number;
  readonly choices?: Choices;
}): Dispatch {
  const { targets, logits, losses, rows, vocabulary, gradientScale, choices } = of;
  const variant = rowVariantOf(crossEntropyFamily, vocabulary, choices);
  const numbers = { rows, vocabulary, gradient_scale: gradientScale };
  return rowDispatchOf(kernels, variant, { targets, logits, losses }, numbers, { rows, width: vocabulary });
}

export function crossEntropyTruth(
  logits: Float64Array,
  targets: Uint32Array,
  gradientScale: number,
): { losses: Float64Array; logits: Float64Array } {
  const vocabulary = logits.length / targets.length;
  const losses = new Float64Array(targets.length);
  const gradient = new Float64Array(logits.length);
  targets.forEach((target, row) => {
    if (target === targetIgnored) return;
    if (target >= vocabulary) {
      losses[row] = NaN;
      gradient.fill(NaN, row * vocabulary, (row + 1) * vocabulary);
      return;
    }
    const own = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
    const largest = own.reduce((a, b) => Math.max(a, b));
    const logTotal = largest + Math.log(own.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
    losses[row] = logTotal - at(own, target);
    own.forEach((logit, token) => {
      gradient[row * vocabulary + token] = gradientScale * (Math.exp(logit - logTotal) - (token === target ? 1 : 0));
    });
  });
  return { losses, logits: gradient };
}

export const crossEntropyTolerance: Tolerance = {
  absolute: 1e-5,
  relative: 1e-5,
  reason: 'exp may be (3 + 2 |x|) units off in the last place, and up to 50,257 of them are summed',
};

/** The same problem for each variant. */
function drawCases(random: Random, rows: number, vocabulary: number): (variant: string) => KernelCase {
  const logits = normals(random, rows * vocabulary, 4);
  const targets = whole(random, rows, vocabulary);
  if (rows > 3) targets[1] = targetIgnored;
  const gradientScale = 1 / rows;
  const truth = crossEntropyTruth(toF64(logits), targets, gradientScale);
  return (variant) => ({
    kernel: 'cross_entropy',
    variant: rowVariantNamed(variant),
    ...alignedFor(vocabulary),
    title: `${variant}, rows ${rows}, vocabulary ${vocabulary}`,
    tensors: { targets, logits, losses: new Float32Array(rows) },
    dispatches: (of) => [
      crossEntropyDispatch({
        targets: of('targets'),
        logits: of('logits'),
        losses: of('losses'),
        rows,
        vocabulary,
        gradientScale,
        choices: always(variant),
      }),
    ],
    expected: { ...truth },
    tolerance: crossEntropyTolerance,
  });
}

/** The vocabulary of GPT-2 is in one case only, as its truth takes long. */
export function crossEntropyCases(random: Random): KernelCase[] {
  return rowVariants.flatMap(({ name }, index) => {
    const first = index === 0 ? [{ rows: 1, vocabulary: 1 }] : [];
    const large = name === 'group-256' ? [{ rows: 2, vocabulary: 50257 }] : [];
    const fours = widthsInFours(name).map(({ rows, width }) => ({ rows, vocabulary: width }));
    const sizes = [...first, { rows: 3, vocabulary: 2179 }, { rows: 65, vocabulary: 97 }, ...fours, ...large];
    return sizes.map(({ rows, vocabulary }) => drawCases(random, rows, vocabulary)(name));
  });
}
