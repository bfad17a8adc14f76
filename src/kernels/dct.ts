/**
 * The discrete cosine transform of a matrix in chunks, forward (DCT-II) and back (DCT-III), orthonormal, as DeMo compresses
 * momentum (Peng, Quesnelle and Kingma 2024, arXiv 2411.19870): a chunk's height is the largest divisor of the rows up to
 * 64, its width that of the columns; a vector has one row. Coefficients lie chunk after chunk, [chunks][height][width], as
 * `top-k.ts` wants them. Two dispatches: along the rows of chunks, then along their columns.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, type Tensor } from './kernel.ts';
import { matmulTruth } from './matmul-truth.ts';
import { normals, toF64, type KernelCase, type Tolerance } from './test-case.ts';
import { at } from './truth.ts';

const kernel = defineKernel({
  shader: 'dct',
  tensors: ['input', 'basis', '>output'],
  numbers: [
    'chunks',
    'chunks_across',
    'length',
    'lines',
    'backward',
    'input_chunk_row',
    'input_chunk_column',
    'input_line',
    'input_element',
    'output_chunk_row',
    'output_chunk_column',
    'output_line',
    'output_element',
  ],
});

export const dctLengthMax = 64;

export interface DctSizes {
  readonly rows: number;
  readonly columns: number;
}

export interface DctChunks {
  readonly height: number;
  readonly width: number;
  readonly chunks: number;
  /** Chunks beside each other. */
  readonly across: number;
}

/** How a matrix falls into chunks. */
export function dctChunks({ rows, columns }: DctSizes): DctChunks {
  const [height, width] = [divisorOf(rows), divisorOf(columns)];
  const across = columns / width;
  return { height, width, chunks: (rows / height) * across, across };
}

/** The largest divisor up to 64; 1 divides everything. */
function divisorOf(length: number): number {
  let divisor = Math.min(length, dctLengthMax);
  while (length % divisor !== 0) divisor--;
  return divisor;
}

/** basis[j, k] = sqrt(2 / n) cos(pi (2j + 1) k / 2n), column 0 over the root of two; [length, length], orthogonal. */
export const dctBasis = (length: number): Float64Array<ArrayBuffer> =>
  Float64Array.from({ length: length * length }, (_, place) => {
    const [j, k] = [Math.floor(place / length), place % length];
    const wave = Math.sqrt(2 / length) * Math.cos((Math.PI * (2 * j + 1) * k) / (2 * length));
    return k === 0 ? wave / Math.SQRT2 : wave;
  });

export interface DctTensors extends DctSizes {
  /** [rows, columns]. */
  readonly matrix: Tensor;
  /** [chunks][height][width]. */
  readonly coefficients: Tensor;
  /** Of `dctBasis(width)` and `dctBasis(height)`. */
  readonly rowBasis: Tensor;
  readonly columnBasis: Tensor;
  /** [rows * columns], a buffer of its own. */
  readonly scratch: Tensor;
}

interface Layout {
  readonly chunkRow: number;
  readonly chunkColumn: number;
  readonly row: number;
}

/** coefficients of matrix. */
export function dctDispatches(of: DctTensors): Dispatch[] {
  const { matrix, coefficients, rowBasis, columnBasis, scratch } = of;
  const { lying, chunked } = layoutsOf(of);
  return [
    alongRows(of, { input: matrix, basis: rowBasis, output: scratch, from: lying, to: chunked, backward: 0 }),
    alongColumns(of, {
      input: scratch,
      basis: columnBasis,
      output: coefficients,
      from: chunked,
      to: chunked,
      backward: 0,
    }),
  ];
}

/** matrix of coefficients. */
export function inverseDctDispatches(of: DctTensors): Dispatch[] {
  const { matrix, coefficients, rowBasis, columnBasis, scratch } = of;
  const { lying, chunked } = layoutsOf(of);
  return [
    alongColumns(of, {
      input: coefficients,
      basis: columnBasis,
      output: scratch,
      from: chunked,
      to: chunked,
      backward: 1,
    }),
    alongRows(of, { input: scratch, basis: rowBasis, output: matrix, from: chunked, to: lying, backward: 1 }),
  ];
}

function layoutsOf(of: DctSizes): { lying: Layout; chunked: Layout } {
  const { height, width, across } = dctChunks(of);
  return {
    lying: { chunkRow: height * of.columns, chunkColumn: width, row: of.columns },
    chunked: { chunkRow: across * height * width, chunkColumn: height * width, row: width },
  };
}

