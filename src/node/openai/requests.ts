/**
 * Requests to `/v1/completions` and `/v1/chat/completions` as they arrive: one schema for each, and what both come down to.
 * Fields that clients send by themselves and that change no answer here are taken and ignored; fields that would change it and
 * are not supported are refused by name, unless they hold what changes nothing.
 */

import { v } from '../../core/schema.ts';
import { topLogprobsMax } from '../../protocol/serving-messages.ts';
import { badRequest } from './api-error.ts';

/** Answers to one prompt: OpenAI's own bound. */
export const choicesMax = 128;
/** Stop texts, and the characters of each: what is held back of a stream stays short. OpenAI takes four. */
const stopsMax = 16;
const stopCharactersMax = 1000;
/** Prompts of one request. */
const promptsMax = 64;

const range = (minimum: number, maximum: number) =>
  v.nullish(v.pipe(v.number(), v.minValue(minimum), v.maxValue(maximum)));
const wholeRange = (minimum: number, maximum: number) =>
  v.nullish(v.pipe(v.number(), v.integer(), v.minValue(minimum), v.maxValue(maximum)));
const stopText = v.pipe(v.string(), v.minLength(1), v.maxLength(stopCharactersMax));

/** Taken and ignored, whatever they hold. */
const ignored = v.optional(v.unknown());
/** Not supported; only what changes nothing is taken. */
const neutral = (isNeutral: (value: unknown) => boolean, allowed: string) =>
  v.nullish(
    v.custom<unknown>(isNeutral, `not supported here; leave it out${allowed === '' ? '' : ` or give ${allowed}`}`),
  );
const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const onlyZero = neutral((value) => value === 0, '0');
const onlyEmpty = neutral(isEmpty, 'nothing in it');

const common = {
  model: v.pipe(v.string(), v.minLength(1), v.maxLength(1000)),
  stream: v.nullish(v.boolean()),
  stream_options: v.nullish(
    v.strictObject({ include_usage: v.nullish(v.boolean()), include_obfuscation: v.nullish(v.boolean()) }),
  ),
  max_tokens: wholeRange(1, Number.MAX_SAFE_INTEGER),
  n: wholeRange(1, choicesMax),
  temperature: range(0, 2),
  top_p: range(0, 1),
  /** Not OpenAI's, but usual with open models; 0 keeps all. */
  top_k: wholeRange(0, 1_000_000),
  seed: wholeRange(0, Number.MAX_SAFE_INTEGER),
  stop: v.nullish(v.union([stopText, v.pipe(v.array(stopText), v.maxLength(stopsMax))])),
  frequency_penalty: onlyZero,
  presence_penalty: onlyZero,
  logit_bias: onlyEmpty,
  user: ignored,
};

const tokenIds = v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0))), v.minLength(1));
const completionSchema = v.strictObject({
  ...common,
  prompt: v.nullish(
    v.union([
      v.string(),
      tokenIds,
      v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(promptsMax)),
      v.pipe(v.array(tokenIds), v.minLength(1), v.maxLength(promptsMax)),
    ]),
  ),
  echo: v.nullish(v.boolean()),
  logprobs: wholeRange(0, 5),
  best_of: v.nullish(v.number()),
  suffix: neutral((value) => value === '', 'an empty one'),
});

const chatSchema = v.strictObject({
  ...common,
  /** Read by the template's own rules. */
  messages: v.unknown(),
  max_completion_tokens: wholeRange(1, Number.MAX_SAFE_INTEGER),
  logprobs: v.nullish(v.boolean()),
  top_logprobs: wholeRange(0, topLogprobsMax),
  response_format: neutral((value) => Reflect.get(Object(value), 'type') === 'text', '{"type": "text"}'),
  modalities: neutral((value) => Array.isArray(value) && value.length === 1 && value[0] === 'text', '["text"]'),
  tools: onlyEmpty,
  functions: onlyEmpty,
  tool_choice: neutral((value) => value === 'none' || value === 'auto', '"none"'),
  function_call: neutral((value) => value === 'none' || value === 'auto', '"none"'),
  parallel_tool_calls: ignored,
  store: ignored,
  metadata: ignored,
  service_tier: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  prompt_cache_retention: ignored,
});

