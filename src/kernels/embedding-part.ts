/**
 * Embedding from a table in pieces: a vocabulary of 150,000 rows passes what one binding may hold, and its rows may lie as
 * halves or in blocks. Each piece fills the rows of its own tokens. A whole f32 table with its gradient is `embedding.ts`.
 */

import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { embeddingTruth } from './embedding.ts';
import { packHalves, unpackHalves } from './half.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { dequantise, quantBlock, quantiseQ4_0, quantiseQ8_0, type QuantFormat } from './quant-blocks.ts';
import { normals, toF64, whole, type KernelCase, type Tolerance } from './test-case.ts';

/** How a matrix of weights lies: floats, halves two a word, or blocks with their scales apart. */
export type WeightFormat = 'f32' | 'f16' | QuantFormat;
const formats = ['f32', 'f16', 'q8_0', 'q4_0'] as const satisfies readonly WeightFormat[];

const kernelOf = (format: number) =>
  defineKernel({
    shader: 'embedding_part',
    tensors: ['tokens:u32', 'table:u32', 'scales:u32', '>output'],
    numbers: ['rows', 'width', 'first', 'count', 'vocabulary'],
    constants: { format },
  });
const kernels = { f32: kernelOf(0), f16: kernelOf(1), q4_0: kernelOf(4), q8_0: kernelOf(8) } as const;
export const embeddingPartKernels = Object.values(kernels);

export interface EmbeddingPart {
  readonly format: WeightFormat;
  /** u32 [rows]. */
  readonly tokens: Tensor;
  /** [count, width]; the offset counts floats, halves or words of quants. */
  readonly table: Tensor;
  /** Of blocks; the offset counts words. */
  readonly scales?: Tensor;
  /** [rows, width]. */
  readonly output: Tensor;
  readonly rows: number;
  readonly width: number;
  /** The token of this part's first row, and how many rows it has. */
  readonly first: number;
  readonly count: number;
  readonly vocabulary: number;
}

/** Sets the output's rows whose tokens this part holds; the part with `first` 0 also clears those outside the vocabulary. */
export function embeddingPartDispatch(of: EmbeddingPart): Dispatch {
  const { format, tokens, table, scales, output, rows, width, first, count, vocabulary } = of;
  const isQuantised = format === 'q4_0' || format === 'q8_0';
  assert(!isQuantised || (scales !== undefined && width % quantBlock === 0), `embedding: ${format} of width ${width}`);
  return dispatchOf(
    kernels[format],
    { tokens, table, scales: scales ?? tokens, output },
    { rows, width, first, count, vocabulary },
    elementGrid(rows * width),
  );
}

export const embeddingPartTolerance: Tolerance = {
  absolute: 0,
  relative: 1e-6,
  reason: 'floats and halves are copied; a quant times its scale rounds once',
};

/** A table as a device holds it, and what it stands for. */
function stored(format: WeightFormat, table: Float32Array) {
  const none = new Uint32Array(1);
  if (format === 'f32') return { words: new Uint32Array(table.buffer.slice(0)), scales: none, values: toF64(table) };
  if (format === 'f16') {
    const words = packHalves(table);
    return { words, scales: none, values: toF64(unpackHalves(words, table.length)) };
  }
  const packed = format === 'q4_0' ? quantiseQ4_0(table) : quantiseQ8_0(table);
  return { words: packed.quants, scales: packed.scales, values: dequantise(packed) };
}

/** One table, cut in two at a row that leaves an even number of blocks before it. */
export const embeddingPartCases = (random: Random): KernelCase[] =>
  formats.flatMap((format) =>
    [
      { rows: 65, width: 96, vocabulary: 7, cut: 4 },
      { rows: 3, width: 32, vocabulary: 315, cut: 314 },
      ...(format === 'f32' || format === 'f16' ? [{ rows: 97, width: 3, vocabulary: 65, cut: 2 }] : []),
    ].map(({ rows, width, vocabulary, cut }): KernelCase => {
      const table = normals(random, vocabulary * width);
      const tokens = whole(random, rows, vocabulary + 1);
      const low = stored(format, table.slice(0, cut * width));
      const high = stored(format, table.slice(cut * width));
      const values = new Float64Array([...low.values, ...high.values]);
      return {
        kernel: kernels[format].name,
        title: `${format}, rows ${rows}, width ${width}, vocabulary ${vocabulary} cut at ${cut}`,
        tensors: {
          tokens,
          low: low.words,
          lowScales: low.scales,
          high: high.words,
          highScales: high.scales,
          output: normals(random, rows * width),
        },
        dispatches: (of) => {
          const whatever = { format, tokens: of('tokens'), output: of('output'), rows, width, vocabulary };
          // Offsets of halves count halves.
          const table = (name: string): Tensor => {
            const { buffer, offset = 0 } = of(name);
            return { buffer, offset: format === 'f16' ? 2 * offset : offset };
          };
          return [
            { table: table('low'), scales: of('lowScales'), first: 0, count: cut },
            { table: table('high'), scales: of('highScales'), first: cut, count: vocabulary - cut },
          ].map((part) => embeddingPartDispatch({ ...whatever, ...part }));
        },
        expected: { output: embeddingTruth(tokens, values, width) },
        tolerance: embeddingPartTolerance,
      };
    }),
  );