interface Pass {
  readonly input: Tensor;
  readonly basis: Tensor;
  readonly output: Tensor;
  readonly from: Layout;
  readonly to: Layout;
  readonly backward: 0 | 1;
}

function alongRows(of: DctSizes, pass: Pass): Dispatch {
  const { height, width } = dctChunks(of);
  return passDispatch(of, pass, { length: width, lines: height }, ({ row }) => ({ line: row, element: 1 }));
}

function alongColumns(of: DctSizes, pass: Pass): Dispatch {
  const { height, width } = dctChunks(of);
  return passDispatch(of, pass, { length: height, lines: width }, ({ row }) => ({ line: 1, element: row }));
}

function passDispatch(
  of: DctSizes,
  { input, basis, output, from, to, backward }: Pass,
  { length, lines }: { readonly length: number; readonly lines: number },
  steps: (layout: Layout) => { line: number; element: number },
): Dispatch {
  const { chunks, across } = dctChunks(of);
  const numbers = {
    chunks,
    chunks_across: across,
    length,
    lines,
    backward,
    input_chunk_row: from.chunkRow,
    input_chunk_column: from.chunkColumn,
    input_line: steps(from).line,
    input_element: steps(from).element,
    output_chunk_row: to.chunkRow,
    output_chunk_column: to.chunkColumn,
    output_line: steps(to).line,
    output_element: steps(to).element,
  };
  return dispatchOf(kernel, { input, basis, output }, numbers, elementGrid(chunks * lines * Math.ceil(length / 4)));
}

export const dctKernels = [kernel];

/** By the definition, chunk after chunk: the columns' basis, transposed, times the chunk times the rows' basis. */
export function dctTruth(matrix: Float64Array, of: DctSizes): Float64Array {
  const { height, width, chunks, across } = dctChunks(of);
  const [rowBasis, columnBasis] = [dctBasis(width), dctBasis(height)];
  const coefficients = new Float64Array(chunks * height * width);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const start = Math.floor(chunk / across) * height * of.columns + (chunk % across) * width;
    const rows = Float64Array.from({ length: height * width }, (_, place) =>
      at(matrix, start + Math.floor(place / width) * of.columns + (place % width)),
    );
    const along = matmulTruth('NN', rows, rowBasis, { rows: height, columns: width, inner: width });
    coefficients.set(
      matmulTruth('TN', columnBasis, along, { rows: height, columns: width, inner: height }),
      chunk * height * width,
    );
  }
  return coefficients;
}

export const dctTolerance: Tolerance = {
  absolute: 2e-5,
  relative: 2e-6,
  reason: 'two sums of up to 64 products of standard normals with a basis of unit columns',
};

export function dctCases(random: Random): KernelCase[] {
  const shapes = [
    { rows: 1, columns: 1 },
    { rows: 1, columns: 315 },
    { rows: 65, columns: 97 },
    { rows: 96, columns: 64 },
    { rows: 130, columns: 64 },
  ];
  return shapes.flatMap((sizes): KernelCase[] => {
    const matrix = normals(random, sizes.rows * sizes.columns);
    const coefficients = dctTruth(toF64(matrix), sizes);
    const { height, width } = dctChunks(sizes);
    const shared = {
      rowBasis: Float32Array.from(dctBasis(width)),
      columnBasis: Float32Array.from(dctBasis(height)),
      scratch: new Float32Array(matrix.length),
    };
    const made =
      (make: (of: DctTensors) => Dispatch[]): KernelCase['dispatches'] =>
      (of) =>
        make({
          ...sizes,
          matrix: of('matrix'),
          coefficients: of('coefficients'),
          rowBasis: of('rowBasis'),
          columnBasis: of('columnBasis'),
          scratch: of('scratch'),
        });
    const title = `${sizes.rows} x ${sizes.columns} in chunks of ${height} x ${width}`;
    const empty = new Float32Array(matrix.length);
    return [
      {
        kernel: kernel.name,
        title,
        tensors: { ...shared, matrix, coefficients: empty },
        dispatches: made(dctDispatches),
        expected: { coefficients },
        tolerance: dctTolerance,
      },
      {
        kernel: kernel.name,
        title: `${title}, back`,
        tensors: { ...shared, matrix: empty, coefficients: Float32Array.from(coefficients) },
        dispatches: made(inverseDctDispatches),
        expected: { matrix: toF64(matrix) },
        tolerance: dctTolerance,
      },
    ];
  });
}
