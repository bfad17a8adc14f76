/**
 * The problems of the suite `kernels`: what is computed, on which seeded inputs, what is true, and how a time becomes a
 * value. Ours and every peer get the same arrays; how a contender stores and computes them is its own matter.
 */

import { createRandom } from '../../src/core/prng.ts';
import { normals, type Tolerance } from '../../src/kernels/test-case.ts';
import { initialParameters, hiddenOfWidth } from '../../src/models/llama-parameters.ts';
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
  readonly tolerance: Tolerance;
}

/** Steps whose losses are compared with the truth before anything is timed. */
export const checkedSteps = 3;

export const blockSize = 32;

const seed = 20261122;

const milliseconds = { unit: 'ms', better: 'lower', scale: 1e-3, work: 1 } as const;

export function matmulProblem(size: number): Problem {
  const random = createRandom(seed, size);
  return {
    name: `matmul${size}`,
    unit: 'GFLOP/s',
    better: 'higher',
    scale: 1e9,
    work: 2 * size ** 3,
    operation: {
      kind: 'matmul',
      rows: size,
      columns: size,
      inner: size,
      left: normals(random, size * size),
      right: normals(random, size * size),
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
    operation: {
      kind: 'matvec',
      rows: size,
      inner: size,
      weights: normals(random, size * size),
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
    operation: { kind: 'softmax', rows: size, width: size, input: normals(random, size * size, 3) },
    tolerance: { absolute: 1e-7, relative: 2e-4, reason: 'WGSL lets exp be (3 + 2 |x|) units off in the last place' },
  };
}

export function layerNormProblem(size: number): Problem {
  const random = createRandom(seed, size + 4);
  return {
    name: `layernorm${size}`,
    ...milliseconds,
    operation: {
      kind: 'layernorm',
      rows: size,
      width: size,
      input: normals(random, size * size),
      gain: normals(random, size),
      bias: normals(random, size),
      epsilon: 1e-5,
    },
    tolerance: { absolute: 1e-4, relative: 1e-4, reason: 'libraries sum mean and variance in different ways' },
  };
}

export function gptStepProblem(): Problem {
  const config: ModelConfig = {
    architecture: 'llama',
    layers: 2,
    width: 128,
    hidden: hiddenOfWidth(128),
    heads: 4,
    keyValueHeads: 4,
    vocabulary: 256,
    context: 64,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  };
  const batch = 2;
  const random = createRandom(seed, 5);
  const tokens = (): Uint32Array =>
    Uint32Array.from({ length: batch * config.context }, () => random.below(config.vocabulary));
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
    name: 'gptstep',
    ...milliseconds,
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

/** By name, those of the comparison with other libraries; made when they are wanted, as inputs take megabytes. */
export const problems: Readonly<Record<string, () => Problem>> = {
  matmul512: () => matmulProblem(512),
  matmul1024: () => matmulProblem(1024),
  matvec2048: () => matvecProblem(2048),
  q4matvec2048: () => q4MatvecProblem(2048),
  softmax1024: () => softmaxProblem(1024),
  layernorm1024: () => layerNormProblem(1024),
  gptstep: gptStepProblem,
};
