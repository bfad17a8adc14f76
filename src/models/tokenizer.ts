/**
 * What turns text into token ids and back, and the simplest one: the 256 bytes of UTF-8. A vocabulary is here a table of
 * byte strings, so that text comes out of ids one after another exactly as out of all at once. How text is cut into ids is
 * left to others: `llama2c-tokenizer`, and in `tokenizers` those of Hugging Face and of GGUF.
 */

import { utf8 } from '../core/bytes.ts';
import { InputError } from '../core/result.ts';

export interface EncodeOptions {
  /** With the start token, and whatever else the model wants around a text; true where not said. */
  readonly addSpecial?: boolean;
  /** A special token's text (`<|im_end|>`) becomes that token; true where not said. Not for text from strangers. */
  readonly parseSpecial?: boolean;
}

export interface DecodeOptions {
  /** The id before the first: it says whether a text begins here. */
  readonly previous?: number | undefined;
  /** Special tokens appear as their text; they are left out where not said. */
  readonly special?: boolean;
}

export interface Tokenizer {
  /** Ids are below this; the rows of the model's embedding. */
  readonly vocabulary: number;
  /** The id that every prompt begins with, where the model was trained with one. */
  readonly start: number | undefined;
  /** Ids that end a text or a turn. */
  readonly stop: readonly number[];
  /** The ids of a text; throws `InputError` where it holds half a character. */
  encode(text: string, options?: EncodeOptions): number[];
  /** The text of ids; bytes that are no UTF-8 become U+FFFD. Throws `InputError` for an id outside the vocabulary. */
  decode(tokens: readonly number[], options?: DecodeOptions): string;
  /** Text as ids arrive, the same as `decode` of all of them. */
  stream(options?: DecodeOptions): TokenStream;
  /** What an id stands for inside a text; part of a character where one spans several ids. */
  bytesOf(token: number): Uint8Array;
}

export interface TokenStream {
  /** The text that this id completes; a character that spans tokens comes with its last one. */
  push(token: number): string;
  /** What is left of a character that was never completed, as U+FFFD. */
  end(): string;
}

/** What each id of a vocabulary stands for. */
export interface Pieces {
  readonly vocabulary: number;
  readonly bytesOf: (token: number) => Uint8Array;
  readonly isSpecial: (token: number) => boolean;
  /** In front of a text's first word stands a space that is not the text's (SentencePiece); `start` is the id before it. */
  readonly spaceBefore?: { readonly start: number | undefined };
}

const nothing = new Uint8Array();
const space = 0x20;

/** The way from ids to text, which is the same for every vocabulary. */
export function createDecoding(pieces: Pieces): Pick<Tokenizer, 'decode' | 'stream' | 'bytesOf'> {
  const { vocabulary, spaceBefore } = pieces;

  function stream({ previous, special = false }: DecodeOptions = {}): TokenStream {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    let begins = previous === undefined || previous === spaceBefore?.start;
    return {
      push: (token) => {
        if (!Number.isInteger(token) || token < 0 || token >= vocabulary)
          throw new InputError(`token ${token} is outside the vocabulary, whose ids are 0 to ${vocabulary - 1}`);
        if (pieces.isSpecial(token)) {
          begins = token === spaceBefore?.start;
          return special ? decoder.decode(pieces.bytesOf(token), { stream: true }) : '';
        }
        const bytes = pieces.bytesOf(token);
        const withoutSpace = begins && spaceBefore !== undefined && bytes[0] === space ? bytes.subarray(1) : bytes;
        begins = false;
        return decoder.decode(withoutSpace, { stream: true });
      },
      end: () => decoder.decode(nothing),
    };
  }

  return {
    stream,
    bytesOf: pieces.bytesOf,
    decode: (tokens, options) => {
      const texts = stream(options);
      return tokens.map((token) => texts.push(token)).join('') + texts.end();
    },
  };
}

/** Refuses text with half a character, which UTF-8 has no bytes for and which would silently become another one. */
export function requireWholeText(text: string): void {
  const index = text.search(/\p{Surrogate}/u);
  if (index < 0) return;
  const code = text.charCodeAt(index).toString(16).toUpperCase();
  throw new InputError(
    `text: half a character (lone surrogate U+${code}) at position ${index}; was an emoji cut in two?`,
  );
}

/** Each byte is a token. Has no start token, so an empty prompt must be given as some byte, such as a line feed. */
export const byteTokenizer: Tokenizer = {
  vocabulary: 256,
  start: undefined,
  stop: [],
  encode: (text) => {
    requireWholeText(text);
    return Array.from(utf8(text));
  },
  ...createDecoding({ vocabulary: 256, bytesOf: (token) => Uint8Array.of(token), isSpecial: () => false }),
};
