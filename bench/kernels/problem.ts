/**
 * The problems of the suite `kernels`: what is computed, on which seeded inputs, what is true, and how a time becomes a
 * value. Ours and every peer get the same arrays; how a contender stores and computes them is its own matter.
 */

import { createRandom, type Random } from '../../src/core/prng.ts';
import { normals, type Tolerance } from '../../src/kernels/test-case.ts';
import { hiddenOfWidth, initialParameters, llamaLayout } from '../../src/models/llama-parameters.ts';
import type { ModelConfig, Optimizer } from '../../src/protocol/manifest.ts';
import type { Case } from '../measure.ts';

/** output [rows, columns] = left [rows, inner] x right [inner, columns]. */
export interface Matmul {
  readonly kind: 'matmul';
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly left: Float32Array;
  readonly right: Float32Array;
}

/** output [rows] = weights [rows, inner] x vector [inner]. */
export interface Matvec {
  readonly kind: 'matvec';
  readonly rows: number;
  readonly inner: number;
  readonly weights: Float32Array;
  readonly vector: Float32Array;
}

/** The same; a weight is scale * (quant - 8) with a quant of 0 to 15, and a scale that f16 holds for each 32 of a row. */
export interface Q4Matvec {
  readonly kind: 'q4matvec';
  readonly rows: number;
  readonly inner: number;
  readonly quants: Uint8Array;
  readonly scales: Float32Array;
  readonly vector: Float32Array;
}

/** Softmax of each row. */
export interface Softmax {
  readonly kind: 'softmax';
  readonly rows: number;
  readonly width: number;
  readonly input: Float32Array;
}

/** LayerNorm of each row with gain and bias [width]. */
export interface LayerNorm {
  readonly kind: 'layernorm';
  readonly rows: number;
  readonly width: number;
  readonly input: Float32Array;
  readonly gain: Float32Array;
  readonly bias: Float32Array;
  readonly epsilon: number;
}

/** Steps of Adam on a Llama-shaped network; the output is the loss of each of the first `checkedSteps` steps. */
export interface Train {
  readonly kind: 'train';
  readonly config: ModelConfig;
  readonly batch: number;
  readonly optimizer: Optimizer;
  /** One flat vector, as `models/llama-parameters.ts` lays it out. */
  readonly parameters: Float32Array;
  /** Token ids [batch, context]. */
  readonly inputs: Uint32Array;
  readonly targets: Uint32Array;
}

export type Operation = Matmul | Matvec | Q4Matvec | Softmax | LayerNorm | Train;

export interface Problem extends Pick<Case, 'name' | 'unit' | 'better' | 'scale'> {
  readonly operation: Operation;
  /** What one run does: operations, bytes, or 1 where the value is a time. */
  readonly work: number;
  /** What bounds it at best, and how much of that a run takes: floating-point operations, or bytes moved. */
  readonly bound: { readonly of: 'flops' | 'bytes'; readonly amount: number };
  readonly tolerance: Tolerance;
}

/** The part of the adapter's ceiling that a measured value reaches. */
export function fractionOf(
  { better, scale, work, bound }: Problem,
  value: number,
  ceilings: { readonly fmaGflops: number; readonly copyGBs: number },
): number {
  const seconds = better === 'higher' ? work / (value * scale) : value * scale * work;
  return bound.amount / seconds / 1e9 / (bound.of === 'flops' ? ceilings.fmaGflops : ceilings.copyGBs);
}

/** Steps whose losses are compared with the truth before anything is timed. */
export const checkedSteps = 3;

export const blockSize = 32;

const seed = 20261122;

/**
 * Normal values. Of a large tensor only so many are drawn; then they come again, further along each time, as drawing
 * millions would take longer than the benchmark.
 */
function noise(random: Random, count: number, spread = 1): Float32Array {
  const drawn = normals(random, Math.min(count, 65_521), spread);
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) values[index] = drawn[index % drawn.length] ?? 0;
  return values;
}

const milliseconds = { unit: 'ms', better: 'lower', scale: 1e-3, work: 1 } as const;

export function matmulProblem(size: number): Problem {
  const random = createRandom(seed, size);
  return {
    name: `matmul${size}`,
    unit: 'GFLOP/s',
    better: 'higher',
    scale: 1e9,
    work: 2 * size ** 3,
    bound: { of: 'flops', amount: 2 * size ** 3 },
    operation: {
      kind: 'matmul',
      rows: size,
      columns: size,
      inner: size,
      left: noise(random, size * size),
      right: noise(random, size * size),
    },
    tolerance: {
      absolute: 6e-7 * size,
      relative: 1e-5,
      reason: 'a sum of n products of standard normals, in any order: its roundings in f32 grow with n',
    },
  };
}

export function matvecProblem(size: number): Problem {
  const random = createRandom(seed, size + 1);
  return {
    name: `matvec${size}`,
    unit: 'GB/s',
    better: 'higher',
    scale: 1e9,
    work: size * size * 4,
    bound: { of: 'bytes', amount: size * size * 4 },
    operation: {
      kind: 'matvec',
      rows: size,
      inner: size,
      weights: noise(random, size * size),
      vector: normals(random, size),
    },
    tolerance: {
      absolute: 6e-7 * size,
      relative: 1e-5,
      reason: 'a sum of n products of standard normals, in any order: its roundings in f32 grow with n',
    },
  };
}

