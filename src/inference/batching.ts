/**
 * Continuous batching on one device, as a pure machine: requests come and go between steps, and each step it says what the
 * stage is to close, open and compute next. A request is let in when its pages are free, so whoever was let in can finish.
 * Prompts are computed in slices that take turns with tokens, so that neither waits for the other; samples of a request
 * share its prompt, and prompts that begin alike share pages. What a sample gets does not depend on any of this: a row's
 * bits are the same in every batch (`models/stage.ts`). Running a step is `batch-step.ts`'s.
 */

import { assert, present } from '../core/assert.ts';
import { createPageTable, type PageTable, type SharedPrefix } from '../models/page-table.ts';
import type { ChosenTokens, DecodeRow, StageRow, TokenDraw } from '../models/stage.ts';
import type {
  BatchEvent,
  Batching,
  BatchingOptions,
  BatchRequest,
  BatchStep,
  BatchWork,
  FinishReason,
  OpenOrder,
} from './batch-types.ts';

export type * from './batch-types.ts';

interface Sample {
  readonly living: Living;
  readonly number: number;
  /**
   * `waiting` for its prompt; `ready` with its first token, which comes of the prompt's last row, and without pages of its
   * own; `going` with a sequence; `over`.
   */
  state: 'waiting' | 'ready' | 'going' | 'over';
  sequence: number | undefined;
  /** Tokens that it has; the last has not been fed. */
  count: number;
  last: number;
}

interface Living {
  readonly of: BatchRequest;
  readonly samples: Sample[];
  /** Where its prompt is or will be computed; undefined before it is let in, and when every sample has pages of its own. */
  prompt: number | undefined;
  /** Tokens of the prompt that are computed or on their way. */
  computed: number;
}

export const createBatching = (options: BatchingOptions): Batching => new Batches(options);

/** A request with several samples computes its prompt in a sequence of its own, with one it goes on in the same. */
const sharesPrompt = ({ of }: Living): boolean => of.samples > 1;

/** The last token is never fed. */
const tokensMaxOf = ({ promptTokens, maxTokens }: BatchRequest): number => promptTokens.length + maxTokens - 1;

const drawOf = ({ number, living: { of } }: Sample): DecodeRow['draw'] => {
  const { temperature, topK, topP, seed, top = 0 } = of;
  return { sample: number, temperature, topK, topP, seed, top };
};

class Batches implements Batching {
  private readonly options: BatchingOptions;
  /** Kept in step with the stage's own. */
  private readonly table: PageTable;
  private readonly requests = new Map<number, Living>();
  private queue: Living[] = [];
  private closes: number[] = [];
  private nextSequence = 0;
  private lastKind: BatchWork['kind'] = 'decode';
  /** Samples that are going, in the order in which they shall get tokens. */
  private turns: Sample[] = [];
  /** Whose the draws or rows of the step under way are. */
  private underway: readonly Sample[] = [];

  constructor(options: BatchingOptions) {
    this.options = options;
    const { pages, pageTokens, sequencesMax: slots } = options;
    this.table = createPageTable({ pages, pageTokens, slots });
  }

  get waiting(): number {
    return this.queue.length;
  }

  get running(): number {
    return this.requests.size - this.queue.length;
  }

  get pages(): PageTable {
    return this.table;
  }

  add(of: BatchRequest): string | undefined {
    const { positionsMax, pages, sequencesMax } = this.options;
    const { id, promptTokens, samples, firstSample } = of;
    const refuse = (text: string): string => `request ${id}: ${text}`;
    if (this.requests.has(id)) return refuse('there is one with this number already');
    if (promptTokens.length === 0) return refuse('the prompt is empty; begin it with a token');
    if (samples < 1 || of.maxTokens < 1) return refuse('it wants no sample or no token');
    if (tokensMaxOf(of) > positionsMax) {
      const most = positionsMax - promptTokens.length + 1;
      return refuse(
        `${promptTokens.length} tokens and ${of.maxTokens} more, of which ${Math.max(0, most)} fit; shorten it`,
      );
    }
    const living: Living = { of, samples: [], prompt: undefined, computed: 0 };
    const needed = sharesPrompt(living)
      ? this.table.pagesFor(promptTokens.length) + this.pagesOfSample(living)
      : this.table.pagesFor(tokensMaxOf(of));
    if (needed > pages || (sharesPrompt(living) && sequencesMax < 2)) {
      return refuse(`it takes ${needed} pages, the device has ${pages}; ask for fewer tokens`);
    }
    for (let index = 0; index < samples; index++) {
      const number = firstSample + index;
      living.samples.push({ living, number, state: 'waiting', sequence: undefined, count: 0, last: 0 });
    }
    this.requests.set(id, living);
    this.queue.push(living);
    return undefined;
  }

  cancel(request: number, sample?: number): void {
    const living = this.requests.get(request);
    if (living === undefined) return;
    for (const own of living.samples) if (sample === undefined || own.number === sample) this.end(own);
  }

