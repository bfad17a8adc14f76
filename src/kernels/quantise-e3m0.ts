/**
 * Four bits a number for what training sends (Streaming DiLoCo, Douillard et al. 2025, calls it E3M0): sign, three bits of
 * exponent, no mantissa. Of a block's floats the largest magnitude is kept as it is; a number is 0 or 2^-6 .. 2^0 of it.
 * Defined in whole numbers, so every adapter and this CPU code give equal bits, quantising and back.
 *
 * A number goes to the nearest magnitude, the middle between two to the larger. A block whose largest is below 2^-118
 * counts as zeros; one with NaN or infinity has codes 0 and NaN as its largest, and comes back as NaN.
 * Wire: a nibble is 8 for the sign plus 0 for zero or 7 - k for 2^-k; element 0 in the lowest nibble.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Tensor } from './kernel.ts';
import { awkward } from './quantise-int8.ts';
import type { KernelCase, Tolerance } from './test-case.ts';
import { at } from './truth.ts';
import type { Choices, Family, Variant } from './variants.ts';
import { bucketOf, safeChoices, sizesOf } from './variants.ts';

/** Elements that share a largest magnitude; half a byte an element and 4 bytes a block travel. */
export const e3m0Block = 256;

const tensors = ['values', '>codes:u32', '>largest:u32'] as const;
const numbers = ['count', 'block'] as const;
const perInvocation = defineKernel({ shader: 'quantise_e3m0', tensors, numbers });
const perWorkgroup = defineKernel({ shader: 'quantise_e3m0', entryPoint: 'grouped', tensors, numbers });
const dequantise = defineKernel({
  shader: 'dequantise_e3m0',
  tensors: ['codes:u32', 'largest:u32', '>values:u32'],
  numbers,
});

const variants: readonly Variant[] = [
  { name: 'plain', features: [] },
  { name: 'workgroup-64', features: [] },
];

export interface E3m0Tensors {
  /** f32 [count]. */
  readonly values: Tensor;
  /** Words of eight codes: [count / 8], rounded up. */
  readonly codes: Tensor;
  /** f32 [count / 256], rounded up. */
  readonly largest: Tensor;
  readonly count: number;
  readonly choices?: Choices;
}

/** codes and largest of values. */
export function quantiseE3m0Dispatch({ values, codes, largest, count, choices = safeChoices }: E3m0Tensors): Dispatch {
  const sizes = { count, block: e3m0Block };
  const blocks = Math.ceil(count / e3m0Block);
  return choices.variantOf(e3m0Family, bucketOf({ count })) === 'plain'
    ? dispatchOf(perInvocation, { values, codes, largest }, sizes, elementGrid(blocks))
    : dispatchOf(perWorkgroup, { values, codes, largest }, sizes, rowGrid(blocks));
}

/** values of codes and largest. */
export const dequantiseE3m0Dispatch = ({ values, codes, largest, count }: E3m0Tensors): Dispatch =>
  dispatchOf(dequantise, { codes, largest, values }, { count, block: e3m0Block }, elementGrid(count));

export const e3m0Kernels = [perInvocation, perWorkgroup, dequantise];

export interface E3m0 {
  readonly codes: Uint32Array<ArrayBuffer>;
  readonly largest: Float32Array<ArrayBuffer>;
}

export function quantiseE3m0(values: Float32Array): E3m0 {
  const codes = new Uint32Array(Math.ceil(values.length / 8));
  const largest = new Float32Array(Math.ceil(values.length / e3m0Block));
  for (const block of largest.keys()) {
    const start = block * e3m0Block;
    const own = values.subarray(start, start + e3m0Block);
    const most = own.reduce((so, x) => Math.max(so, Math.abs(x)), 0);
    largest[block] = !Number.isFinite(most) ? NaN : most < 2 ** -118 ? 0 : most;
    if (!(at(largest, block) > 0)) continue;
    for (const [index, x] of own.entries()) {
      const word = (start + index) >>> 3;
      codes[word] = (at(codes, word) | (codeOf(x, most) << (4 * (index % 8)))) >>> 0;
    }
  }
  return { codes, largest };
}

