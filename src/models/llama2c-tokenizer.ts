/**
 * llama2.c's tokenizer files (`tokenizer.bin`, karpathy/llama2.c `tokenizer.py`): i32 longest piece, then for each piece
 * f32 score, i32 length, bytes. Ids 0, 1, 2 are unknown, start and end; 3 to 258 are the single bytes `<0x00>`…; the rest
 * are pieces that merge greedily, the pair with the best score first, the leftmost among equals (SentencePiece BPE).
 */

import { fromUtf8, utf8 } from '../core/bytes.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { createDecoding, requireWholeText, type Tokenizer } from './tokenizer.ts';

const startToken = 1;
const endToken = 2;
const firstByteToken = 3;
/** Above this a piece's length is a sign of another format. */
const pieceBytesMax = 4096;
const bytePiece = /^<0x([0-9A-F]{2})>$/;

interface Piece {
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly score: number;
}

export function decodeLlama2cTokenizer(bytes: Uint8Array, vocabulary: number, where: string): Result<Tokenizer> {
  const refuse = (text: string) => problem('tokenizer', `${where}: ${text}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pieces: Piece[] = [];
  let offset = 4;
  while (offset < bytes.byteLength) {
    if (offset + 8 > bytes.byteLength) return refuse(`cut off in piece ${pieces.length}`);
    const score = view.getFloat32(offset, true);
    const length = view.getInt32(offset + 4, true);
    if (length < 0 || length > pieceBytesMax)
      return refuse(`piece ${pieces.length} has length ${length}; is this a llama2.c tokenizer?`);
    if (offset + 8 + length > bytes.byteLength) return refuse(`cut off in piece ${pieces.length}`);
    const piece = bytes.slice(offset + 8, offset + 8 + length);
    let text: string;
    try {
      text = fromUtf8(piece);
    } catch {
      return refuse(`piece ${pieces.length} is not UTF-8`);
    }
    pieces.push({ text, bytes: bytesOfPiece(text, piece), score });
    offset += 8 + length;
  }
  if (pieces.length !== vocabulary) return refuse(`${pieces.length} pieces, the model's vocabulary has ${vocabulary}`);
  return ok(createTokenizer(pieces));
}

function bytesOfPiece(text: string, bytes: Uint8Array): Uint8Array {
  const byte = bytePiece.exec(text)?.[1];
  return byte === undefined ? bytes : Uint8Array.of(Number.parseInt(byte, 16));
}

function createTokenizer(pieces: readonly Piece[]): Tokenizer {
  const ids = new Map<string, number>();
  for (const [id, { text }] of pieces.entries()) if (!ids.has(text)) ids.set(text, id);
  const idsOfCharacter = (character: string): number[] => {
    const id = ids.get(character);
    return id === undefined ? Array.from(utf8(character), (byte) => byte + firstByteToken) : [id];
  };
  const encodeText = (text: string): number[] =>
    // A space goes before the text, as words inside a text have one.
    text === '' ? [] : merge([...` ${text}`].flatMap(idsOfCharacter), pieces, ids);
  return {
    vocabulary: pieces.length,
    start: startToken,
    stop: [startToken, endToken],
    encode: (text, { addSpecial = true } = {}) => {
      requireWholeText(text);
      return [...(addSpecial ? [startToken] : []), ...encodeText(text)];
    },
    ...createDecoding({
      vocabulary: pieces.length,
      bytesOf: (token) => pieces[token]?.bytes ?? new Uint8Array(),
      isSpecial: (token) => token === startToken || token === endToken,
      spaceBefore: { start: startToken },
    }),
  };
}

/** Joins the neighbouring pair whose joined piece scores best, until no pair is a piece. */
function merge(tokens: readonly number[], pieces: readonly Piece[], ids: ReadonlyMap<string, number>): number[] {
  const merged = [...tokens];
  for (;;) {
    let best = { score: -Infinity, index: -1, id: -1 };
    for (let index = 0; index + 1 < merged.length; index++) {
      const id = ids.get(`${pieces[merged[index] ?? 0]?.text}${pieces[merged[index + 1] ?? 0]?.text}`);
      const score = id === undefined ? -Infinity : (pieces[id]?.score ?? -Infinity);
      if (id !== undefined && score > best.score) best = { score, index, id };
    }
    if (best.index < 0) return merged;
    merged.splice(best.index, 2, best.id);
  }
}