/** What both kinds of request ask for. */
export interface AskedText {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly choices: number;
  /** As many as the context has room for when left out. */
  readonly maxTokens: number | undefined;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  /** Drawn by the server when left out. */
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  /** Whether log-probabilities are told, and of how many alternatives. */
  readonly logprobs: { readonly top: number } | undefined;
}

export interface CompletionAsked extends AskedText {
  readonly prompts: readonly (string | readonly number[])[];
  readonly echo: boolean;
}

export interface ChatAsked extends AskedText {
  readonly messages: unknown;
}

/** OpenAI's default, which is short. */
const completionTokensDefault = 16;

export function parseCompletion(body: unknown): CompletionAsked {
  const read = parseBody(completionSchema, body);
  const { prompt, echo, logprobs, best_of: bestOf, n, max_tokens: maxTokens } = read;
  if (bestOf !== undefined && bestOf !== null && bestOf !== (n ?? 1))
    throw badRequest('best_of: not supported beyond n; leave it out and choose among n answers', 'best_of');
  if (echo === true && logprobs !== undefined && logprobs !== null)
    throw badRequest('echo: log-probabilities of a prompt are not told; leave out echo or logprobs', 'echo');
  const prompts = promptsOf(prompt ?? '');
  if (prompts.length * (n ?? 1) > choicesMax)
    throw badRequest(`n: ${prompts.length} prompts with ${n ?? 1} answers each; at most ${choicesMax} in all`, 'n');
  return {
    ...commonOf(read),
    prompts,
    echo: echo ?? false,
    maxTokens: maxTokens ?? completionTokensDefault,
    logprobs: typeof logprobs === 'number' ? { top: logprobs } : undefined,
  };
}

export function parseChat(body: unknown): ChatAsked {
  const read = parseBody(chatSchema, body);
  const { messages, logprobs, top_logprobs: top, max_tokens: older, max_completion_tokens: newer } = read;
  if (messages === undefined) throw badRequest('messages: missing field', 'messages', 'missing_required_parameter');
  if (typeof top === 'number' && top > 0 && logprobs !== true)
    throw badRequest('top_logprobs: told only where logprobs is true', 'top_logprobs');
  return {
    ...commonOf(read),
    messages,
    maxTokens: newer ?? older ?? undefined,
    logprobs: logprobs === true ? { top: top ?? 0 } : undefined,
  };
}

type Common = { readonly [Name in keyof typeof common]?: v.InferOutput<(typeof common)[Name]> } & { model: string };

function commonOf(read: Common): Omit<AskedText, 'maxTokens' | 'logprobs'> {
  const { model, stream, stream_options: options, n, temperature, top_p: topP, top_k: topK, seed, stop } = read;
  return {
    model,
    stream: stream ?? false,
    includeUsage: options?.include_usage ?? false,
    choices: n ?? 1,
    // No share of the probability is the likeliest token alone.
    temperature: topP === 0 ? 0 : (temperature ?? 1),
    topP: topP === 0 ? 1 : (topP ?? 1),
    topK: topK ?? 0,
    seed: seed ?? undefined,
    stop: [stop ?? []].flat(),
  };
}

function promptsOf(prompt: string | readonly (string | number | readonly number[])[]): (string | readonly number[])[] {
  if (typeof prompt === 'string') return [prompt];
  const ids = prompt.filter((one) => typeof one === 'number');
  return ids.length > 0 ? [ids] : prompt.filter((one) => typeof one !== 'number');
}

/** The body's fields, or an error that names the first wrong one. */
function parseBody<const Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('the body is not a JSON object; send one with "model" and the rest of the request');
  const parsed = v.safeParse(schema, body, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  const path = v.getDotPath(issue)?.replaceAll(/\.(\d+)/g, '[$1]');
  if (issue.type === 'strict_object' && issue.expected === 'never')
    throw badRequest(`${path}: unknown field; remove it`, path, 'unknown_parameter');
  if (issue.type === 'strict_object' && issue.received === 'undefined')
    throw badRequest(`${path}: missing field`, path, 'missing_required_parameter');
  throw badRequest(`${path ?? 'request'}: ${lineOf(issue)}`, path);
}

/** Valibot says `Invalid value: Expected <=2 but received 3`; of unions it names types, which say enough. */
const lineOf = ({ message, kind }: v.BaseIssue<unknown>): string =>
  kind === 'schema' || kind === 'validation' ? message.charAt(0).toLowerCase() + message.slice(1, 300) : message;
