/**
 * The variants of operations that reduce rows: softmax, the norms, cross-entropy. Each has one shader, and one
 * of two parts goes before it: `row_group` in plain WGSL, where some lanes of a workgroup share a row, or `row_subgroup`,
 * where one subgroup has a row and needs no shared memory. A second part says whether elements are read one by one, or four
 * at once where width and offsets allow. A row's sums have an order that depends on the variant, the width and the offsets'
 * alignment alone, so rows are equal bit for bit in any batch. What the operations compute stands in their own files.
 */

import { present } from '../core/assert.ts';
import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, inFours, type Kernel, type Tensor } from './kernel.ts';
import { bucketOf, safeChoices, type Choices, type Family, type Variant } from './variants.ts';

export interface RowVariant extends Variant {
  /** Invocations of a workgroup. */
  readonly workgroup: number;
  /** How many of them share a row; a subgroup's size is the adapter's matter, so there it says what suits best. */
  readonly lanes: number;
  /** Whether it reads four elements at once where width and offsets are multiples of four. */
  readonly fours: boolean;
  /** Rows of a subgroup in kernels that do several for one reading of a weight, up to 4. */
  readonly rowsEach: number;
}

/**
 * Shared memory and barriers are what every GPU does well; software adapters want none: a subgroup a row (SwiftShader's
 * have 4 lanes), or a row for each invocation. Long rows on a large GPU want many lanes. The safe variant reads elements
 * one by one, so that its bits do not depend on where a tensor lies.
 */
export const rowVariants: readonly RowVariant[] = [
  { name: 'group-32', features: [], workgroup: 32, lanes: 32, fours: false, rowsEach: 1 },
  { name: 'row', features: [], workgroup: 8, lanes: 1, fours: true, rowsEach: 1 },
  { name: 'subgroup-4', features: ['subgroups'], workgroup: 4, lanes: 4, fours: true, rowsEach: 4 },
  { name: 'subgroup-32', features: ['subgroups'], workgroup: 32, lanes: 32, fours: true, rowsEach: 1 },
  // Where 32 lanes are far too many, 256 would take the tuner's whole time.
  { name: 'group-256', features: [], workgroup: 256, lanes: 256, fours: true, rowsEach: 1, follows: 'subgroup-32' },
];

/** One variant of an operation. */
interface RowKernel<T extends string, N extends string> {
  readonly ones: Kernel<T, N>;
  readonly fours?: Kernel<T, N>;
  /** Tensors with one element for each row, which are always read one by one. */
  readonly perRow: readonly string[];
  readonly rowsOfGroup: number;
}

/** By the variant's name. */
export type RowKernels<T extends string, N extends string> = ReadonlyMap<string, RowKernel<T, N>>;

type Declaration<T extends string, N extends string> = Parameters<typeof defineKernel<T, N>>[0];

interface RowDeclaration<T extends string, N extends string> extends Omit<Declaration<T, N>, 'constants' | 'parts'> {
  readonly perRow?: readonly string[];
  /** Whether the shader does several rows for one reading of a weight. */
  readonly sharesWeight?: boolean;
}

/** Declares every variant's kernels as `defineKernel` does. */
export function rowKernels<T extends string, N extends string>(of: RowDeclaration<T, N>) {
  const { perRow = [], sharesWeight = false, ...declaration } = of;
  return new Map(
    rowVariants.map(({ name, features, workgroup, lanes, fours, rowsEach }) => {
      const isSubgroup = features.length > 0;
      const rows_each = sharesWeight ? rowsEach : 1;
      const constants = { workgroup_size: workgroup, ...(isSubgroup ? { rows_each } : { lanes }) };
      const kernelOf = (elements: string) => {
        const parts = [isSubgroup ? 'row_subgroup' : 'row_group', elements];
        return defineKernel<T, N>({ ...declaration, parts, constants } as Declaration<T, N>);
      };
      const kernel = {
        ones: kernelOf('row_ones'),
        ...(fours && { fours: kernelOf('row_fours') }),
        perRow,
        rowsOfGroup: isSubgroup ? rows_each : workgroup / lanes,
      };
      return [name, kernel] as const;
    }),
  );
}

/** All kernels of an operation, for the catalogue. */
export const kernelsOf = <T extends string, N extends string>(kernels: RowKernels<T, N>): readonly Kernel<T, N>[] =>
  [...kernels.values()].flatMap(({ ones, fours }) => (fours === undefined ? [ones] : [ones, fours]));

/** The variant that these choices take for rows of this width. How many rows there are must not matter. */
export const rowVariantOf = (family: Family, width: number, choices: Choices = safeChoices): string =>
  choices.variantOf(family, bucketOf({ width }));

/** One dispatch over rows of this width. */
export function rowDispatchOf<T extends string, N extends string>(
  kernels: RowKernels<T, N>,
  variant: string,
  tensors: Readonly<Record<T, Tensor>>,
  numbers: Readonly<Record<N, number>>,
  { rows, width }: { readonly rows: number; readonly width: number },
): Dispatch {
  const { ones, fours, perRow, rowsOfGroup } = present(
    kernels.get(variant),
    `there is no variant '${variant}' of row kernels`,
  );
  const wide = ones.tensors.filter(({ name }) => !perRow.includes(name)).map(({ name }) => tensors[name]);
  const kernel = fours !== undefined && inFours(width, ...wide) ? fours : ones;
  return dispatchOf(kernel, tensors, numbers, gridOf(rows, rowsOfGroup));
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

/** Where a case's tensors lie: at multiples of four when its width is one, so that what reads four at once is tried too. */
export const alignedFor = (width: number): { readonly alignment?: 4 } => (width % 4 === 0 ? { alignment: 4 } : {});

/** Sizes of cases for what reads four elements at once: fewer fours than lanes, some steps with a rest, rows left over. */
export const widthsInFours = (variant: string): readonly { readonly rows: number; readonly width: number }[] =>
  rowVariantNamed(variant).fours
    ? [
        { rows: 11, width: 12 },
        { rows: 3, width: 2180 },
      ]
    : [];