  next(): BatchStep | undefined {
    assert(this.underway.length === 0, 'batching: the last step is not done');
    // Not of those that begin samples now: a step closes before it opens.
    for (const living of this.requests.values()) this.closeNeedlessPrompt(living);
    const opens = [...this.beginSamples(), ...this.letIn()];
    const prompts = [...this.requests.values()].filter(
      ({ prompt, computed, of }) => prompt !== undefined && computed < of.promptTokens.length,
    );
    const work = this.workOf(prompts);
    const closes = this.closes;
    this.closes = [];
    if (work === undefined && closes.length === 0) return undefined;
    return { closes, opens, ...(work && { work }) };
  }

  done({ work }: BatchStep, chosen: readonly (readonly ChosenTokens[])[]): BatchEvent[] {
    const events: BatchEvent[] = [];
    const samples = this.underway;
    this.underway = [];
    if (work === undefined) return events;
    for (const [index, sample] of samples.entries()) {
      const { living } = sample;
      for (const one of chosen[index] ?? []) this.take(sample, one, events);
      if (sample.state !== 'waiting') continue;
      sample.state = sharesPrompt(living) ? 'ready' : 'going';
      if (sample.state === 'ready') continue;
      sample.sequence = living.prompt;
      living.prompt = undefined;
      this.turns.push(sample);
    }
    return events;
  }

  // What is computed

  private workOf(prompts: readonly Living[]): BatchWork | undefined {
    const both = prompts.length > 0 && this.turns.length > 0;
    if (prompts.length === 0 && this.turns.length === 0) return undefined;
    const kind = both ? (this.lastKind === 'decode' ? 'prefill' : 'decode') : prompts.length > 0 ? 'prefill' : 'decode';
    this.lastKind = kind;
    return kind === 'prefill' ? this.promptWork(prompts) : this.tokenWork(both);
  }

  /** Every prompt has its share of the slice, the oldest what is left over. */
  private promptWork(prompts: readonly Living[]): BatchWork {
    const { rowsMax, rowsBesideTokens = rowsMax } = this.options;
    const room = this.turns.length > 0 ? Math.min(rowsMax, rowsBesideTokens) : rowsMax;
    const served = prompts.slice(0, room);
    const share = Math.floor(room / served.length);
    const lefts = served.map(({ of, computed }) => of.promptTokens.length - computed);
    const counts = lefts.map((left) => Math.min(left, share));
    let spare = room - counts.reduce((sum, count) => sum + count, 0);
    for (const [index, left] of lefts.entries()) {
      const more = Math.min(spare, left - (counts[index] ?? 0));
      counts[index] = (counts[index] ?? 0) + more;
      spare -= more;
    }
    const rows: StageRow[] = [];
    const tokens: number[] = [];
    const draws: TokenDraw[] = [];
    const underway: Sample[] = [];
    for (const [index, living] of served.entries()) {
      const { promptTokens } = living.of;
      const sequence = present(living.prompt, 'batching: a prompt without a sequence');
      const end = living.computed + (counts[index] ?? 0);
      for (; living.computed < end; living.computed++) {
        rows.push([sequence, living.computed]);
        tokens.push(promptTokens[living.computed] ?? 0);
      }
      if (end < promptTokens.length) continue;
      for (const sample of living.samples) {
        if (sample.state !== 'waiting') continue;
        draws.push({ ...drawOf(sample), row: rows.length - 1, position: promptTokens.length });
        underway.push(sample);
      }
    }
    this.underway = underway;
    return { kind: 'prefill', rows, tokens: Uint32Array.from(tokens), draws };
  }

  private tokenWork(promptsWait: boolean): BatchWork {
    const { tokensRowsMax, stepsMax, stepsBesidePrompts = Math.max(1, Math.floor(stepsMax / 2)) } = this.options;
    const samples = this.turns.slice(0, tokensRowsMax);
    this.turns = [...this.turns.slice(tokensRowsMax), ...samples];
    this.underway = samples;
    const left = samples.map(({ living, count }) => living.of.maxTokens - count);
    const steps = Math.min(promptsWait ? stepsBesidePrompts : stepsMax, ...left);
    const rows = samples.map((sample): DecodeRow => ({
      sequence: present(sample.sequence, 'batching: a sample without a sequence'),
      position: sample.living.of.promptTokens.length + sample.count - 1,
      token: sample.last,
      draw: drawOf(sample),
    }));
    return { kind: 'decode', rows, steps };
  }

