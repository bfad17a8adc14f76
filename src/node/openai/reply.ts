/**
 * From a parsed request to its answer on the wire, whole or streamed: encodes prompts, asks, gives events OpenAI's shapes, and
 * keeps a receipt of who computed it. Which requests come so far is `routes.ts`.
 */

import { randomBytes, randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Answering } from '../../assembly/answering.ts';
import { encodeChat } from '../../assembly/text-answer.ts';
import { InputError } from '../../core/result.ts';
import type { AnsweredToken, ComputedBy } from '../../protocol/serving-messages.ts';
import { badRequest, sendJson } from './api-error.ts';
import { askAll, type ChoiceEvent, type Prompt, type Question } from './choices.ts';
import { openEventStream, type EventStream } from './event-stream.ts';
import type { ReceiptShelf } from './receipts.ts';
import type { AskedText, ChatAsked, CompletionAsked } from './requests.ts';
import type { OpenedModel } from './served-models.ts';
import { chatShape, completionShape, usageOf, type Shape } from './shapes.ts';

export interface ReplyParts {
  readonly answering: Answering;
  readonly receipts: ReceiptShelf;
  readonly unixSeconds: () => number;
  /** One line about something that went wrong here and not with the caller. */
  readonly report: (line: string) => void;
}

interface Reply {
  readonly parts: ReplyParts;
  readonly model: OpenedModel;
  readonly asked: AskedText;
  readonly question: Question;
  readonly shape: Shape;
  /** What stands before each prompt's answers. */
  readonly echoes: readonly string[];
  /** Of all prompts. */
  readonly promptTokens: number;
  readonly response: ServerResponse;
  /** Called with each event: somebody answers. */
  readonly heard: () => void;
  readonly signal: AbortSignal;
}

export type Asking = Pick<Reply, 'parts' | 'model' | 'response' | 'heard' | 'signal'>;

export function replyToCompletion(asking: Asking, asked: CompletionAsked): Promise<void> {
  const { tokenizer } = asking.model.text;
  const encoded = asked.prompts.map((prompt) => encodePrompt(asking.model, prompt));
  const echoes = asked.prompts.map((prompt) => {
    if (!asked.echo) return '';
    return typeof prompt === 'string' ? prompt : tokenizer.decode(prompt);
  });
  return reply(asking, asked, { encoded, stop: asked.stop, echoes, shape: completionShape(tokenizer) });
}

export function replyToChat(asking: Asking, asked: ChatAsked): Promise<void> {
  const { text } = asking.model;
  const prompt = encodeChat(text, asked.messages);
  if (!prompt.ok) throw badRequest(prompt.error.text, 'messages');
  const { promptTokens, stop } = prompt.value;
  return reply(asking, asked, {
    encoded: [promptTokens],
    stop: [...asked.stop, ...stop],
    echoes: [''],
    shape: chatShape(text.tokenizer),
  });
}

interface Encoded extends Pick<Reply, 'echoes' | 'shape'> {
  readonly encoded: readonly (readonly number[])[];
  readonly stop: readonly string[];
}

function reply(asking: Asking, asked: AskedText, { encoded, stop, echoes, shape }: Encoded): Promise<void> {
  const { choices, temperature, topP, topK, logprobs } = asked;
  const { context } = asking.model.served.plan;
  const prompts = encoded.map((tokens) => promptWithin(tokens, asked.maxTokens, context, shape.promptField));
  const seed = asked.seed ?? randomInt(2 ** 47);
  const question = { prompts, choices, temperature, topP, topK, logprobs, seed, stop };
  const promptTokens = encoded.reduce((sum, tokens) => sum + tokens.length, 0);
  const one: Reply = { ...asking, asked, question, shape, echoes, promptTokens };
  return asked.stream ? replyInPieces(one) : replyWhole(one);
}

/** No token has more characters of text than this; what is longer is not worth encoding. */
const tokenCharactersMax = 256;

function encodePrompt({ served, text }: OpenedModel, prompt: string | readonly number[]): readonly number[] {
  const { context, model } = served.plan;
  if (typeof prompt !== 'string') {
    const wrong = prompt.find((token) => token >= model.vocabulary);
    if (wrong === undefined) return prompt;
    throw badRequest(`prompt: token ${wrong}; the model's vocabulary has ${model.vocabulary}`, 'prompt');
  }
  if (prompt.length > context * tokenCharactersMax) throw tooLong(`${prompt.length} characters`, context, 'prompt');
  try {
    return text.tokenizer.encode(prompt);
  } catch (error) {
    if (error instanceof InputError) throw badRequest(error.message, 'prompt');
    throw error;
  }
}

function promptWithin(
  tokens: readonly number[],
  maxTokens: number | undefined,
  context: number,
  field: string,
): Prompt {
  if (tokens.length === 0)
    throw badRequest(`${field}: empty, and this model has no start token; give some text`, field);
  const room = context - tokens.length;
  if (room < 1) throw tooLong(`${tokens.length} tokens`, context, field);
  return { tokens, maxTokens: Math.min(room, maxTokens ?? room) };
}

const tooLong = (size: string, context: number, field: string) =>
  badRequest(
    `This model's maximum context length is ${context} tokens; the prompt has ${size}. Shorten it.`,
    field,
    'context_length_exceeded',
  );

