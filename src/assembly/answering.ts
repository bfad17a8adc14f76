/**
 * Asking a served model, as those who ask see it: the hub's OpenAI API, `tabswarm generate` and the page's chat panel all go
 * through this. Prompts and answers are token ids here; text is the tokenizer's matter. `submitter.ts` implements it over a
 * link to the hub.
 */

import type { JobId } from '../core/ids.ts';
import type { ServePlan } from '../protocol/manifest.ts';
import type { AnsweredToken, ComputedBy, ServeSampling } from '../protocol/serving-messages.ts';

export interface AnswerRequest extends ServeSampling {
  readonly promptTokens: readonly number[];
  /** Samples `firstSample` to `firstSample + samples - 1` of the seed: the same whoever draws them within a numeric class. */
  readonly firstSample: number;
  readonly samples: number;
}

export type AnswerEvent =
  /** In order for each sample, without gaps and repetitions, whatever happens to the volunteers. */
  | { readonly type: 'token'; readonly token: AnsweredToken }
  | { readonly type: 'finished'; readonly sample: number; readonly reason: 'stop' | 'length' }
  /** The last event. */
  | { readonly type: 'done'; readonly by: readonly ComputedBy[] };

/** An answer under way. Leaving the iteration early cancels it; so does the signal. */
export interface Answer extends AsyncIterable<AnswerEvent> {
  /** Ends these samples: no more of their tokens come, nor their `finished`. */
  stop(samples: readonly number[]): void;
}

/** The hub would not answer, or could not go on. */
export class AskRefusedError extends Error {
  override readonly name = 'AskRefusedError';
  readonly kind: 'unknown-model' | 'busy' | 'invalid' | 'failed';
  /** For `busy`: seconds after which to ask again. */
  readonly retrySeconds: number | undefined;

  constructor(kind: AskRefusedError['kind'], reason: string, retrySeconds?: number) {
    super(reason);
    this.kind = kind;
    this.retrySeconds = retrySeconds;
  }
}

/** A model that the hub offers now. */
export interface ServedModel {
  readonly job: JobId;
  readonly name: string;
  readonly plan: ServePlan;
  /** Whether every stage of some pipeline has its volunteer; requests to others wait. */
  readonly isUp: boolean;
}

export interface Answering {
  models(): Promise<readonly ServedModel[]>;
  /** Iterating throws `AskRefusedError` where the hub refuses the request or cannot finish it. */
  ask(job: JobId, request: AnswerRequest, signal?: AbortSignal): Answer;
}
