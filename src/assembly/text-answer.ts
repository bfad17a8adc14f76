/**
 * Asking a served model in text: its tokenizer and template as they travel with it, a chat as a prompt, and answers whose
 * tokens become text while they come, cut at stop texts. The hub's API, `tabswarm generate` and the page's chat panel all
 * speak with models through this; what they show of it is theirs.
 */

import { expectInput, InputError, ok, problem, type Result } from '../core/result.ts';
import type { Bytes } from '../core/bytes.ts';
import { renderChat } from '../models/chat-template.ts';
import { createStopFilter, type StopFilter } from '../models/stop-texts.ts';
import type { TokenStream, Tokenizer } from '../models/tokenizer.ts';
import { bundleBytesMax, openTokenizerBundle } from '../models/tokenizer-bundle.ts';
import type { ModelText } from '../models/tokenizers/form.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { JobId } from '../core/ids.ts';
import type { AnsweredToken, ComputedBy } from '../protocol/serving-messages.ts';
import type { Answer, Answering, AnswerRequest, ServedModel } from './answering.ts';

/** The tokenizer and template of a served model; throws `InputError` where they are not what they should be. */
export async function readModelText(
  { name, plan }: Pick<ServedModel, 'name' | 'plan'>,
  read: (artifact: Artifact) => Promise<Bytes>,
): Promise<ModelText> {
  const where = `model ${name}`;
  if (plan.tokenizer.bytes > bundleBytesMax)
    throw new InputError(
      `${where}: its tokenizer has ${plan.tokenizer.bytes} bytes, at most ${bundleBytesMax} are read`,
    );
  return expectInput(openTokenizerBundle(await read(plan.tokenizer), { where, rows: plan.model.vocabulary }));
}

export interface ChatPrompt {
  readonly promptTokens: readonly number[];
  /** Texts that end a turn where the model has no token for it. */
  readonly stop: readonly string[];
}

/** The prompt of a chat in the form of OpenAI's API, or one line on what is wrong with it. */
export function encodeChat({ tokenizer, chat }: ModelText, messages: unknown): Result<ChatPrompt> {
  const rendered = renderChat(chat, messages);
  if (!rendered.ok) return rendered;
  // A template of the model's own writes its start token itself.
  const isOwn = chat.text !== undefined;
  try {
    const promptTokens = tokenizer.encode(rendered.value.prompt, { addSpecial: !isOwn });
    return ok({ promptTokens, stop: isOwn ? [] : ['<|im_end|>'] });
  } catch (error) {
    if (error instanceof InputError) return problem('chat', error.message);
    throw error;
  }
}

export interface TextRequest extends Omit<AnswerRequest, 'stopTokens'> {
  /** Texts that end a sample, wherever they appear; they are not shown. */
  readonly stop: readonly string[];
}

export type TextEvent =
  /** More text of a sample, and the tokens that are complete with it; either may be empty. */
  | {
      readonly type: 'text';
      readonly sample: number;
      readonly text: string;
      readonly tokens: readonly AnsweredToken[];
    }
  | { readonly type: 'finished'; readonly sample: number; readonly reason: 'stop' | 'length' }
  /** The last event. `tokens` counts those that were drawn, of all samples, shown or not. */
  | { readonly type: 'done'; readonly by: readonly ComputedBy[]; readonly tokens: number };

export interface AskedModel {
  readonly job: JobId;
  readonly tokenizer: Tokenizer;
}

/** An answer as text. Leaving the iteration early cancels it; so does the signal. Throws what `Answering.ask` throws. */
export async function* answerText(
  answering: Answering,
  { job, tokenizer }: AskedModel,
  { stop, ...request }: TextRequest,
  signal?: AbortSignal,
): AsyncGenerator<TextEvent> {
  const answer = answering.ask(job, { ...request, stopTokens: [...tokenizer.stop] }, signal);
  const samples = new Map<number, SampleText>();
  const previous = request.promptTokens.at(-1);
  const sampleOf = (sample: number): SampleText => {
    const known = samples.get(sample);
    if (known !== undefined) return known;
    const made = new SampleText(sample, tokenizer.stream({ previous }), createStopFilter(stop));
    samples.set(sample, made);
    return made;
  };
  let tokens = 0;
  for await (const event of answer) {
    switch (event.type) {
      case 'token': {
        const sample = sampleOf(event.token.sample);
        if (sample.isOver) break;
        tokens += 1;
        yield* sample.take(event.token, answer);
        break;
      }
      case 'finished': {
        const sample = sampleOf(event.sample);
        if (!sample.isOver) yield* sample.finish(event.reason);
        break;
      }
      case 'done':
        yield { type: 'done', by: event.by, tokens };
    }
  }
}

/** The text of one sample so far: tokens wait until all of their text may be shown. */
class SampleText {
  isOver = false;
  /** Characters that tokens made and that were shown. */
  private made = 0;
  private shown = 0;
  private readonly waiting: { readonly token: AnsweredToken; readonly start: number; readonly end: number }[] = [];
  private readonly sample: number;
  private readonly stream: TokenStream;
  private readonly filter: StopFilter;

  constructor(sample: number, stream: TokenStream, filter: StopFilter) {
    this.sample = sample;
    this.stream = stream;
    this.filter = filter;
  }

  *take(token: AnsweredToken, answer: Answer): Generator<TextEvent> {
    const piece = this.stream.push(token.token);
    this.waiting.push({ token, start: this.made, end: this.made + piece.length });
    this.made += piece.length;
    const { text, stopped } = this.filter.push(piece);
    if (stopped) {
      this.isOver = true;
      answer.stop([this.sample]);
    }
    yield* this.show(text, stopped);
    if (stopped) yield { type: 'finished', sample: this.sample, reason: 'stop' };
  }

  *finish(reason: 'stop' | 'length'): Generator<TextEvent> {
    this.isOver = true;
    const rest = this.stream.end();
    this.made += rest.length;
    const { text, stopped } = this.filter.push(rest);
    yield* this.show(text + this.filter.end(), true);
    yield { type: 'finished', sample: this.sample, reason: stopped ? 'stop' : reason };
  }

  /** Of the tokens those whose text is out; at the end also the one that a stop text cut, and those without text. */
  private *show(text: string, isLast: boolean): Generator<TextEvent> {
    this.shown += text.length;
    const later = this.waiting.findIndex(({ start, end }) => (isLast ? start >= this.shown : end > this.shown));
    const complete = this.waiting.splice(0, later < 0 ? this.waiting.length : later);
    if (text !== '' || complete.length > 0)
      yield { type: 'text', sample: this.sample, text, tokens: complete.map(({ token }) => token) };
  }
}