/** In f64, where every middle is exact. */
function codeOf(x: number, most: number): number {
  const share = Math.abs(x);
  if (share < most * 2 ** -7) return 0;
  const halvings = [0, 1, 2, 3, 4, 5].find((k) => share >= 0.75 * most * 2 ** -k) ?? 6;
  return (x < 0 ? 8 : 0) + 7 - halvings;
}

export function dequantiseE3m0({ codes, largest }: E3m0, count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, index) => {
    const most = at(largest, Math.floor(index / e3m0Block));
    const code = (at(codes, index >>> 3) >>> (4 * (index % 8))) & 15;
    if (Number.isNaN(most)) return NaN;
    return (code & 7) === 0 ? 0 : (code & 8 ? -1 : 1) * most * 2 ** ((code & 7) - 7);
  });
}

const exact: Tolerance = { absolute: 0, relative: 0, reason: 'whole numbers throughout' };

const words = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

function quantiseCase(title: string, values: Float32Array, variant: Variant): KernelCase {
  const { codes, largest } = quantiseE3m0(values);
  return {
    kernel: variant.name === 'plain' ? perInvocation.name : perWorkgroup.name,
    variant,
    title: `${variant.name}, ${title}`,
    tensors: { values, codes: new Uint32Array(codes.length), largest: new Uint32Array(largest.length) },
    dispatches: (of) => [
      quantiseE3m0Dispatch({
        values: of('values'),
        codes: of('codes'),
        largest: of('largest'),
        count: values.length,
        choices: { variantOf: () => variant.name },
      }),
    ],
    expected: { codes, largest: words(largest) },
    tolerance: exact,
  };
}

export function e3m0Cases(random: Random): KernelCase[] {
  return [1, 97, 315, 2179].flatMap((count) => {
    const values = awkward(random, count);
    const broken = values.map((x, index) => (index === 300 ? NaN : index === 1025 ? -Infinity : x));
    const tiny = values.map((x) => x * 2 ** -122);
    const made = quantiseE3m0(broken);
    return [
      ...variants.flatMap((variant) => [
        quantiseCase(`${count} elements`, values, variant),
        quantiseCase(`${count} elements, with NaN and infinity`, broken, variant),
        quantiseCase(`${count} tiny elements`, tiny, variant),
      ]),
      {
        kernel: dequantise.name,
        title: `${count} elements, with NaN and infinity`,
        tensors: { codes: made.codes, largest: made.largest, values: new Float32Array(count) },
        dispatches: (of) => [
          dequantiseE3m0Dispatch({ values: of('values'), codes: of('codes'), largest: of('largest'), count }),
        ],
        expected: { values: words(dequantiseE3m0(made, count)) },
        tolerance: exact,
      } satisfies KernelCase,
    ];
  });
}

/** Beyond this a problem says no more about which variant is fastest. */
const trialCountMax = 2 ** 20;

export const e3m0Family: Family = {
  name: 'quantise-e3m0',
  variants,
  bound: 'bytes',
  trial: (bucket, random) => {
    const count = Math.min(trialCountMax, sizesOf(bucket)['count'] ?? 1);
    const few = awkward(random, Math.min(count, 4096));
    const values = Float32Array.from({ length: count }, (_, index) => at(few, index % few.length));
    return {
      caseOf: (name) => quantiseCase(bucket, values, name === 'plain' ? at0(variants, 0) : at0(variants, 1)),
      work: count * 4.5 + (count / e3m0Block) * 4,
    };
  },
  shown: [bucketOf({ count: 2 ** 20 })],
};

function at0(all: readonly Variant[], index: number): Variant {
  const found = all[index];
  assert(found !== undefined, `there is no variant ${index}`);
  return found;
}
