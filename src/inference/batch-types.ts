/**
 * What goes into continuous batching and what comes out of it (`batching.ts`): requests, the steps that a stage shall take for
 * them, and what their samples get.
 */

import type { PageTable, SharedPrefix } from '../models/page-table.ts';
import type { ChosenTokens, DecodeRow, StageRow, TokenDraw } from '../models/stage.ts';

export interface BatchRequest {
  readonly id: number;
  readonly promptTokens: readonly number[];
  /** Numbers of its samples: from `firstSample` on, so many. */
  readonly firstSample: number;
  readonly samples: number;
  /** Of each sample. */
  readonly maxTokens: number;
  /** Tokens that end a sample and are not part of it. */
  readonly stopTokens: readonly number[];
  readonly temperature: number;
  /** 0 keeps all. */
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  /** So many alternatives are told with each token; default 0. */
  readonly top?: number;
}

export interface BatchingOptions {
  /** As the stage has them. */
  readonly pages: number;
  readonly pageTokens: number;
  readonly sequencesMax: number;
  readonly positionsMax: number;
  /** Rows of one slice of prompts. */
  readonly rowsMax: number;
  /** Rows of prompts in one slice while others wait for tokens; default rowsMax. */
  readonly rowsBesideTokens?: number;
  /** Sequences that get tokens in one step. */
  readonly tokensRowsMax: number;
  /** Tokens of each sequence in one step, and while prompts wait: default half as many. */
  readonly stepsMax: number;
  readonly stepsBesidePrompts?: number;
}

export interface OpenOrder {
  readonly sequence: number;
  readonly tokensMax: number;
  readonly prefix?: SharedPrefix;
}

export type BatchWork =
  | {
      readonly kind: 'prefill';
      readonly rows: readonly StageRow[];
      readonly tokens: Uint32Array<ArrayBuffer>;
      /** First tokens of samples whose prompt is complete with this. */
      readonly draws: readonly TokenDraw[];
    }
  | { readonly kind: 'decode'; readonly rows: readonly DecodeRow[]; readonly steps: number };

/** What the stage does next, in this order. */
export interface BatchStep {
  readonly closes: readonly number[];
  readonly opens: readonly OpenOrder[];
  /** Absent where sequences are only closed. */
  readonly work?: BatchWork;
}

export type FinishReason = 'stop' | 'length' | 'broken';

export type BatchEvent =
  | ({ readonly type: 'token'; readonly request: number; readonly sample: number } & ChosenTokens)
  /** `broken`: a logit was no number. */
  | { readonly type: 'finished'; readonly request: number; readonly sample: number; readonly reason: FinishReason };

export interface Batching {
  /** Why the request can never run here, in one line; undefined where it waits its turn. Ids of living requests are refused. */
  add(request: BatchRequest): string | undefined;
  /** The request, or one of its samples, ends without a word; its pages are free for the next step. */
  cancel(request: number, sample?: number): void;
  /** Undefined while there is nothing to do. With work, it must be followed by `done` before the next. */
  next(): BatchStep | undefined;
  /** What came of a step: for prefill a token of each draw, for decode the tokens of each row. */
  done(step: BatchStep, chosen: readonly (readonly ChosenTokens[])[]): BatchEvent[];
  /** For display and checks. */
  readonly waiting: number;
  readonly running: number;
  readonly pages: Pick<PageTable, 'pagesFree' | 'slotsFree' | 'owners' | 'find'>;
}
