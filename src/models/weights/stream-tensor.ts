/**
 * A stored tensor piece by piece, so that memory holds two chunks at most, whatever the tensor's size: pieces as they lie
 * in the file and as numbers. Each byte is read once. Pieces are whole blocks, asked for only when the one before was
 * taken; what becomes of them (the GPU, a flat vector) is the caller's.
 */

import { chunkBytesMax } from '../../core/limits.ts';
import { assert } from '../../core/assert.ts';
import type { Bytes } from '../../core/bytes.ts';
import { InputError } from '../../core/result.ts';
import { packQ4_0, packQ8_0, type QuantFormat, type QuantWeights } from '../../kernels/quant-blocks.ts';
import { elementsOf, quotedName, tensorTypes, type StoredTensor } from './tensor-file.ts';
import { tensorValues } from './tensor-values.ts';

/** Who takes a piece may still hold the one before while the next is read and made into numbers: together two chunks. */
const pieceBytesMax = chunkBytesMax / 2;

export interface StreamOptions {
  /** Bytes of a piece, as it lies in the file and as f32; a piece is a block or (with `headRows`) two rows at least. */
  readonly bytesMax?: number;
  /**
   * Rows of one head whose rotary pairs stand half a head apart: they come as neighbours, row i of a head's first half
   * followed by row i of its second.
   */
  readonly headRows?: number | undefined;
}

/** `start` is the elements before the piece, in the order in which they come. */
export interface ValuesPiece {
  readonly start: number;
  readonly values: Float32Array<ArrayBuffer>;
}
export interface BlocksPiece {
  readonly start: number;
  readonly bytes: Bytes;
}
export interface PackedPiece {
  readonly start: number;
  readonly weights: QuantWeights;
}

/** The numbers. Rejects with an `InputError` at the first one that is not finite, or is an integer that f32 cannot hold. */
export async function* streamTensor(tensor: StoredTensor, options: StreamOptions = {}): AsyncGenerator<ValuesPiece> {
  const block = tensorTypes[tensor.type];
  const bytesMax = options.bytesMax ?? pieceBytesMax;
  const bytesAtOnce = Math.max(1, Math.floor(bytesMax / (4 * block.elements))) * block.bytes;
  for await (const { start, bytes } of streamBlocks(tensor, options)) {
    for (let from = 0; from < bytes.byteLength; from += bytesAtOnce) {
      const first = start + (from / block.bytes) * block.elements;
      yield checked(tensor, first, bytes.subarray(from, from + bytesAtOnce));
    }
  }
}

/** The blocks as kernels take them. Rejects with an `InputError` at a scale that is not finite. */
export async function* streamPacked(
  tensor: StoredTensor & { readonly type: QuantFormat },
  options: StreamOptions = {},
): AsyncGenerator<PackedPiece> {
  const pack = tensor.type === 'q4_0' ? packQ4_0 : packQ8_0;
  for await (const { start, bytes } of streamBlocks(tensor, options)) {
    try {
      yield { start, weights: pack(bytes) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new InputError(`${whatIs(tensor)}, from element ${start}: ${error.message}`);
    }
  }
}

/** The bytes as they lie in the file, in whole blocks. */
export function streamBlocks(tensor: StoredTensor, options: StreamOptions = {}): AsyncGenerator<BlocksPiece> {
  const { bytesMax = pieceBytesMax, headRows } = options;
  return headRows === undefined ? inOrder(tensor, bytesMax) : asNeighbours(tensor, bytesMax, headRows);
}

async function* inOrder(tensor: StoredTensor, bytesMax: number): AsyncGenerator<BlocksPiece> {
  const block = tensorTypes[tensor.type];
  const bytesAtOnce = Math.max(1, Math.floor(bytesMax / block.bytes)) * block.bytes;
  for (let from = tensor.start; from < tensor.end; from += bytesAtOnce) {
    const start = ((from - tensor.start) / block.bytes) * block.elements;
    yield { start, bytes: await tensor.source.read(from, Math.min(from + bytesAtOnce, tensor.end)) };
  }
}

async function* asNeighbours(tensor: StoredTensor, bytesMax: number, headRows: number): AsyncGenerator<BlocksPiece> {
  const rows = tensor.shape[0] ?? 1;
  const half = headRows / 2;
  assert(rows % headRows === 0 && Number.isInteger(half), `${tensor.name}: ${rows} rows in heads of ${headRows}`);
  const rowBytes = (tensor.end - tensor.start) / rows;
  const rowElements = elementsOf(tensor.shape) / rows;
  // Half a piece: its rows are there twice while they are put together.
  const pairsAtOnce = Math.max(1, Math.floor(bytesMax / (4 * rowBytes)));
  for (let head = 0; head < rows; head += headRows) {
    for (let pair = 0; pair < half; pair += pairsAtOnce) {
      const pairs = Math.min(pairsAtOnce, half - pair);
      const bytes = await readPairs(tensor, head + pair, half, pairs, rowBytes);
      yield { start: (head + 2 * pair) * rowElements, bytes };
    }
  }
}

/** `pairs` rows from `row`, each followed by the one `apart` rows after it. */
async function readPairs(
  { source, start }: StoredTensor,
  row: number,
  apart: number,
  pairs: number,
  rowBytes: number,
): Promise<Bytes> {
  const rowsAt = (first: number) => source.read(start + first * rowBytes, start + (first + pairs) * rowBytes);
  const joined = new Uint8Array(2 * pairs * rowBytes);
  const put = (bytes: Bytes, second: 0 | 1): void => {
    for (let pair = 0; pair < pairs; pair++) {
      joined.set(bytes.subarray(pair * rowBytes, (pair + 1) * rowBytes), (2 * pair + second) * rowBytes);
    }
  };
  put(await rowsAt(row), 0);
  put(await rowsAt(row + apart), 1);
  return joined;
}

/** f32 holds every whole number up to this, and rounds none above to one of them. */
const wholeMax = 2 ** 24 - 1;

function checked(tensor: StoredTensor, start: number, bytes: Uint8Array): ValuesPiece {
  const values = tensorValues(tensor.type, bytes);
  const bound = /^[iu]\d/.test(tensor.type) ? wholeMax : Number.MAX_VALUE;
  const wrong = values.findIndex((value) => !(Math.abs(value) <= bound));
  if (wrong < 0) return { start, values };
  const what = bound === wholeMax ? 'more than f32 holds exactly' : 'not a finite number; fetch the file again';
  throw new InputError(`${whatIs(tensor)}: element ${start + wrong} is ${values[wrong]}, ${what}`);
}

const whatIs = ({ source, name }: StoredTensor): string => `${source.name}: tensor ${quotedName(name)}`;
