/**
 * One byte a number and a table of 256 means, on the GPU: what `learning/compress.ts` does on the CPU with a pseudo-gradient
 * (Prime Intellect, INTELLECT-1). Bins are 6 sigma / 256 wide around zero, sigma = ||x|| / sqrt(n - 1); what lies beyond
 * falls in the outermost ones, and the mean of each bin keeps the sum exact.
 *
 * A number's bin is found by comparing with the bins' least numbers. Given those of `uint8Thresholds` the codes are
 * `compress.ts`'s bit for bit; those of the device's own sum of squares (no readback) are off by f32 roundings, which may
 * move a number that lies on a border to the neighbouring bin. NaN or infinity among the numbers, or squares whose sum
 * overflows f32: codes 0 and a table of NaN, which whoever decodes it refuses by name.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { normals, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';

const bins = 256;

const thresholdsKernel = defineKernel({
  shader: 'quantise_uint8_thresholds',
  tensors: ['squared_norm', '>thresholds:u32'],
  numbers: ['count'],
});
const codesKernel = defineKernel({
  shader: 'quantise_uint8',
  tensors: ['values', 'thresholds', '>codes:u32', '>shares'],
  numbers: ['count', 'parts'],
});
const tableKernel = defineKernel({
  shader: 'quantise_uint8_table',
  tensors: ['shares', 'thresholds:u32', '>table:u32'],
  numbers: ['parts'],
});
const decodeKernel = defineKernel({
  shader: 'dequantise_uint8',
  tensors: ['codes:u32', 'table:u32', '>values:u32'],
  numbers: ['count'],
});

/** Invocations that quantise, each with sums of its own; so few that what they sum is soon added up. */
export const uint8Parts = (count: number): number => Math.min(1024, Math.max(1, Math.ceil(count / 256)));

/** Elements of the scratch tensor `shares`. */
export const uint8ShareElements = (count: number): number => uint8Parts(count) * 2 * bins;

/** thresholds f32 [256] from squaredNorm f32 [1] of `count` numbers. */
export const uint8ThresholdsDispatch = (of: {
  readonly squaredNorm: Tensor;
  readonly thresholds: Tensor;
  readonly count: number;
}): Dispatch =>
  dispatchOf(
    thresholdsKernel,
    { squared_norm: of.squaredNorm, thresholds: of.thresholds },
    { count: of.count },
    elementGrid(bins),
  );

/** codes (a byte each, [count / 4] words rounded up) and table f32 [256] of values f32 [count]. */
export function quantiseUint8Dispatches(of: {
  readonly values: Tensor;
  /** f32 [256], by `uint8Thresholds` or `uint8ThresholdsDispatch`. */
  readonly thresholds: Tensor;
  readonly codes: Tensor;
  /** f32 [uint8ShareElements(count)], a buffer of its own. */
  readonly shares: Tensor;
  readonly table: Tensor;
  readonly count: number;
}): Dispatch[] {
  const { values, thresholds, codes, shares, table, count } = of;
  const parts = uint8Parts(count);
  return [
    dispatchOf(codesKernel, { values, thresholds, codes, shares }, { count, parts }, elementGrid(parts)),
    dispatchOf(tableKernel, { shares, thresholds, table }, { parts }, elementGrid(bins)),
  ];
}

/** values f32 [count] of codes and table. */
export const dequantiseUint8Dispatch = (of: {
  readonly codes: Tensor;
  readonly table: Tensor;
  readonly values: Tensor;
  readonly count: number;
}): Dispatch => {
  const { codes, table, values, count } = of;
  return dispatchOf(decodeKernel, { codes, table, values }, { count }, elementGrid(count));
};

export const uint8Kernels = [thresholdsKernel, codesKernel, tableKernel, decodeKernel];

/** The bins' width for numbers with this sum of squares. */
export const uint8Width = (squaredNorm: number, count: number): number =>
  (6 * Math.sqrt(squaredNorm / Math.max(1, count - 1))) / bins;

/** At place c the least f32 whose code is c or more, at place 0 one over the width, which is 0 for zeros. */
export function uint8Thresholds(squaredNorm: number, count: number): Float32Array<ArrayBuffer> {
  const width = uint8Width(squaredNorm, count);
  if (!Number.isFinite(width)) return new Float32Array(bins).fill(NaN);
  const thresholds = Float32Array.from({ length: bins }, (_, bin) => leastOf(bin, width));
  thresholds[0] = width >= 1e-37 ? 1 / width : 0;
  return thresholds;
}

const steps = new DataView(new ArrayBuffer(4));

/** The f32 so many places further from zero. */
function further(value: number, places: number): number {
  steps.setFloat32(0, value);
  steps.setInt32(0, steps.getInt32(0) + places);
  return steps.getFloat32(0);
}

