/**
 * How answers look in OpenAI's API: the objects of a completion and of a chat, whole and in pieces. What is in them is decided
 * elsewhere; here are only names of fields.
 */

import type { Tokenizer } from '../../models/tokenizer.ts';
import type { AnsweredToken } from '../../protocol/serving-messages.ts';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

export const usageOf = (promptTokens: number, completionTokens: number): Usage => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

/** What differs between the two endpoints. */
export interface Shape {
  readonly idPrefix: string;
  readonly wholeObject: string;
  readonly chunkObject: string;
  /** Which field of a request holds the prompt. */
  readonly promptField: string;
  whole(index: number, text: string, tokens: readonly AnsweredToken[] | undefined, reason: string): object;
  /** The first piece of a choice; `text` is what stands before the answer. */
  first(index: number, text: string): object;
  /** `offset` counts the characters of the choice before this piece. */
  piece(index: number, text: string, tokens: readonly AnsweredToken[] | undefined, offset: number): object;
  last(index: number, reason: string): object;
}

export function chatShape(tokenizer: Tokenizer): Shape {
  const logprobsOf = (tokens: readonly AnsweredToken[] | undefined): object | null =>
    tokens === undefined ? null : { content: tokens.map(entryOf), refusal: null };
  const entryOf = ({ token, logprob, top }: AnsweredToken): object => ({
    ...nameOf(tokenizer, token, logprob),
    top_logprobs: top.map(([other, its]) => nameOf(tokenizer, other, its)),
  });
  const chunk = (index: number, delta: object, logprobs: object | null, reason: string | null): object => ({
    index,
    delta,
    logprobs,
    finish_reason: reason,
  });
  return {
    idPrefix: 'chatcmpl-',
    wholeObject: 'chat.completion',
    chunkObject: 'chat.completion.chunk',
    promptField: 'messages',
    whole: (index, text, tokens, reason) => ({
      index,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: logprobsOf(tokens),
      finish_reason: reason,
    }),
    first: (index) => chunk(index, { role: 'assistant', content: '', refusal: null }, null, null),
    piece: (index, text, tokens) => chunk(index, { content: text }, logprobsOf(tokens), null),
    last: (index, reason) => chunk(index, {}, null, reason),
  };
}

export function completionShape(tokenizer: Tokenizer): Shape {
  const logprobsOf = (tokens: readonly AnsweredToken[] | undefined, offset: number): object | null => {
    if (tokens === undefined) return null;
    let at = offset;
    const texts = tokens.map(({ token }) => textOf(tokenizer, token));
    return {
      tokens: texts,
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: tokens.map(({ top }) =>
        Object.fromEntries(top.map(([other, its]) => [textOf(tokenizer, other), its])),
      ),
      text_offset: texts.map((text) => (at += text.length) - text.length),
    };
  };
  const choice = (index: number, text: string, logprobs: object | null, reason: string | null): object => ({
    index,
    text,
    logprobs,
    finish_reason: reason,
  });
  return {
    idPrefix: 'cmpl-',
    wholeObject: 'text_completion',
    chunkObject: 'text_completion',
    promptField: 'prompt',
    whole: (index, text, tokens, reason) => choice(index, text, logprobsOf(tokens, 0), reason),
    first: (index, text) => choice(index, text, null, null),
    piece: (index, text, tokens, offset) => choice(index, text, logprobsOf(tokens, offset), null),
    last: (index, reason) => choice(index, '', null, reason),
  };
}

/** A token's text, its log-probability, and its bytes, as a token may be a part of a character. */
const nameOf = (tokenizer: Tokenizer, token: number, logprob: number): object => ({
  token: textOf(tokenizer, token),
  logprob,
  bytes: [...tokenizer.bytesOf(token)],
});

const textOf = (tokenizer: Tokenizer, token: number): string => new TextDecoder().decode(tokenizer.bytesOf(token));
