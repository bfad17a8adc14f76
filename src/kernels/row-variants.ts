/**
 * The variants of operations that reduce rows: softmax, the norms, cross-entropy, sampling. Each has one shader, and one
 * of two parts goes before it: `row_group` in plain WGSL, where some lanes of a workgroup share a row, or `row_subgroup`,
 * where one subgroup has a row and needs no shared memory. A row's sums have an order that depends on the variant and the
 * width alone, so rows are equal bit for bit in any batch. What the operations compute stands in their own files.
 */

import { present } from '../core/assert.ts';
import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Kernel, type Tensor } from './kernel.ts';
import { bucketOf, safeChoices, type Choices, type Family, type Variant } from './variants.ts';

export interface RowVariant extends Variant {
  /** Invocations of a workgroup. */
  readonly workgroup: number;
  /** How many of them share a row; a subgroup's size is the adapter's matter, so there it says what suits best. */
  readonly lanes: number;
}

/**
 * Shared memory and barriers are what every GPU does well; software adapters want none: a subgroup a row (SwiftShader's
 * have 4 lanes), or a row for each invocation. Long rows on a large GPU want many lanes.
 */
export const rowVariants: readonly RowVariant[] = [
  { name: 'group-32', features: [], workgroup: 32, lanes: 32 },
  { name: 'group-256', features: [], workgroup: 256, lanes: 256 },
  { name: 'row', features: [], workgroup: 8, lanes: 1 },
  { name: 'subgroup-4', features: ['subgroups'], workgroup: 4, lanes: 4 },
  { name: 'subgroup-32', features: ['subgroups'], workgroup: 32, lanes: 32 },
];

/** The kernel of each variant, by the variant's name. */
export type RowKernels<T extends string, N extends string> = ReadonlyMap<string, Kernel<T, N>>;

type Declaration<T extends string, N extends string> = Parameters<typeof defineKernel<T, N>>[0];

/** Declares every variant's kernel as `defineKernel` does. */
export function rowKernels<T extends string, N extends string>(
  declaration: Omit<Declaration<T, N>, 'constants' | 'parts'>,
) {
  return new Map(
    rowVariants.map(({ name, features, workgroup, lanes }) => {
      const isSubgroup = features.length > 0;
      const parts = [isSubgroup ? 'row_subgroup' : 'row_group'];
      const constants = { workgroup_size: workgroup, ...(!isSubgroup && { lanes }) };
      return [name, defineKernel<T, N>({ ...declaration, parts, constants } as Declaration<T, N>)] as const;
    }),
  );
}

/** The variant that these choices take for rows of this width. How many rows there are must not matter. */
export const rowVariantOf = (family: Family, width: number, choices: Choices = safeChoices): string =>
  choices.variantOf(family, bucketOf({ width }));

export function rowDispatchOf<T extends string, N extends string>(
  kernels: RowKernels<T, N>,
  variant: string,
  tensors: Readonly<Record<T, Tensor>>,
  numbers: Readonly<Record<N, number>>,
  rows: number,
): Dispatch {
  const { workgroup, lanes, features } = rowVariantNamed(variant);
  const kernel = present(kernels.get(variant), `no kernel for the variant '${variant}'`);
  return dispatchOf(kernel, tensors, numbers, gridOf(rows, features.length > 0 ? 1 : workgroup / lanes));
}

export const rowVariantNamed = (name: string): RowVariant =>
  present(
    rowVariants.find((variant) => variant.name === name),
    `there is no variant '${name}' of row kernels`,
  );

/** Those whose cases also cover what comes with an operation: gradients differ between the others in constants alone. */
export const tellingVariants: readonly string[] = ['group-32', 'row', 'subgroup-32'];

/** Choices that take this variant of everything, for cases that test it. */
export const always = (variant: string): Choices => ({ variantOf: () => variant });

/** Rows of a tuner's trial: enough to fill a GPU, about a quarter of a million elements in all. */
export const trialRows = (width: number): number => Math.max(4, Math.min(512, Math.floor(2 ** 18 / width)));
