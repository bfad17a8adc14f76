/**
 * A request's prompts as questions to one model: each prompt is asked with its samples, all at once, and what comes back is
 * told by the number that a choice has in OpenAI's API (prompt after prompt, and within it sample after sample).
 */

import type { Answering } from '../../assembly/answering.ts';
import { answerText, type AskedModel, type TextEvent } from '../../assembly/text-answer.ts';
import type { AnsweredToken, ComputedBy } from '../../protocol/serving-messages.ts';
import type { AskedText } from './requests.ts';

export interface Question extends Pick<AskedText, 'choices' | 'temperature' | 'topP' | 'topK' | 'logprobs'> {
  readonly prompts: readonly Prompt[];
  readonly seed: number;
  readonly stop: readonly string[];
}

export interface Prompt {
  readonly tokens: readonly number[];
  /** At most as many as the context has room for after the prompt. */
  readonly maxTokens: number;
}

export type ChoiceEvent =
  | {
      readonly type: 'text';
      readonly index: number;
      readonly text: string;
      readonly tokens: readonly AnsweredToken[];
    }
  | { readonly type: 'finished'; readonly index: number; readonly reason: 'stop' | 'length' }
  /** The last event. */
  | { readonly type: 'done'; readonly by: readonly ComputedBy[]; readonly tokens: number };

/** Leaving early cancels all of it; so does the signal. Throws what `Answering.ask` throws. */
export async function* askAll(
  answering: Answering,
  model: AskedModel,
  question: Question,
  signal: AbortSignal,
): AsyncGenerator<ChoiceEvent> {
  const own = new AbortController();
  const abort = (): void => own.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const { choices, logprobs, prompts, ...rest } = question;
  const answers = prompts.map(({ tokens, maxTokens }) =>
    answerText(
      answering,
      model,
      {
        ...rest,
        promptTokens: tokens,
        maxTokens,
        firstSample: 0,
        samples: choices,
        topLogprobs: logprobs?.top ?? 0,
      },
      own.signal,
    ),
  );
  const by = new Map<string, ComputedBy>();
  let tokens = 0;
  try {
    for await (const [prompt, event] of merge(answers)) {
      if (event.type === 'done') {
        for (const one of event.by) by.set(JSON.stringify(one), one);
        tokens += event.tokens;
      } else {
        const { sample, ...what } = event;
        yield { ...what, index: prompt * choices + sample };
      }
    }
    yield { type: 'done', by: [...by.values()], tokens };
  } finally {
    signal.removeEventListener('abort', abort);
    own.abort(new Error('nobody reads on'));
  }
}

/** Events of all in the order in which they come, with whose they are. */
async function* merge(sources: readonly AsyncGenerator<TextEvent>[]): AsyncGenerator<[number, TextEvent]> {
  type Step = readonly [number, IteratorResult<TextEvent>];
  const step = async (index: number): Promise<Step> => {
    const result = await sources[index]?.next();
    return [index, result ?? { done: true, value: undefined }];
  };
  const waiting = new Map<number, Promise<Step>>();
  const ask = (index: number): void => {
    const next = step(index);
    // Of several that fail the first one is thrown; the others fail with it.
    next.catch(() => {});
    waiting.set(index, next);
  };
  for (const index of sources.keys()) ask(index);
  while (waiting.size > 0) {
    const [index, result] = await Promise.race(waiting.values());
    waiting.delete(index);
    if (result.done === true) continue;
    ask(index);
    yield [index, result.value];
  }
}
