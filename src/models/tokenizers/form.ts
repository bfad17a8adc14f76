/**
 * The form of Hugging Face's `tokenizer.json` (huggingface/tokenizers), as far as this side reads it. Its parts for
 * normalising, cutting and finishing belong to the library, which refuses what it does not know.
 */

import { v, whole } from '../../core/schema.ts';
import type { ChatTemplate } from '../chat-template.ts';
import type { Tokenizer } from '../tokenizer.ts';

/** Ids are below this: eight times the largest vocabulary in use, and small enough for tables. */
export const idMax = 2 ** 21;
const id = whole(0, idMax);
const addedToken = v.looseObject({ id, content: v.string(), special: v.optional(v.boolean()) });
export type AddedToken = v.InferOutput<typeof addedToken>;

const part = v.optional(v.nullable(v.looseObject({ type: v.string() })), null);
export const formSchema = v.looseObject({
  added_tokens: v.optional(v.array(addedToken), []),
  normalizer: part,
  pre_tokenizer: part,
  post_processor: part,
  decoder: part,
  model: v.looseObject({ type: v.optional(v.string()), byte_fallback: v.optional(v.nullable(v.boolean())) }),
});
export type TokenizerForm = v.InferOutput<typeof formSchema>;

/** What a model's files say about text. */
export interface ModelText {
  readonly tokenizer: Tokenizer;
  readonly chat: ChatTemplate;
}

export interface ByteLevelParts {
  readonly vocabulary: Readonly<Record<string, number>>;
  /** `left right`, most urgent first. */
  readonly merges: readonly string[];
  readonly added: readonly AddedToken[];
  readonly preTokenizer: object;
  readonly normalizer?: object | undefined;
  readonly ignoreMerges?: boolean | undefined;
}

/** The form of a byte-level BPE vocabulary, as GPT-2's. */
export const byteLevelForm = (parts: ByteLevelParts): object => ({
  added_tokens: parts.added,
  normalizer: parts.normalizer ?? null,
  pre_tokenizer: parts.preTokenizer,
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: {
    type: 'BPE',
    vocab: parts.vocabulary,
    merges: parts.merges,
    ignore_merges: parts.ignoreMerges === true,
  },
});
