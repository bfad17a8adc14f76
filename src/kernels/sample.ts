/**
 * The next token of each row, chosen on the device so that only 4 bytes a row need be read: the largest logit, or a draw
 * with that row's own temperature, top-k and top-p, so that one dispatch serves requests of many. Draws come from Philox4x32-10 keyed by (seed, sample, position), so a sample's tokens
 * do not depend on the batch or the tab that makes them. The most likely tokens beside the chosen are `top-logits.ts`.
 */

import { present } from '../core/assert.ts';
import { philox, u32ToUnit, type PhiloxKey, type Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Kernel, type Tensor } from './kernel.ts';
import { always, rowVariantOf, trialRows } from './row-variants.ts';
import { normals, whole, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';
import { sizesOf, type Choices, type Family, type Variant } from './variants.ts';

interface SampleVariant extends Variant {
  /** Invocations of a row's workgroup. */
  readonly lanes: number;
}

/**
 * All the same shader. Fewer than 64 lanes would let drivers unroll its loops over lanes, which takes llvmpipe ten
 * seconds to compile; 224 fit the 16 KiB that every device shares; 4 are one subgroup of SwiftShader's, without which its barriers are slow.
 */
const sampleVariants: readonly SampleVariant[] = [
  { name: 'group-64', features: [], lanes: 64 },
  { name: 'group-4', features: [], lanes: 4 },
  { name: 'group-224', features: [], lanes: 224 },
];

type Declaration<T extends string, N extends string> = Parameters<typeof defineKernel<T, N>>[0];

export const bySampleVariant = <T extends string, N extends string>(
  declaration: Omit<Declaration<T, N>, 'constants'>,
) =>
  new Map(
    sampleVariants.map(({ name, lanes }) => {
      const constants = { workgroup_size: lanes };
      return [name, defineKernel<T, N>({ ...declaration, constants } as Declaration<T, N>)] as const;
    }),
  );

export const sampleKernelOf = <K>(kernels: ReadonlyMap<string, K>, width: number, choices?: Choices): K => {
  const variant = rowVariantOf(sampleFamily, width, choices);
  return present(kernels.get(variant), `sampling has no variant '${variant}'`);
};

const parts = ['order_key'];
const largest = bySampleVariant({
  shader: 'argmax',
  parts,
  tensors: ['values', '>indices:u32'],
  numbers: ['rows', 'width'],
});

const declaration = {
  shader: 'sample',
  parts,
  tensors: ['logits', 'wishes:u32', '>tokens:u32', '>log_probabilities'] as const,
  numbers: ['rows', 'vocabulary', 'advance'] as const,
};
const draw = bySampleVariant(declaration);
const words = defineKernel({ ...declaration, entryPoint: 'random_words' });

export const sampleKernels: readonly Pick<Kernel, 'name' | 'pipeline' | 'tensors' | 'numbers'>[] = [
  ...largest.values(),
  ...draw.values(),
  words,
];

/** Draws, and the largest; the trial draws with both cuts. */
export const sampleFamily: Family = {
  name: 'sample',
  variants: sampleVariants,
  bound: 'bytes',
  trial: (bucket, random) => {
    const { width = 1 } = sizesOf(bucket);
    const rows = Math.min(4, trialRows(width));
    const of = { rows, vocabulary: width, temperature: 1, topK: 40, topP: 0.95 };
    return { caseOf: drawCase(random, of), work: 4 * rows * width };
  },
  shown: ['width:512', 'width:65536'],
};

/** indices[row] = index of the row's largest value, the lowest among equals. Shapes: values [rows, width], indices u32 [rows]. */
export function argmaxDispatch(of: {
  readonly values: Tensor;
  readonly indices: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly choices?: Choices;
}): Dispatch {
  const { values, indices, rows, width, choices } = of;
  return dispatchOf(sampleKernelOf(largest, width, choices), { values, indices }, { rows, width }, rowGrid(rows));
}

/** How a row's next token is drawn. */
export interface SampleWish {
  /** Above 0; 0 takes the largest logit. */
  readonly temperature: number;
  /** Keeps the k largest logits; 0 (default) keeps all. Of equal logits the lower tokens are kept. */
  readonly topK?: number;
  /** Of those, keeps the smallest set of largest probabilities that sums to at least this; default 1 keeps all. */
  readonly topP?: number;
  /** Up to 2^53. */
  readonly seed: number;
  readonly sample: number;
  /** The position that the new token will have in its sequence. */
  readonly position: number;
  /** Which row of logits it is drawn from. */
  readonly logitsRow: number;
}

/** Words of one wish, see `Wish` in `sample.wgsl`. */
export const sampleWishWords = 8;
/** Where in them `logitsRow` stands. */
export const logitsRowWord = 7;

/** u32 [wishes, sampleWishWords], as `sampleDispatch` reads them. */
export function packWishes(wishes: readonly SampleWish[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(wishes.length * sampleWishWords);
  const floats = new Float32Array(words.buffer);
  for (const [row, { temperature, topK = 0, topP = 1, seed, sample, position, logitsRow }] of wishes.entries()) {
    const start = row * sampleWishWords;
    floats.set([temperature, topP], start);
    words.set([topK, ...seedKey(seed), sample, position, logitsRow], start + 2);
  }
  return words;
}

export interface SampleOptions {
  /** [any, vocabulary]. */
  readonly logits: Tensor;
  /** `packWishes`: u32 [rows, sampleWishWords]. */
  readonly wishes: Tensor;
  /** u32 [rows]. */
  readonly tokens: Tensor;
  /** [rows]: natural logarithms of the chosen tokens' probabilities under softmax(logits), before temperature and cuts. */
  readonly logProbabilities: Tensor;
  readonly rows: number;
  readonly vocabulary: number;
  /** Added to every row's position, so that a list of dispatches moves on from step to step; default 0. */
  readonly advance?: number;
  readonly choices?: Choices;
}

/** Draws a token for each wish. */
export function sampleDispatch(of: SampleOptions): Dispatch {
  const { logits, wishes, tokens, logProbabilities, rows, vocabulary, advance = 0 } = of;
  return dispatchOf(
    sampleKernelOf(draw, vocabulary, of.choices),
    { logits, wishes, tokens, log_probabilities: logProbabilities },
    { rows, vocabulary, advance },
    rowGrid(rows),
  );
}

/**
 * Philox words for checking: tokens[4 i .. 4 i + 3] = philox([position, sample, 0, 0], seed) of wish i. `scratch` [1] is
 * bound and not used.
 */
export function randomWordsDispatch(of: {
  readonly wishes: Tensor;
  readonly tokens: Tensor;
  readonly scratch: Tensor;
  readonly rows: number;
}): Dispatch {
  const { wishes, tokens, scratch, rows } = of;
  const tensors = { logits: wishes, wishes, tokens, log_probabilities: scratch };
  return dispatchOf(words, tensors, { rows, vocabulary: 0, advance: 0 }, elementGrid(rows));
}

export const argmaxTruth = (row: ArrayLike<number>): number =>
  Array.from(row).reduce((best, value, index) => (value > at(row, best) ? index : best), 0);

const seedKey = (seed: number): PhiloxKey => [seed % 0x100000000, Math.floor(seed / 0x100000000)];

/** The four words that a row's draw is made of; the draw is `u32ToUnit` of the first. */
export const sampleWords = (seed: number, sample: number, position: number) =>
  philox([position, sample, 0, 0], seedKey(seed));

/**
 * The token that a draw in [0, 1) gives: cut to the k largest (lower tokens first among equals), cut again to the
 * smallest set that holds top-p of what is left, then walk what is kept by token number.
 */
export function sampleTruth(
  logits: ArrayLike<number>,
  unit: number,
  of: { readonly temperature: number; readonly topK?: number; readonly topP?: number },
): number {
  if (of.temperature === 0) return argmaxTruth(logits);
  const { topK = 0, topP = 1 } = of;
  const largestLogit = at(logits, argmaxTruth(logits));
  const weightOf = (token: number): number => Math.exp((at(logits, token) - largestLogit) / of.temperature);
  const order = Array.from(logits, (_, token) => token).toSorted((a, b) => at(logits, b) - at(logits, a) || a - b);
  const first = topK > 0 ? order.slice(0, topK) : order;
  const wanted = topP * first.reduce((sum, token) => sum + weightOf(token), 0);
  let held = 0;
  const kept = first.filter((token, rank) => {
    if (topP < 1 && rank > 0 && held >= wanted) return false;
    held += weightOf(token);
    return true;
  });
  const drawn = unit * held;
  let walked = 0;
  let chosen = at(kept, 0);
  for (const token of kept.toSorted((a, b) => a - b)) {
    if (walked > drawn) break;
    if (weightOf(token) > 0) chosen = token;
    walked += weightOf(token);
  }
  return chosen;
}

export const sampleTolerance: Tolerance = {
  absolute: 2e-5,
  relative: 2e-6,
  reason:
    'log-probabilities of logits up to 20 apart; tokens must be equal, as the seeds keep draws clear of the borders',
};

export function sampleCases(random: Random): KernelCase[] {
  return [...argmaxCases(random), ...drawCases(random), wordsCase(random)];
}

function argmaxCases(random: Random): KernelCase[] {
  return [
    { rows: 1, width: 1 },
    { rows: 3, width: 315 },
    { rows: 65, width: 97 },
    { rows: 3, width: 315, variant: 'group-224' },
  ].map(({ rows, width, variant = 'group-64' }): KernelCase => {
    // Few different values, so that most rows hold equals.
    const values = normals(random, rows * width).map((value) => Math.round(value * 2));
    return {
      ...headOf(variant, 'argmax'),
      title: `${variant}, rows ${rows}, width ${width}, many equals`,
      tensors: { values, indices: new Uint32Array(rows) },
      dispatches: (of) => [
        argmaxDispatch({ values: of('values'), indices: of('indices'), rows, width, choices: always(variant) }),
      ],
      expected: {
        indices: Uint32Array.from({ length: rows }, (_, row) =>
          argmaxTruth(values.subarray(row * width, (row + 1) * width)),
        ),
      },
      tolerance: sampleTolerance,
    };
  });
}

const headOf = (variant: string, kernel: string) => ({
  kernel,
  variant: present(
    sampleVariants.find((own) => own.name === variant),
    `sampling has no variant '${variant}'`,
  ),
});

interface Draw {
  readonly rows: number;
  readonly vocabulary: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly equals?: boolean;
}

function drawCases(random: Random): KernelCase[] {
  const both = { temperature: 1, topK: 40, topP: 0.95 };
  const plain = [
    { rows: 1, vocabulary: 1, temperature: 1 },
    { rows: 65, vocabulary: 97, temperature: 0 },
    { rows: 65, vocabulary: 97, temperature: 0.7 },
    { rows: 65, vocabulary: 315, temperature: 1, topK: 3 },
    { rows: 65, vocabulary: 315, temperature: 1.3, topP: 0.8 },
    { rows: 65, vocabulary: 97, temperature: 1, topK: 10, topP: 0.9, equals: true },
    { rows: 3, vocabulary: 2179, ...both },
    { rows: 3, vocabulary: 97, temperature: 1, topP: 0 },
  ].map((of) => drawCase(random, of)('group-64'));
  const others = [
    drawCase(random, { rows: 9, vocabulary: 97, temperature: 1, topK: 10, topP: 0.9, equals: true })('group-4'),
    drawCase(random, { rows: 1, vocabulary: 2179, ...both })('group-4'),
    drawCase(random, { rows: 1, vocabulary: 50257, ...both })('group-224'),
  ];
  return [...plain, ...others];
}

/** The same problem for each variant. */
function drawCase(
  random: Random,
  { rows, vocabulary, equals = false, ...cuts }: Draw,
): (variant: string) => KernelCase {
  const plain = normals(random, rows * vocabulary, 2);
  const logits = equals ? plain.map((value) => Math.round(value)) : plain;
  const samples = whole(random, rows, 1000);
  const seeds = Array.from({ length: rows }, () => random.u32() * 0x100000 + 12345);
  const positions = whole(random, rows, 2048);
  const rowOf = (row: number): Float32Array => logits.subarray(row * vocabulary, (row + 1) * vocabulary);
  // Every other row has wishes of its own, and rows read the logits backwards.
  const wishes = Array.from(samples, (sample, row): SampleWish => {
    const own = row % 2 === 0 ? cuts : { temperature: cuts.temperature * 1.5, topK: row, topP: 0.9 };
    return { ...own, seed: at(seeds, row), sample, position: at(positions, row), logitsRow: rows - 1 - row };
  });
  const tokens = Uint32Array.from(wishes, (wish) => {
    const { seed, sample, position, logitsRow } = wish;
    return sampleTruth(rowOf(logitsRow), u32ToUnit(sampleWords(seed, sample, position + 3)[0]), wish);
  });
  const logProbabilities = Float64Array.from(tokens, (token, row) => {
    const own = rowOf(rows - 1 - row);
    return at(own, token) - Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0));
  });
  return (variant) => ({
    ...headOf(variant, 'sample'),
    title: `${variant}, rows ${rows}, vocabulary ${vocabulary}, ${JSON.stringify(cuts)}${equals ? ', equals' : ''}`,
    tensors: {
      logits,
      wishes: packWishes(wishes),
      tokens: new Uint32Array(rows),
      logProbabilities: new Float32Array(rows),
    },
    dispatches: (of) => [
      sampleDispatch({
        logits: of('logits'),
        wishes: of('wishes'),
        tokens: of('tokens'),
        logProbabilities: of('logProbabilities'),
        rows,
        vocabulary,
        advance: 3,
        choices: always(variant),
      }),
    ],
    expected: { tokens, logProbabilities },
    tolerance: sampleTolerance,
  });
}

function wordsCase(random: Random): KernelCase {
  const rows = 315;
  const of = { temperature: 1, seed: 0x1f_ffff_ffff_fff7, position: 0xdeadbeef, logitsRow: 0 };
  const wishes = Array.from({ length: rows }, (): SampleWish => ({ ...of, sample: random.u32() }));
  return {
    kernel: words.name,
    title: '315 samples, equal to the CPU',
    tensors: { wishes: packWishes(wishes), tokens: new Uint32Array(4 * rows), scratch: new Float32Array(1) },
    dispatches: (tensor) => [
      randomWordsDispatch({
        wishes: tensor('wishes'),
        tokens: tensor('tokens'),
        scratch: tensor('scratch'),
        rows,
      }),
    ],
    expected: {
      tokens: Uint32Array.from(wishes.flatMap(({ seed, sample, position }) => sampleWords(seed, sample, position))),
    },
    tolerance: sampleTolerance,
  };
}