interface ChoiceSoFar {
  text: string;
  readonly tokens: AnsweredToken[];
  reason: 'stop' | 'length';
}

const eventsOf = ({ parts, model, question, signal }: Reply): AsyncGenerator<ChoiceEvent> =>
  askAll(parts.answering, { job: model.served.job, tokenizer: model.text.tokenizer }, question, signal);

async function replyWhole(one: Reply): Promise<void> {
  const { asked, question, shape, response } = one;
  const found = emptyChoices(one);
  let ended = { by: [] as readonly ComputedBy[], tokens: 0 };
  for await (const event of eventsOf(one)) {
    one.heard();
    if (event.type === 'done') ended = event;
    else note(found, event);
  }
  const receipt = await keepReceipt(one, found, ended.by, ended.tokens);
  if (receipt !== null) response.setHeader('x-tabswarm-receipt', receipt);
  sendJson(response, 200, {
    ...headOf(one, shape.wholeObject),
    choices: found.map(({ text, tokens, reason }, index) =>
      shape.whole(index, text, asked.logprobs === undefined ? undefined : tokens, reason),
    ),
    usage: usageOf(one.promptTokens, ended.tokens),
    tabswarm: { receipt, seed: question.seed },
  });
}

/** The last choice to end is told together with the receipt, which is known only then. */
async function replyInPieces(one: Reply): Promise<void> {
  const { asked, question, shape, response } = one;
  const stream = openEventStream(response);
  const head = headOf(one, shape.chunkObject);
  const send = (choices: readonly object[], more: object = {}): Promise<void> =>
    stream.send({ ...head, choices, ...(asked.includeUsage ? { usage: null } : {}), ...more });
  const found = emptyChoices(one);
  const begun = new Set<number>();
  const lasts: object[] = [];
  try {
    for await (const event of eventsOf(one)) {
      one.heard();
      if (event.type === 'done') {
        const receipt = await keepReceipt(one, found, event.by, event.tokens);
        const tabswarm = { receipt, seed: question.seed };
        await send(lasts.splice(0), asked.includeUsage ? {} : { tabswarm });
        if (asked.includeUsage) await send([], { usage: usageOf(one.promptTokens, event.tokens), tabswarm });
        break;
      }
      const { index } = event;
      if (!begun.has(index)) {
        begun.add(index);
        await send([shape.first(index, echoOf(one, index))]);
      }
      const offset = found[index]?.text.length ?? 0;
      note(found, event);
      if (event.type === 'text')
        await send([shape.piece(index, event.text, asked.logprobs === undefined ? undefined : event.tokens, offset)]);
      else {
        for (const last of lasts.splice(0)) await send([last]);
        lasts.push(shape.last(index, event.reason));
      }
    }
    stream.end();
  } catch (error) {
    if (!stream.hasBegun) throw error;
    throw new BrokenStreamError(stream, error);
  } finally {
    stream.stop();
  }
}

/** Something failed after the headers had left; the stream can still say so. */
export class BrokenStreamError extends Error {
  override readonly name = 'BrokenStreamError';
  readonly stream: EventStream;

  constructor(stream: EventStream, cause: unknown) {
    super('the stream broke', { cause });
    this.stream = stream;
  }
}

const emptyChoices = (one: Reply): ChoiceSoFar[] =>
  Array.from({ length: one.question.prompts.length * one.question.choices }, (_, index) => ({
    text: echoOf(one, index),
    tokens: [],
    reason: 'stop',
  }));

const echoOf = ({ echoes, question }: Reply, index: number): string =>
  echoes[Math.floor(index / question.choices)] ?? '';

function note(found: readonly ChoiceSoFar[], event: Exclude<ChoiceEvent, { type: 'done' }>): void {
  const choice = found[event.index];
  if (choice === undefined) return;
  if (event.type === 'finished') {
    choice.reason = event.reason;
  } else {
    choice.text += event.text;
    choice.tokens.push(...event.tokens);
  }
}

const headOf = ({ parts, shape, model, response }: Reply, object: string): object => ({
  id: `${shape.idPrefix}${requestIdOf(response)}`,
  object,
  created: parts.unixSeconds(),
  model: model.served.name,
  // Which weights and plan answered.
  system_fingerprint: `ts_${model.served.job.slice(0, 12)}`,
});

const requestIdOf = (response: ServerResponse): string => String(response.getHeader('x-request-id') ?? newRequestId());
export const newRequestId = (): string => randomBytes(12).toString('hex');

/** Null where it could not be kept: the answer is worth more than the receipt. */
async function keepReceipt(
  { parts, model, question, promptTokens }: Reply,
  found: readonly ChoiceSoFar[],
  by: readonly ComputedBy[],
  tokens: number,
): Promise<string | null> {
  const { name, job } = model.served;
  try {
    return await parts.receipts.keep({
      version: 1,
      created: parts.unixSeconds(),
      model: name,
      job,
      seed: question.seed,
      prompt_tokens: promptTokens,
      completion_tokens: tokens,
      choices: found.map((choice, index) => ({
        index,
        finish_reason: choice.reason,
        tokens: choice.tokens.length,
      })),
      computed_by: by,
    });
  } catch (error) {
    parts.report(`a receipt could not be kept: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}