export function q4MatvecProblem(size: number): Problem {
  const random = createRandom(seed, size + 2);
  const quants = Uint8Array.from({ length: size * size }, () => random.below(16));
  // Whole multiples of 2^-12 below 2^-3: f16 holds them exactly.
  const scales = Float32Array.from({ length: (size * size) / blockSize }, () => (1 + random.below(255)) / 4096);
  return {
    name: `q4matvec${size}`,
    ...milliseconds,
    // Half a byte a weight, and two bytes of scale for a block.
    bound: { of: 'bytes', amount: size * size * (0.5 + 2 / blockSize) },
    operation: { kind: 'q4matvec', rows: size, inner: size, quants, scales, vector: normals(random, size) },
    tolerance: {
      absolute: 4e-7 * size,
      relative: 1e-5,
      reason: 'weights are below one, so that sums in any order err no more than those of the f32 product',
    },
  };
}

export function softmaxProblem(size: number): Problem {
  const random = createRandom(seed, size + 3);
  return {
    name: `softmax${size}`,
    ...milliseconds,
    bound: { of: 'bytes', amount: 8 * size * size },
    operation: { kind: 'softmax', rows: size, width: size, input: noise(random, size * size, 3) },
    tolerance: { absolute: 1e-7, relative: 2e-4, reason: 'WGSL lets exp be (3 + 2 |x|) units off in the last place' },
  };
}

export function layerNormProblem(size: number): Problem {
  const random = createRandom(seed, size + 4);
  return {
    name: `layernorm${size}`,
    ...milliseconds,
    bound: { of: 'bytes', amount: 8 * size * size },
    operation: {
      kind: 'layernorm',
      rows: size,
      width: size,
      input: noise(random, size * size),
      gain: normals(random, size),
      bias: normals(random, size),
      epsilon: 1e-5,
    },
    tolerance: { absolute: 1e-4, relative: 1e-4, reason: 'libraries sum mean and variance in different ways' },
  };
}

/** Layers, width, heads, tokens of a sequence, sequences. */
export function trainProblem(
  name: string,
  {
    layers,
    width,
    heads,
    context,
    batch,
  }: Pick<ModelConfig, 'layers' | 'width' | 'heads' | 'context'> & { readonly batch: number },
): Problem {
  const config: ModelConfig = {
    architecture: 'llama',
    layers,
    width,
    hidden: hiddenOfWidth(width),
    heads,
    keyValueHeads: heads,
    vocabulary: 256,
    context,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  };
  const tokenCount = batch * context;
  // Each parameter is multiplied and added once forward and twice backward for each token; attention's scores and values too.
  const flops = 6 * tokenCount * (llamaLayout(config).elements + layers * context * width);
  const random = createRandom(seed, 5);
  const tokens = (): Uint32Array => Uint32Array.from({ length: tokenCount }, () => random.below(config.vocabulary));
  const optimizer: Optimizer = {
    name: 'adamw',
    learningRate: 1e-3,
    betas: [0.9, 0.95],
    epsilon: 1e-8,
    // Plain Adam, and a bound that no gradient here reaches.
    weightDecay: 0,
    clip: 1e6,
    warmup: 1,
    schedule: 'constant',
  };
  return {
    name,
    ...milliseconds,
    bound: { of: 'flops', amount: flops },
    operation: {
      kind: 'train',
      config,
      batch,
      optimizer,
      parameters: initialParameters(config, seed),
      inputs: tokens(),
      targets: tokens(),
    },
    tolerance: { absolute: 2e-3, relative: 0, reason: 'Adam divides by small roots, so that roundings grow by steps' },
  };
}

export const gptStepProblem = (): Problem =>
  trainProblem('gptstep', { layers: 2, width: 128, heads: 4, context: 64, batch: 2 });

/** Made when they are wanted, as inputs take megabytes. */
export type Problems = Readonly<Record<string, () => Problem>>;

/** Those of the comparison with other libraries. */
export const problems: Problems = {
  matmul512: () => matmulProblem(512),
  matmul1024: () => matmulProblem(1024),
  matvec2048: () => matvecProblem(2048),
  q4matvec2048: () => q4MatvecProblem(2048),
  softmax1024: () => softmaxProblem(1024),
  layernorm1024: () => layerNormProblem(1024),
  gptstep: gptStepProblem,
};

/** Beside those, what a GPU needs to show what it can do. */
export const largeProblems: Problems = {
  matmul2048: () => matmulProblem(2048),
  matmul4096: () => matmulProblem(4096),
  matvec8192: () => matvecProblem(8192),
  q4matvec8192: () => q4MatvecProblem(8192),
  softmax8192: () => softmaxProblem(8192),
  layernorm8192: () => layerNormProblem(8192),
  trainstep: () => trainProblem('trainstep', { layers: 4, width: 512, heads: 8, context: 256, batch: 8 }),
};
