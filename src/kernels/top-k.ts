/**
 * The k elements of largest magnitude in each chunk, as DeMo sends them of a chunk's coefficients, and the chunks that such
 * messages stand for. The order is total: magnitude, NaN before all, equals by their place; so every adapter chooses the
 * same. Values travel as they are: a NaN is sent, and whoever receives it refuses it.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Tensor } from './kernel.ts';
import { variantNamed } from './quant-kernel.ts';
import { normals, type KernelCase, type Tolerance } from './test-case.ts';
import { addAt, at } from './truth.ts';
import { bucketOf, safeChoices, sizesOf, type Choices, type Family } from './variants.ts';

/** Elements that are chosen from a chunk at most, and a chunk's at most. */
export const topKMax = 64;
export const topKChunkMax = 4096;

const tensors = ['values:u32', '>indices:u32', '>chosen:u32'] as const;
const numbers = ['chunks', 'size', 'k'] as const;
const forms = [
  { variant: { name: 'plain', features: [] }, kernel: defineKernel({ shader: 'top_k', tensors, numbers }) },
  {
    variant: { name: 'workgroup-64', features: [] },
    kernel: defineKernel({ shader: 'top_k_workgroup', tensors, numbers }),
  },
];
const mean = defineKernel({
  shader: 'top_k_mean',
  tensors: ['indices:u32', 'chosen', '>output'],
  numbers: [...numbers, 'messages'],
});

export interface TopKSizes {
  readonly chunks: number;
  /** Elements of a chunk. */
  readonly size: number;
  readonly k: number;
}

/** indices u32 [chunks, k] within each chunk, and chosen f32 [chunks, k], of values f32 [chunks, size]; largest first. */
export function topKDispatch(
  of: TopKSizes & {
    readonly values: Tensor;
    readonly indices: Tensor;
    readonly chosen: Tensor;
    readonly choices?: Choices;
  },
): Dispatch {
  const { values, indices, chosen, chunks, size, k, choices = safeChoices } = of;
  assert(k >= 1 && k <= Math.min(size, topKMax), `top-k: k is ${k}; it must be 1 to ${Math.min(size, topKMax)}`);
  assert(size <= topKChunkMax, `top-k: a chunk of ${size} elements; the most is ${topKChunkMax}`);
  const { variant, kernel } = variantNamed(forms, choices.variantOf(topKFamily, bucketOf({ chunks, size, k })));
  const grid = variant.name === 'plain' ? elementGrid(chunks) : rowGrid(chunks);
  return dispatchOf(kernel, { values, indices, chosen }, { chunks, size, k }, grid);
}

/**
 * output f32 [chunks, size] of messages indices and chosen [messages, chunks, k]: each element the mean of those who sent it, 0
 * where nobody did. With one message it puts the chosen back where they were.
 */
export function topKMeanDispatch(
  of: TopKSizes & {
    readonly indices: Tensor;
    readonly chosen: Tensor;
    readonly output: Tensor;
    /** Default 1. */
    readonly messages?: number;
  },
): Dispatch {
  const { indices, chosen, output, chunks, size, k, messages = 1 } = of;
  return dispatchOf(mean, { indices, chosen, output }, { chunks, size, k, messages }, elementGrid(chunks * size));
}

export const topKKernels = [...forms.map(({ kernel }) => kernel), mean];

export interface TopK {
  readonly indices: Uint32Array<ArrayBuffer>;
  readonly chosen: Float32Array<ArrayBuffer>;
}

export function topKTruth(values: Float32Array, { chunks, size, k }: TopKSizes): TopK {
  const indices = new Uint32Array(chunks * k);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const key = (place: number): number => {
      const magnitude = Math.abs(at(values, chunk * size + place));
      return Number.isNaN(magnitude) ? Infinity : Math.min(magnitude, 3.5e38);
    };
    const order = Array.from({ length: size }, (_, place) => place).toSorted((a, b) => key(b) - key(a) || a - b);
    indices.set(order.slice(0, k), chunk * k);
  }
  const chosen = Float32Array.from(indices, (place, slot) => at(values, Math.floor(slot / k) * size + place));
  return { indices, chosen };
}