function leastOf(bin: number, width: number): number {
  const near = Math.fround((bin - 128.5) * width);
  const candidates = [near, further(near, 1), further(near, -1)].toSorted((a, b) => a - b);
  return candidates.find((x) => Math.round(x / width) + 128 >= bin) ?? near;
}

export interface Uint8Truth {
  readonly codes: Uint8Array<ArrayBuffer>;
  readonly table: Float64Array<ArrayBuffer>;
}

/** The same as `learning/compress.ts`, `quantise`, which this layer must not import; a test holds both together. */
export function uint8Truth(values: Float32Array): Uint8Truth {
  const width = uint8Width(
    values.reduce((sum, x) => sum + x * x, 0),
    values.length,
  );
  const codes = new Uint8Array(values.length);
  const sums = new Float64Array(bins);
  const counts = new Float64Array(bins);
  for (const [index, x] of values.entries()) {
    const code = width === 0 ? bins / 2 : Math.min(bins - 1, Math.max(0, Math.round(x / width) + bins / 2));
    codes[index] = code;
    sums[code] = at(sums, code) + x;
    counts[code] = at(counts, code) + 1;
  }
  return { codes, table: sums.map((sum, code) => sum / Math.max(1, at(counts, code))) };
}

/** Codes as words, the last filled up with zeros. */
export function codeWords(codes: Uint8Array): Uint32Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(codes.length / 4) * 4);
  bytes.set(codes);
  return new Uint32Array(bytes.buffer);
}

export const uint8Tolerance: Tolerance = {
  absolute: 2e-6,
  relative: 4e-6,
  reason: 'a mean of f32 sums of up to some hundred numbers in each of up to 1,024 parts',
};

const bitsOf = (values: ArrayLike<number>): Uint32Array => new Uint32Array(Float32Array.from(values).buffer);

function quantiseCase(title: string, values: Float32Array): KernelCase {
  const count = values.length;
  const squares = values.reduce((sum, x) => sum + x * x, 0);
  const { codes, table } = uint8Truth(values);
  const finite = Number.isFinite(squares);
  return {
    kernel: codesKernel.name,
    title,
    tensors: {
      values,
      thresholds: uint8Thresholds(squares, count),
      codes: new Uint32Array(Math.ceil(count / 4)),
      shares: new Float32Array(uint8ShareElements(count)),
      table: new Float32Array(bins),
    },
    dispatches: (of) =>
      quantiseUint8Dispatches({
        values: of('values'),
        thresholds: of('thresholds'),
        codes: of('codes'),
        shares: of('shares'),
        table: of('table'),
        count,
      }),
    expected: finite
      ? { codes: codeWords(codes), table }
      : { codes: new Uint32Array(Math.ceil(count / 4)), table: bitsOf(new Float32Array(bins).fill(NaN)) },
    tolerance: uint8Tolerance,
  };
}

export function uint8Cases(random: Random): KernelCase[] {
  return [1, 3, 97, 2179, 20_001].flatMap((count): KernelCase[] => {
    const values = normals(random, count);
    values[0] = 40;
    const squares = values.reduce((sum, x) => sum + x * x, 0);
    const { codes, table } = uint8Truth(values);
    const width = uint8Width(squares, count);
    const thresholds = Float64Array.from({ length: bins }, (_, bin) => (bin - 128.5) * width);
    thresholds[0] = 1 / width;
    const broken = values.map((x, index) => (index === count - 1 ? Infinity : x));
    const floats = Float32Array.from(table);
    return [
      quantiseCase(`${count} elements, one far away`, values),
      quantiseCase(`${count} zeros`, new Float32Array(count)),
      quantiseCase(`${count} elements, with infinity`, broken),
      {
        kernel: thresholdsKernel.name,
        title: `${count} elements`,
        tensors: { squaredNorm: Float32Array.of(squares), thresholds: new Float32Array(bins) },
        dispatches: (of) => [
          uint8ThresholdsDispatch({ squaredNorm: of('squaredNorm'), thresholds: of('thresholds'), count }),
        ],
        expected: { thresholds },
        tolerance: uint8Tolerance,
      },
      {
        kernel: decodeKernel.name,
        title: `${count} elements`,
        tensors: { codes: codeWords(codes), table: floats, values: new Float32Array(count) },
        dispatches: (of) => [
          dequantiseUint8Dispatch({ codes: of('codes'), table: of('table'), values: of('values'), count }),
        ],
        expected: { values: bitsOf(Array.from(codes, (code) => at(floats, code))) },
        tolerance: uint8Tolerance,
      },
    ];
  });
}
