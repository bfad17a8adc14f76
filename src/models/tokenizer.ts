/** What turns text into token ids and back, and the simplest one: the 256 bytes of UTF-8. Others: `llama2c-tokenizer`. */

import { utf8 } from '../core/bytes.ts';

export interface Tokenizer {
  readonly vocabulary: number;
  /** The id that every prompt begins with, where the model was trained with one. */
  readonly start: number | undefined;
  /** Ids that end a text. */
  readonly stop: readonly number[];
  /** The ids of a text, start token included. */
  encode(text: string): number[];
  /** The text of generated ids; bytes that are no UTF-8 become U+FFFD. `previous` is the id before the first, if any. */
  decode(tokens: readonly number[], previous?: number): string;
}

/** Each byte is a token. Has no start token, so an empty prompt must be given as some byte, such as a line feed. */
export const byteTokenizer: Tokenizer = {
  vocabulary: 256,
  start: undefined,
  stop: [],
  encode: (text) => Array.from(utf8(text)),
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens)),
};