  private take(sample: Sample, chosen: ChosenTokens, events: BatchEvent[]): void {
    if (sample.state === 'over') return;
    const { stopTokens, maxTokens, id: request } = sample.living.of;
    const finish = (reason: FinishReason): void => {
      events.push({ type: 'finished', request, sample: sample.number, reason });
      this.end(sample);
    };
    if (!Number.isFinite(chosen.logprob)) return finish('broken');
    if (stopTokens.includes(chosen.token)) return finish('stop');
    events.push({ type: 'token', request, sample: sample.number, ...chosen });
    sample.count += 1;
    sample.last = chosen.token;
    if (sample.count >= maxTokens) finish('length');
  }

  // Who has pages

  /** Lets in who has waited longest, as far as there is room for it beside what others are owed. */
  private letIn(): OpenOrder[] {
    const opens: OpenOrder[] = [];
    while (this.queue[0] !== undefined) {
      const [living] = this.queue;
      const { of } = living;
      const shares = sharesPrompt(living);
      const tokensMax = shares ? of.promptTokens.length : tokensMaxOf(of);
      const prefix = this.prefixFor(living);
      const pages = this.table.pagesFor(tokensMax, prefix) + (shares ? this.pagesOfSample(living) : 0);
      if (!this.hasRoom(pages, shares ? 2 : 1)) break;
      this.queue.shift();
      const order = this.openSequence(tokensMax, prefix);
      living.prompt = order.sequence;
      living.computed = prefix?.tokens ?? 0;
      opens.push(order);
    }
    return opens;
  }

  /** Gives pages to samples whose first token is known. */
  private beginSamples(): OpenOrder[] {
    const opens: OpenOrder[] = [];
    for (const living of this.requests.values()) {
      for (const sample of living.samples) {
        if (sample.state !== 'ready') continue;
        if (!this.hasRoom(this.pagesOfSample(living), 1, living)) break;
        const of = present(living.prompt, 'batching: a sample whose prompt has gone');
        const order = this.openSequence(tokensMaxOf(living.of), { of, tokens: living.of.promptTokens.length });
        sample.state = 'going';
        sample.sequence = order.sequence;
        this.turns.push(sample);
        opens.push(order);
      }
    }
    return opens;
  }

  private openSequence(tokensMax: number, prefix: SharedPrefix | undefined): OpenOrder {
    const sequence = this.nextSequence++;
    assert(this.table.open(sequence, tokensMax, prefix) !== undefined, 'batching: opened what has no room');
    return { sequence, tokensMax, ...(prefix && { prefix }) };
  }

  /** Pages of one sample behind its request's prompt. */
  private pagesOfSample({ of }: Living): number {
    return this.table.pagesFor(tokensMaxOf(of), { of: -1, tokens: of.promptTokens.length });
  }

  /**
   * Whether so much is free beside what others than `own` are owed: every request that was let in and has no sample going
   * keeps room for one, so that requests never wait for each other's pages in a circle.
   */
  private hasRoom(pages: number, slots: number, own?: Living): boolean {
    let [pagesOwed, slotsOwed] = [0, 0];
    for (const living of this.requests.values()) {
      const { prompt, samples } = living;
      if (living === own || prompt === undefined || !sharesPrompt(living)) continue;
      if (samples.some(({ state }) => state === 'going')) continue;
      pagesOwed += this.pagesOfSample(living);
      slotsOwed += 1;
    }
    return pages + pagesOwed <= this.table.pagesFree && slots + slotsOwed <= this.table.slotsFree;
  }

  /** The longest run of full pages that some open sequence holds and this prompt begins with. */
  private prefixFor({ of: { promptTokens } }: Living): SharedPrefix | undefined {
    let best: SharedPrefix | undefined;
    for (const { prompt, computed, of, samples } of this.requests.values()) {
      const sequence = prompt ?? samples.find((own) => own.sequence !== undefined)?.sequence;
      if (sequence === undefined) continue;
      // The last token is computed again: its logits are needed.
      const limit = Math.min(computed, promptTokens.length - 1);
      let same = 0;
      while (same < limit && of.promptTokens[same] === promptTokens[same]) same++;
      const tokens = same - (same % this.options.pageTokens);
      if (tokens > (best?.tokens ?? 0)) best = { of: sequence, tokens };
    }
    return best;
  }

  private close(sequence: number): void {
    this.table.close(sequence);
    this.closes.push(sequence);
  }

  /** Its pages are free at once. */
  private end(sample: Sample): void {
    if (sample.state === 'over') return;
    const { living } = sample;
    sample.state = 'over';
    this.turns = this.turns.filter((own) => own !== sample);
    if (sample.sequence !== undefined) this.close(sample.sequence);
    sample.sequence = undefined;
    this.closeNeedlessPrompt(living);
    if (living.samples.some(({ state }) => state !== 'over')) return;
    this.requests.delete(living.of.id);
    this.queue = this.queue.filter((own) => own !== living);
  }

  private closeNeedlessPrompt(living: Living): void {
    const { prompt, samples } = living;
    if (prompt === undefined || samples.some(({ state }) => state === 'waiting' || state === 'ready')) return;
    living.prompt = undefined;
    this.close(prompt);
  }
}