export function topKMeanTruth(all: readonly TopK[], { chunks, size, k }: TopKSizes): Float64Array {
  const [sums, senders] = [new Float64Array(chunks * size), new Float64Array(chunks * size)];
  for (const { indices, chosen } of all) {
    for (const [slot, index] of indices.entries()) {
      addAt(sums, Math.floor(slot / k) * size + index, at(chosen, slot));
      addAt(senders, Math.floor(slot / k) * size + index, 1);
    }
  }
  return sums.map((sum, place) => sum / Math.max(1, at(senders, place)));
}

const exact: Tolerance = { absolute: 0, relative: 0, reason: 'nothing is computed: magnitudes are compared as bits' };

export const topKMeanTolerance: Tolerance = {
  absolute: 1e-6,
  relative: 1e-6,
  reason: 'a mean of up to 3 standard normals',
};

/** Seeded values among which many are equal, some zero. */
const tied = (random: Random, count: number): Float32Array =>
  normals(random, count).map((x) => (random.below(2) === 0 ? Math.round(x * 4) / 4 : x));

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

type Form = (typeof forms)[number];

const chosenCase =
  (title: string, values: Float32Array, sizes: TopKSizes) =>
  ({ variant, kernel }: Form): KernelCase => {
    const truth = topKTruth(values, sizes);
    const count = sizes.chunks * sizes.k;
    return {
      kernel: kernel.name,
      variant,
      title: `${variant.name}, ${title}`,
      tensors: { values, indices: new Uint32Array(count), chosen: new Float32Array(count) },
      dispatches: (of) => [
        topKDispatch({
          values: of('values'),
          indices: of('indices'),
          chosen: of('chosen'),
          ...sizes,
          choices: { variantOf: () => variant.name },
        }),
      ],
      expected: { indices: truth.indices, chosen: bitsOf(truth.chosen) },
      tolerance: exact,
    };
  };

export function topKCases(random: Random): KernelCase[] {
  const shapes = [
    { chunks: 1, size: 1, k: 1 },
    { chunks: 3, size: 97, k: 32 },
    { chunks: 65, size: 64, k: 64 },
    { chunks: 3, size: 4096, k: 8 },
  ];
  return shapes.flatMap((sizes): KernelCase[] => {
    const { chunks, size, k } = sizes;
    const values = tied(random, chunks * size);
    const broken = values.map((x, place) => (place === 1 ? NaN : place === 2 ? -Infinity : x));
    const messages = [1, 2, 3].map(() => topKTruth(normals(random, chunks * size), sizes));
    const title = `${k} of ${size}, ${chunks} chunks`;
    return [
      ...forms.map(chosenCase(title, values, sizes)),
      ...forms.map(chosenCase(`${title}, with NaN and infinity`, broken, sizes)),
      {
        kernel: mean.name,
        title: `${title}, 3 messages`,
        tensors: {
          indices: Uint32Array.from(messages.flatMap(({ indices }) => [...indices])),
          chosen: Float32Array.from(messages.flatMap(({ chosen }) => [...chosen])),
          output: new Float32Array(chunks * size),
        },
        dispatches: (of) => [
          topKMeanDispatch({
            indices: of('indices'),
            chosen: of('chosen'),
            output: of('output'),
            ...sizes,
            messages: messages.length,
          }),
        ],
        expected: { output: topKMeanTruth(messages, sizes) },
        tolerance: topKMeanTolerance,
      },
    ];
  });
}

/** Beyond this a problem says no more about which variant is fastest. */
const trialChunksMax = 256;

export const topKFamily: Family = {
  name: 'top-k',
  variants: forms.map(({ variant }) => variant),
  bound: 'bytes',
  trial: (bucket, random) => {
    const asked = sizesOf(bucket);
    const chunks = Math.min(trialChunksMax, asked['chunks'] ?? 1);
    const size = Math.min(topKChunkMax, asked['size'] ?? 1);
    const k = Math.min(topKMax, size, asked['k'] ?? 1);
    const values = normals(random, chunks * size);
    const caseOf = chosenCase(bucket, values, { chunks, size, k });
    return { caseOf: (name) => caseOf(variantNamed(forms, name)), work: 4 * chunks * (size + 2 * k) };
  },
  shown: [bucketOf({ chunks: 256, size: 4096, k: 32 })],
};
