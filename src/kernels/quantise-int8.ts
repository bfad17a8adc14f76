/**
 * Blockwise int8 on the GPU: activations on their way into `int8-matmul.ts` or over the wire of pipeline training (SWARM,
 * Ryabinin et al. 2023, sends 8-bit activations). What the codes mean is `quantise-int8-truth.ts`; codes are equal on every
 * adapter, and scales are off by an f32 rounding.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, rowGrid, type Tensor } from './kernel.ts';
import { blocksOfRow, dequantiseInt8, quantiseInt8, wordsOfRow, type Int8Sizes } from './quantise-int8-truth.ts';
import { normals, type KernelCase, type Tolerance } from './test-case.ts';

const numbers = ['rows', 'inner', 'words', 'block', 'blocks'] as const;
const quantiseTensors = ['values', '>codes:u32', '>scales:u32'] as const;
const perInvocation = defineKernel({ shader: 'quantise_int8', tensors: quantiseTensors, numbers });
const perWorkgroup = defineKernel({
  shader: 'quantise_int8',
  entryPoint: 'grouped',
  tensors: quantiseTensors,
  numbers,
});
const dequantise = defineKernel({ shader: 'dequantise_int8', tensors: ['codes:u32', 'scales', '>values'], numbers });

interface Int8Tensors extends Int8Sizes {
  /** f32 [rows, inner]. */
  readonly values: Tensor;
  /** [rows][words of a row]. */
  readonly codes: Tensor;
  /** f32 [rows][blocks of a row]. */
  readonly scales: Tensor;
}

/** Blocks up to this length are short enough for one invocation each. */
const invocationBlockMax = 256;

/** codes and scales of values. */
export function quantiseInt8Dispatch(of: Int8Tensors): Dispatch {
  const { values, codes, scales, block } = of;
  const sizes = sizesOf(of);
  const count = sizes.rows * sizes.blocks;
  // Both give equal bits, so which one runs is free to choose.
  return block <= invocationBlockMax
    ? dispatchOf(perInvocation, { values, codes, scales }, sizes, elementGrid(count))
    : dispatchOf(perWorkgroup, { values, codes, scales }, sizes, rowGrid(count));
}

/** values of codes and scales. */
export function dequantiseInt8Dispatch(of: Int8Tensors): Dispatch {
  const { values, codes, scales, rows, inner } = of;
  return dispatchOf(dequantise, { codes, scales, values }, sizesOf(of), elementGrid(rows * inner));
}

function sizesOf(of: Int8Sizes) {
  assert(of.block > 0 && of.block % 4 === 0, `int8 blocks: a block of ${of.block} elements is no multiple of 4`);
  return { rows: of.rows, inner: of.inner, words: wordsOfRow(of), block: of.block, blocks: blocksOfRow(of) };
}

export const quantiseInt8Kernels = [perInvocation, perWorkgroup, dequantise];

export const quantiseInt8Tolerance: Tolerance = {
  absolute: 1e-7,
  relative: 3e-7,
  reason: 'codes are exact; a scale is one product, and a value another',
};

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** Seeded floats of which some are zero, subnormal, very small, equal to the largest, and half way between two codes. */
export function awkward(random: Random, count: number): Float32Array {
  const values = normals(random, count);
  const special = [0, -0, 1e-40, 1e-30, -4, 4, 3.984251968503937, 0.015748031437397003, -0.015748031437397003];
  for (const index of values.keys()) {
    if (random.below(8) === 0) values[index] = special[random.below(special.length)] ?? 0;
  }
  return values;
}

export function quantiseInt8Cases(random: Random): KernelCase[] {
  const shapes = [
    { rows: 1, inner: 1, block: 4 },
    { rows: 3, inner: 97, block: 32 },
    { rows: 65, inner: 315, block: 64 },
    { rows: 3, inner: 2179, block: 2180 },
    { rows: 1, inner: 2048, block: 512 },
  ];
  return shapes.flatMap((sizes): KernelCase[] => {
    const values = awkward(random, sizes.rows * sizes.inner);
    const made = quantiseInt8(values, sizes);
    const title = `${sizes.rows} x ${sizes.inner} in blocks of ${sizes.block}`;
    const empty = { codes: new Uint32Array(made.words.length), scales: new Float32Array(made.scales.length) };
    const kernel = sizes.block <= invocationBlockMax ? perInvocation.name : perWorkgroup.name;
    const broken = values.map((x, index) => (index % sizes.inner === 0 ? NaN : index === 70 ? Infinity : x));
    const brokenMade = quantiseInt8(broken, sizes);
    const run = { dispatches: dispatchesOf(quantiseInt8Dispatch, sizes), tolerance: quantiseInt8Tolerance };
    return [
      {
        kernel,
        title,
        tensors: { values, ...empty },
        ...run,
        expected: { codes: made.words, scales: Float64Array.from(made.scales) },
      },
      {
        kernel,
        title: `${title}, with NaN and infinity`,
        tensors: { values: broken, ...empty },
        ...run,
        expected: { codes: brokenMade.words, scales: bitsOf(brokenMade.scales) },
      },
      {
        kernel: dequantise.name,
        title,
        tensors: { values: new Float32Array(values.length), codes: made.words, scales: made.scales },
        dispatches: dispatchesOf(dequantiseInt8Dispatch, sizes),
        expected: { values: dequantiseInt8(made, sizes) },
        tolerance: quantiseInt8Tolerance,
      },
    ];
  });
}

const dispatchesOf =
  (make: (of: Int8Tensors) => Dispatch, sizes: Int8Sizes): KernelCase['dispatches'] =>
  (of) => [make({ values: of('values'), codes: of('codes'), scales: of('scales'), ...sizes })];
