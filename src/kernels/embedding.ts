/**
 * Embedding: rows of a table by token, and the gradient to the table. As a plain gather of rows it also picks, say, the
 * last position of every sequence (tokens are then row indices).
 */

import type { Dispatch } from './device.ts';
import { gridOf } from './grid.ts';
import { defineKernel, dispatchOf, type Tensor } from './kernel.ts';

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
  return dispatchOf(gather, { tokens, table, output }, { rows, width, vocabulary }, gridOf(rows * width, 64));
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
    gridOf(rows * width, 64),
  );
}
