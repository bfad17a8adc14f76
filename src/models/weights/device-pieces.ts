/**
 * Pieces of a stored matrix in the form in which a device holds it: floats, halves, or blocks with their scales apart, and
 * which bytes of a piece go to which part of a matrix that is cut. Where the stored form is the device's, bytes are only
 * checked and repacked; otherwise they become numbers first.
 */

import { assert } from '../../core/assert.ts';
import { viewBytes } from '../../core/bytes.ts';
import { InputError } from '../../core/result.ts';
import { packHalves } from '../../kernels/half.ts';
import { quantBlock, quantiseQ4_0, quantiseQ8_0, type QuantWeights } from '../../kernels/quant-blocks.ts';
import { scaleBytes, valueBytes, type MatrixSource, type PlannedMatrix } from '../weight-plan.ts';
import { streamBlocks, streamPacked, streamTensor } from './stream-tensor.ts';
import { quotedName, type StoredTensor } from './tensor-file.ts';

/** Elements from `start` of the source; every piece but the last has an even number of halves and blocks. */
export interface DevicePiece {
  readonly start: number;
  readonly elements: number;
  readonly values: Uint8Array;
  readonly scales?: Uint8Array;
}

export async function* devicePieces({ from, format }: MatrixSource): AsyncGenerator<DevicePiece> {
  const { stored, headRows } = from;
  const options = { headRows };
  if (isQuantised(stored) && stored.type === format) {
    for await (const { start, weights } of streamPacked(stored, { headRows, bytesMax: pairsOfBlocks })) {
      yield packedPiece(start, weights);
    }
    return;
  }
  if (stored.type === 'f16' && format === 'f16') {
    for await (const { start, bytes } of streamBlocks(stored, options)) {
      yield { start, elements: bytes.byteLength / 2, values: wholeWords(checkedHalves(stored, start, bytes)) };
    }
    return;
  }
  for await (const { start, values } of streamTensor(stored, options)) {
    if (format === 'f32') yield { start, elements: values.length, values: viewBytes(values) };
    else if (format === 'f16') yield halvesPiece(stored, start, values);
    else yield packedPiece(start, format === 'q4_0' ? quantiseQ4_0(values) : quantiseQ8_0(values));
  }
}

/** A multiple of two blocks of either format: 512 KiB less a little. */
const pairsOfBlocks = Math.floor((512 * 1024) / (2 * 18 * 34)) * 2 * 18 * 34;

const isQuantised = (stored: StoredTensor): stored is StoredTensor & { readonly type: 'q4_0' | 'q8_0' } =>
  stored.type === 'q4_0' || stored.type === 'q8_0';

const packedPiece = (start: number, { format, quants, scales }: QuantWeights): DevicePiece => ({
  start,
  elements: (quants.byteLength / (format === 'q4_0' ? 16 : 32)) * quantBlock,
  values: viewBytes(quants),
  scales: viewBytes(scales),
});

function halvesPiece(stored: StoredTensor, start: number, values: Float32Array): DevicePiece {
  const halves = viewBytes(packHalves(values));
  return { start, elements: values.length, values: checkedHalves(stored, start, halves) };
}

/** Halves whose exponent is all ones are infinite or no number; a larger weight becomes such a one on its way. */
function checkedHalves(stored: StoredTensor, start: number, bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let place = 0; place < bytes.byteLength; place += 2) {
    if ((view.getUint16(place, true) & 0x7c00) !== 0x7c00) continue;
    const what =
      stored.type === 'f16' ? 'not a finite number; fetch the file again' : 'more than a half holds; leave it as it is';
    throw new InputError(
      `${stored.source.name}: tensor ${quotedName(stored.name)}: element ${start + place / 2} is ${what}`,
    );
  }
  return bytes;
}

/** The same, filled up to a multiple of four bytes. */
function wholeWords(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength % 4 === 0) return bytes;
  const filled = new Uint8Array(bytes.byteLength + 4 - (bytes.byteLength % 4));
  filled.set(bytes);
  return filled;
}

export interface PlacedBytes {
  /** Index of the part. */
  readonly part: number;
  readonly of: 'values' | 'scales';
  readonly bytes: Uint8Array;
  /** In the part's buffer. */
  readonly offset: number;
}

/** Where the bytes of a piece go. Parts begin at whole words of every source, as the plan cuts them. */
export function* piecesOnParts(
  piece: DevicePiece,
  source: MatrixSource,
  { parts, columns }: PlannedMatrix,
): Generator<PlacedBytes> {
  const pieceStart = source.firstRow * columns + piece.start;
  const pieceEnd = pieceStart + piece.elements;
  for (const [part, { firstRow, rows, format }] of parts.entries()) {
    const partStart = firstRow * columns;
    const start = Math.max(pieceStart, partStart);
    const end = Math.min(pieceEnd, partStart + rows * columns);
    if (start >= end) continue;
    assert(format === source.format, `${source.from.parameter.name}: ${source.format} in a part of ${format}`);
    for (const [of, bytesOf, bytes] of [
      ['values', valueBytes, piece.values],
      ['scales', scaleBytes, piece.scales],
    ] as const) {
      if (bytes === undefined) continue;
      const own = bytes.subarray(bytesOf(format, start - pieceStart), bytesOf(format, end - pieceStart));
      yield { part, of, bytes: own, offset: bytesOf(format, start - partStart) };
    }
  }
}
