/**
 * The square of the global norm: the sum of squares of a flat buffer, in an order that its length and the variant alone
 * decide. It stays on the device: `adamw.ts`, `nadam.ts` and `sgd.ts` read it there and clip, so a training step reads
 * nothing back. The safe variant is `reduce.ts`'s, whose last sum is one invocation's; real GPUs want a tree.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';
import { reduceParts, reduceTolerance, squaredNormDispatches, squaredNormTruth } from './reduce.ts';
import { variantNamed } from './quant-kernel.ts';
import { normals, toF64, type KernelCase } from './test-case.ts';
import { bucketOf, safeChoices, sizesOf, type Choices, type Family } from './variants.ts';

const declaration = {
  shader: 'global_norm',
  tensors: ['input', '>output'],
  numbers: ['count', 'parts'],
} as const;
const parts = defineKernel({ ...declaration, entryPoint: 'parts' });
const total = defineKernel({ ...declaration, entryPoint: 'total' });

const forms = [
  { variant: { name: 'plain', features: [] }, kernel: { name: 'reduce.sum_of_squares' } },
  { variant: { name: 'workgroup-256', features: [] }, kernel: parts },
];

/** Workgroups of the first dispatch: enough to fill a GPU, and few enough for one workgroup to add up. */
const workgroups = 256;
const invocations = 256;

export interface GlobalNorm {
  /** f32 [count]. */
  readonly values: Tensor;
  /** f32 [reduceParts] (`reduce.ts`), a buffer of its own. */
  readonly scratch: Tensor;
  /** f32 [1], a buffer of its own. */
  readonly output: Tensor;
  readonly count: number;
  readonly choices?: Choices;
}

/** output[0] = sum of squares of values. NaN or infinity among them makes it NaN or infinity. */
export function globalNormDispatches(of: GlobalNorm): Dispatch[] {
  const { values, scratch, output, count, choices = safeChoices } = of;
  const chosen = variantNamed(forms, choices.variantOf(globalNormFamily, bucketOf({ count })));
  if (chosen.variant.name === 'plain') return squaredNormDispatches(of);
  const used = Math.min(workgroups, Math.max(1, Math.ceil(count / invocations)));
  return [
    dispatchOf(parts, { input: values, output: scratch }, { count, parts: used }, [used, 1, 1]),
    dispatchOf(total, { input: scratch, output }, { count: used, parts: 1 }, [1, 1, 1]),
  ];
}

export const globalNormKernels = [parts, total];

function globalNormCase(values: Float32Array): (form: (typeof forms)[number]) => KernelCase {
  const squares = squaredNormTruth(toF64(values));
  return ({ variant, kernel }) => ({
    kernel: kernel.name,
    variant,
    title: `${variant.name}, ${values.length} elements`,
    tensors: { values, scratch: new Float32Array(reduceParts), output: new Float32Array(1) },
    dispatches: (of) =>
      globalNormDispatches({
        values: of('values'),
        scratch: of('scratch'),
        output: of('output'),
        count: values.length,
        choices: { variantOf: () => variant.name },
      }),
    expected: { output: Float64Array.of(squares) },
    tolerance: reduceTolerance,
  });
}

export const globalNormCases = (random: Random): KernelCase[] =>
  [1, 97, 2179, 70_001].flatMap((count) => {
    const caseOf = globalNormCase(normals(random, count));
    return forms.map((form) => caseOf(form));
  });

/** Beyond this a problem says no more about which variant is fastest. */
const trialCountMax = 2 ** 20;

export const globalNormFamily: Family = {
  name: 'global-norm',
  variants: forms.map(({ variant }) => variant),
  bound: 'bytes',
  trial: (bucket, random) => {
    const few = normals(random, 1009);
    const count = Math.min(trialCountMax, sizesOf(bucket)['count'] ?? 1);
    const caseOf = globalNormCase(Float32Array.from({ length: count }, (_, index) => few[index % few.length] ?? 0));
    return { caseOf: (name) => caseOf(variantNamed(forms, name)), work: 4 * count };
  },
  shown: [bucketOf({ count: 2 ** 20 })],
};
