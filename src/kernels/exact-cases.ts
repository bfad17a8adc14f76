/**
 * The self-test of the exact family: every operation on seeded integers, the extremes of its range among them. What the CPU
 * computes is the truth, and every bit must be equal.
 */

import type { Random } from '../core/prng.ts';
import {
  exactGather,
  exactGatherGradient,
  exactMatmul,
  exactNorm,
  exactProduct,
  exactRequantise,
  exactScale,
  exactSoftmax,
  exactTable,
  exactUpdate,
  type ExactOperation,
} from './exact.ts';
import { expTable, siluTable } from './exact-tables.ts';
import type { KernelCase, Tolerance } from './test-case.ts';

const exactTolerance: Tolerance = { absolute: 0, relative: 0, reason: 'integers, whose bits are equal everywhere' };

/** Whole numbers from -bound to bound, with both ends in the first elements. */
export function integers(random: Random, count: number, bound: number): Int32Array<ArrayBuffer> {
  const values = Int32Array.from({ length: count }, () => random.below(2 * bound + 1) - bound);
  values.set([bound, -bound].slice(0, count));
  return values;
}

export function exactCases(random: Random): KernelCase[] {
  return [...productCases(random), ...elementCases(random), ...rowCases(random), ...gatherCases(random)];
}

function productCases(random: Random): KernelCase[] {
  const shapes = [
    { rows: 1, columns: 1, inner: 1 },
    { rows: 3, columns: 65, inner: 315 },
    { rows: 97, columns: 3, inner: 2179 },
  ];
  return shapes.flatMap(({ rows, columns, inner }, index) =>
    [127, 2 ** 20].map((bound): KernelCase => {
      const transposed = index === 1;
      return exactCase(
        `${rows} x ${inner} by ${inner} x ${columns}, values to ${bound}${bound > 127 ? ', which wrap around' : ''}`,
        { left: integers(random, rows * inner, bound), right: integers(random, inner * columns, bound) },
        { output: integers(random, rows * columns, 1000) },
        exactMatmul({
          left: transposed
            ? { name: 'left', outerStride: 1, innerStride: rows }
            : { name: 'left', outerStride: inner, innerStride: 1 },
          right: { name: 'right', outerStride: inner, innerStride: 1 },
          output: { name: 'output' },
          rows,
          columns,
          inner,
          accumulate: index > 0,
        }),
      );
    }),
  );
}

function elementCases(random: Random): KernelCase[] {
  const count = 315;
  const [input, other, output] = [{ name: 'input' }, { name: 'other' }, { name: 'output' }];
  const all = (bound: number): Record<'input' | 'other', Int32Array<ArrayBuffer>> => ({
    input: integers(random, count, bound),
    other: integers(random, count, 32767),
  });
  const scales = [exactScale(1 / 220), exactScale(0.2), exactScale(1e-6), { multiplier: 1, shift: 17 }];
  return [
    ...scales.flatMap((scale) => [
      exactCase(
        `by ${scale.multiplier} / 2^${scale.shift}`,
        all(2 ** 31 - 1),
        { output: new Int32Array(count) },
        exactRequantise({ input, output, count, scale, bound: 127 }),
      ),
      exactCase(
        `a step of ${scale.multiplier} / 2^${scale.shift} taken away`,
        all(2 ** 28),
        { output: integers(random, count, 2 ** 20) },
        exactUpdate({ input, output, count, scale, bound: 2 ** 24, negate: scale.multiplier > 1 }),
      ),
    ]),
    exactCase(
      `${count} products`,
      all(32767),
      { output: new Int32Array(count) },
      exactProduct({ input, other, output, count, scale: exactScale(1 / 64), bound: 32767 }),
    ),
    exactCase(
      'silu of bytes, and of what is larger',
      { input: integers(random, count, 200), table: siluTable() },
      { output: new Int32Array(count) },
      exactTable({ input, table: { name: 'table' }, output, count }),
    ),
  ];
}

function rowCases(random: Random): KernelCase[] {
  const shapes = [
    { rows: 1, columns: 1 },
    { rows: 65, columns: 97 },
    { rows: 3, columns: 2179 },
  ];
  const softmaxes = shapes.flatMap(({ rows, columns }) =>
    [false, true].map((causal): KernelCase => {
      const targets = Int32Array.from({ length: rows }, () => random.below(columns));
      return exactCase(
        `${rows} rows of ${columns}${causal ? ', causal' : ', with the gradient'}`,
        { logits: integers(random, rows * columns, 100_000), table: expTable(), ...(causal ? {} : { targets }) },
        { output: new Int32Array(rows * columns) },
        exactSoftmax({
          logits: { name: 'logits' },
          table: { name: 'table' },
          output: { name: 'output' },
          rows,
          columns,
          scale: exactScale(1 / 900),
          causal,
          ...(causal ? {} : { targets: { name: 'targets' } }),
        }),
      );
    }),
  );
  const norms = [0, 1, 1023, 5_000_000].map((bound): KernelCase => {
    const [rows, width] = [65, 97];
    return exactCase(
      `${rows} rows of ${width}, values to ${bound}`,
      { input: integers(random, rows * width, bound), gain: integers(random, width, 127) },
      { output: new Int32Array(rows * width) },
      exactNorm({
        input: { name: 'input' },
        gain: { name: 'gain' },
        output: { name: 'output' },
        rows,
        width,
      }),
    );
  });
  return [...softmaxes, ...norms];
}

function gatherCases(random: Random): KernelCase[] {
  const [rows, width, vocabulary] = [97, 65, 31];
  const tokens = Int32Array.from({ length: rows }, () => random.below(vocabulary));
  const parts = {
    tokens: { name: 'tokens' },
    input: { name: 'input' },
    output: { name: 'output' },
    rows,
    width,
    vocabulary,
  };
  return [
    exactCase(
      'rows of a table',
      { tokens, input: integers(random, vocabulary * width, 127) },
      { output: new Int32Array(rows * width) },
      exactGather(parts),
    ),
    exactCase(
      'sums by token',
      { tokens, input: integers(random, rows * width, 2 ** 30) },
      { output: new Int32Array(vocabulary * width) },
      exactGatherGradient(parts),
    ),
  ];
}

function exactCase(
  title: string,
  inputs: Readonly<Record<string, Int32Array<ArrayBuffer>>>,
  outputs: Readonly<Record<'output', Int32Array<ArrayBuffer>>>,
  operation: ExactOperation,
): KernelCase {
  const wanted = outputs.output.slice();
  const tensors: Record<string, Int32Array<ArrayBuffer>> = { ...inputs, ...outputs };
  operation.compute((name) => (name === 'output' ? wanted : (tensors[name] ?? new Int32Array(0))));
  return {
    kernel: operation.kernel,
    title,
    tensors: Object.fromEntries(Object.entries(tensors).map(([name, values]) => [name, bits(values)])),
    dispatches: (tensor) => [operation.dispatch(tensor)],
    expected: { output: bits(wanted) },
    tolerance: exactTolerance,
  };
}

/** The self-test compares bits, which it takes as u32. */
const bits = (values: Int32Array<ArrayBuffer>): Uint32Array => new Uint32Array(values.buffer);
