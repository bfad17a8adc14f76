/**
 * Embedding: rows of a table by token, and the gradient to the table. As a plain gather of rows it also picks, say, the
 * last position of every sequence (tokens are then row indices).
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { toF64, whole, normals, type KernelCase, type Tolerance } from './test-case.ts';
import type { Random } from '../core/prng.ts';
import { addAt, at, plus } from './truth.ts';

const gather = defineKernel({
  shader: 'embedding',
  tensors: ['tokens:u32', 'table', '>output'],
  numbers: ['rows', 'width', 'vocabulary'],
});

const gradient = defineKernel({
  shader: 'embedding_gradient',
  tensors: ['tokens:u32', 'output_gradient', '>table_gradient'],
  numbers: ['rows', 'width', 'vocabulary'],
});

/** Columns of an invocation of the gradient; the search for a token's other rows serves them all. */
const columnsAtOnce = 16;

/**
 * output[row] = table[tokens[row]]. Shapes: tokens u32 [rows], table [vocabulary, width], output [rows, width].
 * A token outside the vocabulary gives a row of zeros.
 */
export function embeddingDispatch(of: {
  readonly tokens: Tensor;
  readonly table: Tensor;
  readonly output: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly vocabulary: number;
}): Dispatch {
  const { tokens, table, output, rows, width, vocabulary } = of;
  return dispatchOf(gather, { tokens, table, output }, { rows, width, vocabulary }, elementGrid(rows * width));
}

/**
 * tableGradient[token] += the sum of outputGradient over the rows that hold this token, in row order; always adds, so
 * clear the gradient buffer at the start of a step. Shapes: outputGradient [rows, width], tableGradient [vocabulary, width].
 */
export function embeddingGradientDispatch(of: {
  readonly tokens: Tensor;
  readonly outputGradient: Tensor;
  readonly tableGradient: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly vocabulary: number;
}): Dispatch {
  const { tokens, outputGradient, tableGradient, rows, width, vocabulary } = of;
  return dispatchOf(
    gradient,
    { tokens, output_gradient: outputGradient, table_gradient: tableGradient },
    { rows, width, vocabulary },
    elementGrid(rows * Math.ceil(width / columnsAtOnce)),
  );
}

export const embeddingKernels = [gather, gradient];

export function embeddingTruth(tokens: Uint32Array, table: Float64Array, width: number): Float64Array {
  const vocabulary = table.length / width;
  const output = new Float64Array(tokens.length * width);
  tokens.forEach((token, row) => {
    if (token < vocabulary) output.set(table.subarray(token * width, (token + 1) * width), row * width);
  });
  return output;
}

/** What is added to the table's gradient. */
export function embeddingGradientTruth(
  tokens: Uint32Array,
  outputGradient: Float64Array,
  vocabulary: number,
): Float64Array {
  const width = outputGradient.length / tokens.length;
  const tableGradient = new Float64Array(vocabulary * width);
  tokens.forEach((token, row) => {
    if (token >= vocabulary) return;
    for (let column = 0; column < width; column++) {
      addAt(tableGradient, token * width + column, at(outputGradient, row * width + column));
    }
  });
  return tableGradient;
}

export const embeddingTolerance: Tolerance = {
  absolute: 1e-5,
  relative: 1e-6,
  reason: 'rows are copied; the gradient sums as many f32 as a token has rows',
};

export function embeddingCases(random: Random): KernelCase[] {
  return [
    { rows: 1, width: 1, vocabulary: 1 },
    { rows: 65, width: 97, vocabulary: 3 },
    { rows: 315, width: 3, vocabulary: 65 },
  ].flatMap(({ rows, width, vocabulary }): KernelCase[] => {
    // One token more than the table has, so that one outside it is met too.
    const tokens = whole(random, rows, vocabulary + 1);
    const table = normals(random, vocabulary * width);
    const outputGradient = normals(random, rows * width);
    const before = normals(random, vocabulary * width);
    const sizes = { rows, width, vocabulary };
    const title = `rows ${rows}, width ${width}, vocabulary ${vocabulary}`;
    const added = embeddingGradientTruth(tokens, toF64(outputGradient), vocabulary);
    return [
      {
        kernel: gather.name,
        title,
        tensors: { tokens, table, output: new Float32Array(rows * width) },
        dispatches: (of) => [
          embeddingDispatch({ tokens: of('tokens'), table: of('table'), output: of('output'), ...sizes }),
        ],
        expected: { output: embeddingTruth(tokens, toF64(table), width) },
        tolerance: embeddingTolerance,
      },
      {
        kernel: gradient.name,
        title,
        tensors: { tokens, outputGradient, tableGradient: before },
        dispatches: (of) => [
          embeddingGradientDispatch({
            tokens: of('tokens'),
            outputGradient: of('outputGradient'),
            tableGradient: of('tableGradient'),
            ...sizes,
          }),
        ],
        expected: { tableGradient: plus(added, before) },
        tolerance: embeddingTolerance,
      },
    ];
  });
}
