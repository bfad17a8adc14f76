/**
 * The bytes behind each id of a `tokenizer.json`: byte-level vocabularies write bytes in an alphabet of 256 visible
 * characters (GPT-2, openai/gpt-2 `encoder.py`), SentencePiece's write a space as U+2581 and rare bytes as `<0x0A>`.
 */

import { utf8 } from '../../core/bytes.ts';
import { ok, problem, type Result } from '../../core/result.ts';
import type { Pieces } from '../tokenizer.ts';
import { idMax, type TokenizerForm } from './form.ts';

export interface PieceTable {
  /** One more than the highest id. */
  readonly count: number;
  /** The table for a model whose texts begin with this id. */
  readonly table: (start: number | undefined) => Omit<Pieces, 'vocabulary'>;
}

/** How a vocabulary writes bytes, and whether its decoder takes a space from a text's beginning. */
interface Writing {
  readonly alphabet: 'byte-level' | 'sentence-piece';
  readonly dropsSpace: boolean;
}

export function readPieces(form: TokenizerForm, where: string, known: readonly string[] = []): Result<PieceTable> {
  const refuse = (text: string) => problem('tokenizer', `${where}: ${text}`);
  const writing = readWriting(form.decoder);
  if (writing === undefined) {
    return refuse(
      `decoder ${JSON.stringify(form.decoder?.type ?? null)} is not supported; ByteLevel, Metaspace and SentencePiece's sequence are`,
    );
  }
  const entries = readEntries(form);
  if (typeof entries === 'string') return refuse(entries);
  const texts: (string | undefined)[] = [...known];
  for (const [text, token] of entries) {
    if (typeof token !== 'number' || !Number.isInteger(token) || token < 0 || token > idMax)
      return refuse(`token ${JSON.stringify(text)} has the id ${JSON.stringify(token)}; ids are 0 to ${idMax}`);
    texts[token] ??= text;
  }
  const special = new Set<number>();
  const added = new Set<number>();
  for (const token of form.added_tokens) {
    texts[token.id] = token.content;
    added.add(token.id);
    if (token.special === true) special.add(token.id);
  }
  if (texts.length === 0) return refuse('the vocabulary is empty');
  const toBytes = writing.alphabet === 'byte-level' ? byteLevelBytes : sentencePieceBytes;
  return ok({
    count: texts.length,
    table: (start) => ({
      bytesOf: (token) => {
        const text = texts[token] ?? '';
        return added.has(token) && writing.alphabet === 'byte-level' ? utf8(text) : toBytes(text);
      },
      isSpecial: (token) => special.has(token),
      ...(writing.dropsSpace ? { spaceBefore: { start } } : {}),
    }),
  });
}

/** Texts and ids of the model's own vocabulary, or what is wrong with it. */
function readEntries({ model }: TokenizerForm): readonly (readonly [string, unknown])[] | string {
  const { type, vocab, merges } = model;
  if (type === 'BPE' || (type === undefined && Array.isArray(merges))) {
    if (!Array.isArray(merges) || !merges.every(isMerge)) return 'BPE without a list of merges';
    if (typeof vocab !== 'object' || vocab === null || Array.isArray(vocab)) return 'BPE without a vocabulary';
    return Object.entries(vocab);
  }
  if (type === 'Unigram') {
    if (model.byte_fallback === true) return 'Unigram with bytes for unknown characters is not supported';
    if (!Array.isArray(vocab) || !vocab.every(isScored)) return 'Unigram without a list of [piece, score]';
    return vocab.map(([text], token) => [text, token] as const);
  }
  return `tokenizer model ${JSON.stringify(type ?? null)} is not supported; BPE and Unigram are`;
}

const isMerge = (merge: unknown): boolean =>
  typeof merge === 'string'
    ? merge.includes(' ')
    : Array.isArray(merge) && merge.length === 2 && merge.every((half) => typeof half === 'string');

const isScored = (entry: unknown): entry is [string, number] =>
  Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && Number.isFinite(entry[1]);

function readWriting(decoder: TokenizerForm['decoder']): Writing | undefined {
  if (decoder === null) return undefined;
  if (decoder.type === 'ByteLevel') return { alphabet: 'byte-level', dropsSpace: false };
  if (decoder.type === 'Metaspace')
    return { alphabet: 'sentence-piece', dropsSpace: decoder['prepend_scheme'] !== 'never' };
  const parts: unknown = decoder['decoders'];
  if (decoder.type !== 'Sequence' || !Array.isArray(parts)) return undefined;
  const steps = parts.map(readStep);
  if (steps.includes('byte-level')) {
    return steps.every((step) => step === 'byte-level' || step === 'fuse')
      ? { alphabet: 'byte-level', dropsSpace: false }
      : undefined;
  }
  if (steps.includes(undefined) || !(steps.includes('space') || steps.includes('bytes'))) return undefined;
  return { alphabet: 'sentence-piece', dropsSpace: steps.includes('strip') };
}

/** What one decoder of a sequence does, as far as it is one of SentencePiece's. */
function readStep(step: unknown): 'byte-level' | 'space' | 'bytes' | 'fuse' | 'strip' | undefined {
  if (typeof step !== 'object' || step === null) return undefined;
  const { type, pattern, content, start, stop } = step as Record<string, unknown>;
  if (type === 'ByteLevel') return 'byte-level';
  if (type === 'ByteFallback') return 'bytes';
  if (type === 'Fuse') return 'fuse';
  if (type === 'Strip') return content === ' ' && start === 1 && (stop ?? 0) === 0 ? 'strip' : undefined;
  const replaced = typeof pattern === 'object' && pattern !== null && 'String' in pattern ? pattern.String : undefined;
  return type === 'Replace' && replaced === spaceMark && content === ' ' ? 'space' : undefined;
}

/** The visible character of each byte: itself where it is printable, else the next one from U+0100 on. */
export const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();
const byteOfCharacter = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** A piece that is not in the alphabet stands for itself. */
function byteLevelBytes(text: string): Uint8Array {
  const bytes = Array.from(text, (character) => byteOfCharacter.get(character) ?? -1);
  return bytes.includes(-1) ? utf8(text) : Uint8Array.from(bytes);
}

export const spaceMark = '\u2581';
const bytePiece = /^<0x([0-9A-Fa-f]{2})>$/;

function sentencePieceBytes(text: string): Uint8Array {
  const byte = bytePiece.exec(text)?.[1];
  return byte === undefined ? utf8(text.replaceAll(spaceMark, ' ')) : Uint8Array.of(Number.parseInt(byte, 16));
}
