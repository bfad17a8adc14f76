/**
 * One stage of a model that is spread over several volunteers, as a pure machine: it says which rows to compute next and what
 * to send to whom. Rows flow from the first stage to the last; chosen tokens go from the last to the first, which feeds them
 * and reports them. A model on one device is a pipeline of one stage.
 *
 * Nothing is sent that was not asked for: a stage says from which position on it wants rows of a stream, its predecessor
 * keeps what it gave out and sends from there. So a stage that takes over from a dead one wants everything from the
 * beginning, computes it again (rows have the same bits, in whatever batches they come), and goes on where the other stopped;
 * the stage behind it wants only what it lacks, and nobody else notices. The first stage asks the last for tokens likewise.
 *
 * A request is a prompt, whose rows are computed once, and samples, which begin with its cache. Each is a stream.
 */

import { assert } from '../core/assert.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { ChosenToken, ServeSampling } from '../protocol/serving-messages.ts';
import {
  drawsAfter,
  hasStopped,
  inMessages,
  joined,
  openingOf,
  rowsEnd,
  takeArrived,
  tokenAt,
  wantedOf,
  type Request,
  type Stream,
} from './pipeline-streams.ts';

export interface PipelineStageOptions {
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** Width of a row of activations. */
  readonly width: number;
  /** Rows in one batch, at most. */
  readonly rowsMax: number;
  /** How many stages there are. */
  readonly stages: number;
}

/** `[stream, position]`. */
export type RowKey = readonly [number, number];

export type StageInput =
  | { readonly type: 'open'; readonly request: Omit<MessageOf<'stage-open'>, 'type' | 'job' | 'unit' | 'attempt'> }
  | { readonly type: 'close'; readonly streams: readonly number[] }
  /** Who stands before this stage and behind it now; absent while nobody does. The last stage's next is the first. */
  | { readonly type: 'wired'; readonly previous?: string | undefined; readonly next?: string | undefined }
  /** Activations [rows, width] from the previous stage. */
  | { readonly type: 'rows'; readonly rows: readonly RowKey[]; readonly values: Float32Array }
  /** The next stage, or one that will be, asks for rows; the first asks the last for tokens. */
  | { readonly type: 'want'; readonly from: string; readonly wants: readonly RowKey[] }
  /** What the last stage chose, for the first. */
  | { readonly type: 'tokens'; readonly tokens: readonly ChosenToken[] };

export type StageOutput =
  | { readonly type: 'rows'; readonly rows: readonly RowKey[]; readonly values: Float32Array }
  | { readonly type: 'want'; readonly wants: readonly RowKey[] }
  /** `to` the first stage, or, from there, to the hub. */
  | { readonly type: 'tokens'; readonly to: 'next' | 'hub'; readonly tokens: readonly ChosenToken[] };

/** A token to choose from the logits after row `row` of a batch. */
export interface Draw {
  readonly row: number;
  readonly stream: number;
  /** The place that the token will have in its stream. */
  readonly position: number;
  readonly sample: number;
  readonly sampling: ServeSampling;
}

/** The beginning that a sample shares with its prompt. */
export interface StreamPrefix {
  readonly of: number;
  readonly tokens: number;
}

/** What the device is to do next, in this order: close, open, compute, draw. */
export interface StageBatch {
  readonly closes: readonly number[];
  /** Streams with what they may grow to; a sample begins with the cache of its prompt. */
  readonly opens: readonly { readonly stream: number; readonly tokensMax: number; readonly prefix?: StreamPrefix }[];
  /** Rows of prompts and rows of samples are never mixed. */
  readonly kind: 'prefill' | 'decode';
  readonly rows: readonly RowKey[];
  /** What goes in at the first stage: a token for each row. */
  readonly tokens?: Uint32Array<ArrayBuffer>;
  /** What goes in elsewhere: activations [rows, width]. */
  readonly values?: Float32Array<ArrayBuffer>;
  readonly draws: readonly Draw[];
}

/** What came of a batch: activations [rows, width], or at the last stage a token for each draw. */
export type BatchResult =
  { readonly values: Float32Array } | { readonly chosen: readonly Pick<ChosenToken, 'token' | 'logprob' | 'top'>[] };

export interface PipelineStage {
  receive(input: StageInput): readonly StageOutput[];
  /** The next batch, or undefined while there is nothing to do; it may only close streams. Each must be followed by `computed`. */
  next(): StageBatch | undefined;
  computed(batch: StageBatch, result: BatchResult): readonly StageOutput[];
  /** Streams that are open, for display. */
  open(): number;
}

export const createPipelineStage = (options: PipelineStageOptions): PipelineStage => new Stage(options);

/**
 * Wants for streams that this stage does not know yet, or of who is not behind it yet: the hub's word may come later than the
 * neighbour's. Any stranger may say some, so everybody has a share of their own, and few are listened to.
 */
const earlyWantsMax = 1024;
const earlyPeersMax = 8;

class Stage implements PipelineStage {
  private readonly options: PipelineStageOptions;
  private readonly streams = new Map<number, Stream>();
  /** What was asked for too early, by who asked: for streams not opened yet, or by who is not behind this stage yet. */
  private readonly earlyWants = new Map<string, Map<number, number>>();
  private closing: number[] = [];
  private previous: string | undefined;
  private following: string | undefined;
  /** Who stood behind this stage last, if nobody does now. */
  private lastFollowing: string | undefined;
  /** Prompts and samples take turns where both have rows. */
  private lastKind: StageBatch['kind'] = 'decode';

  constructor(options: PipelineStageOptions) {
    this.options = options;
  }

  open(): number {
    return this.streams.size;
  }

  receive(input: StageInput): readonly StageOutput[] {
    switch (input.type) {
      case 'open':
        return this.openRequest(input.request);
      case 'close':
        this.closeStreams(input.streams);
        return [];
      case 'wired':
        return this.wire(input);
      case 'rows':
        return this.takeRows(input.rows, input.values);
      case 'want':
        return this.takeWants(input.from, input.wants);
      case 'tokens':
        return this.takeTokens(input.tokens);
    }
  }

  next(): StageBatch | undefined {
    const kinds = this.lastKind === 'decode' ? (['prefill', 'decode'] as const) : (['decode', 'prefill'] as const);
    for (const kind of kinds) {
      const streams = this.ready(kind);
      if (streams.length > 0) return this.batchOf(kind, streams);
    }
    return this.closing.length > 0 ? this.batchOf('decode', []) : undefined;
  }

  computed(batch: StageBatch, result: BatchResult): readonly StageOutput[] {
    const outputs: StageOutput[] = [];
    if ('chosen' in result) outputs.push(...this.drawn(batch, result.chosen));
    else outputs.push(...this.gave(batch, result.values));
    return outputs;
  }

  // What comes in

  private openRequest(request: Extract<StageInput, { type: 'open' }>['request']): readonly StageOutput[] {
    const { prompt, promptTokens, sampling } = request;
    const known = this.streams.get(prompt)?.request;
    const samples = request.samples.filter(({ stream }) => !this.streams.has(stream));
    const streamOf = (id: number, sample: number | undefined, start: number, of: () => Request): Stream => ({
      id,
      get request() {
        return of();
      },
      sample,
      start,
      computed: start,
      isOpen: false,
      isClosed: false,
      tokens: [],
      arrived: [],
      given: [],
      wanted: undefined,
    });
    const opened: Request = known ?? {
      promptTokens,
      sampling,
      prompt: streamOf(prompt, undefined, 0, () => opened),
      samples: [],
      count: request.count,
    };
    const added = samples.map(({ stream, sample, tokens }) => {
      const own = streamOf(stream, sample, promptTokens.length, () => opened);
      for (const [index, token] of tokens.entries()) {
        own.tokens.push({ stream, position: promptTokens.length + index, token, logprob: 0, top: [] });
      }
      return own;
    });
    opened.samples.push(...added);
    const streams = known === undefined ? [opened.prompt, ...added] : added;
    for (const stream of streams) this.streams.set(stream.id, stream);
    return [...this.wants(streams), ...this.takeEarlyWants()];
  }

  private closeStreams(ids: readonly number[]): void {
    for (const id of ids) {
      const stream = this.streams.get(id);
      if (stream === undefined) continue;
      this.forget(stream);
      const { prompt, samples } = stream.request;
      if (samples.every(({ isClosed }) => isClosed)) this.forget(prompt);
    }
  }

  private forget(stream: Stream): void {
    if (stream.isClosed) return;
    stream.isClosed = true;
    this.streams.delete(stream.id);
    if (stream.isOpen) this.closing.push(stream.id);
  }

  private wire({ previous, next }: Extract<StageInput, { type: 'wired' }>): readonly StageOutput[] {
    const streams = [...this.streams.values()];
    // Whoever stands behind now says anew what it wants, or has said so already. The same one, after nobody did, may have said so
    // before the hub's word of both came here; what it has already it leaves alone, and what it lacks it asks for again.
    if (next !== undefined && next !== this.lastFollowing) for (const stream of streams) stream.wanted = undefined;
    this.previous = previous;
    this.following = next;
    this.lastFollowing = next ?? this.lastFollowing;
    return [...this.wants(streams), ...this.takeEarlyWants(), ...this.give(streams)];
  }

  private takeRows(rows: readonly RowKey[], values: Float32Array): readonly StageOutput[] {
    const { width, isFirst } = this.options;
    if (isFirst || values.length !== rows.length * width) return [];
    const lacking = new Set<Stream>();
    for (const [index, [id, position]] of rows.entries()) {
      const stream = this.streams.get(id);
      if (stream === undefined) continue;
      const next = stream.start + stream.arrived.length;
      if (position >= rowsEnd(stream)) continue;
      if (position === next) stream.arrived.push(values.slice(index * width, (index + 1) * width));
      else if (position > next) lacking.add(stream);
    }
    return this.wants([...lacking]);
  }

  private takeWants(from: string, wants: readonly RowKey[]): readonly StageOutput[] {
    const streams: Stream[] = [];
    for (const [id, position] of wants) {
      const stream = this.streams.get(id);
      if (stream === undefined || from !== this.following) {
        this.keepEarlyWant(from, id, position);
        continue;
      }
      stream.wanted = Math.max(stream.start, position);
      streams.push(stream);
    }
    return this.give(streams);
  }

  private keepEarlyWant(from: string, id: number, position: number): void {
    const own = this.earlyWants.get(from) ?? new Map<number, number>();
    const [oldest] = own.keys();
    if (own.size >= earlyWantsMax && !own.has(id) && oldest !== undefined) own.delete(oldest);
    own.set(id, position);
    // Who spoke last stands last.
    this.earlyWants.delete(from);
    this.earlyWants.set(from, own);
    const stranger = [...this.earlyWants.keys()].find((peer) => peer !== this.following);
    if (this.earlyWants.size > earlyPeersMax && stranger !== undefined) this.earlyWants.delete(stranger);
  }

  /** What was asked for early by who stands behind now; closed streams are asked for in vain. */
  private takeEarlyWants(): readonly StageOutput[] {
    const own = this.following === undefined ? undefined : this.earlyWants.get(this.following);
    if (own === undefined || this.following === undefined) return [];
    const known = [...own].filter(([id]) => this.streams.has(id));
    for (const [id] of known) own.delete(id);
    return this.takeWants(this.following, known);
  }

  private takeTokens(tokens: readonly ChosenToken[]): readonly StageOutput[] {
    if (!this.options.isFirst) return [];
    const news = tokens.filter((token) => this.append(token));
    return inMessages(news).map((some) => ({ type: 'tokens', to: 'hub', tokens: some }));
  }

  /** Whether it is the next one of its stream. */
  private append(token: ChosenToken): boolean {
    const stream = this.streams.get(token.stream);
    if (stream === undefined || stream.sample === undefined) return false;
    if (token.position !== stream.start + stream.tokens.length) return false;
    if (stream.tokens.length >= stream.request.sampling.maxTokens || hasStopped(stream)) return false;
    stream.tokens.push(token);
    return true;
  }

  // What is computed

  private ready(kind: StageBatch['kind']): Stream[] {
    return [...this.streams.values()].filter((stream) => {
      if ((stream.sample === undefined) !== (kind === 'prefill')) return false;
      const { prompt, samples, count } = stream.request;
      if (stream.sample === undefined ? samples.length < count : prompt.computed < stream.start) return false;
      return stream.computed < this.end(stream);
    });
  }

  /** The position before which rows can be computed now. */
  private end(stream: Stream): number {
    if (!this.options.isFirst) return stream.start + stream.arrived.length;
    const { promptTokens, sampling } = stream.request;
    if (stream.sample === undefined) return promptTokens.length;
    // The last token needs no row: nothing comes after it.
    const fed = hasStopped(stream) ? stream.tokens.length - 1 : stream.tokens.length;
    return stream.start + Math.min(fed, sampling.maxTokens - 1);
  }

  private batchOf(kind: StageBatch['kind'], streams: readonly Stream[]): StageBatch {
    this.lastKind = kind;
    const { isFirst, isLast, width, rowsMax, stages } = this.options;
    const keys: RowKey[] = [];
    const tokens: number[] = [];
    const values: Float32Array[] = [];
    const draws: Draw[] = [];
    const opens: { stream: number; tokensMax: number; prefix?: StreamPrefix }[] = [];
    const take = (stream: Stream, count: number): void => {
      if (!stream.isOpen) {
        stream.isOpen = true;
        opens.push(openingOf(stream));
      }
      for (let position = stream.computed; position < stream.computed + count; position++) {
        if (isLast) draws.push(...drawsAfter(stream, position, keys.length));
        keys.push([stream.id, position]);
        if (isFirst) tokens.push(tokenAt(stream, position));
        else values.push(takeArrived(stream, position));
      }
      stream.computed += count;
      // Where not all have room in a batch, the others come first in the next.
      this.streams.delete(stream.id);
      this.streams.set(stream.id, stream);
    };
    // Every stream has its turn before one has a second row: a replay does not hold up those who generate.
    const share = Math.max(1, Math.floor(rowsMax / Math.max(1, streams.length)));
    // So many groups of samples go around as there are stages, and each stage works on another.
    const group = isFirst && kind === 'decode' ? Math.ceil(this.samplesOpen() / stages) : streams.length;
    for (const stream of streams.slice(0, group)) {
      const count = Math.min(share, this.end(stream) - stream.computed, rowsMax - keys.length);
      if (count > 0) take(stream, count);
    }
    const closes = this.closing;
    this.closing = [];
    const input = isFirst ? { tokens: Uint32Array.from(tokens) } : { values: joined(values, width) };
    return { closes, opens, kind, rows: keys, draws, ...input };
  }

  private samplesOpen(): number {
    let count = 0;
    for (const { sample } of this.streams.values()) if (sample !== undefined) count++;
    return count;
  }

  private gave({ rows }: StageBatch, computed: Float32Array): readonly StageOutput[] {
    const { width } = this.options;
    assert(computed.length === rows.length * width, `${rows.length} rows gave ${computed.length} numbers`);
    const touched = new Set<Stream>();
    for (const [index, [id]] of rows.entries()) {
      const stream = this.streams.get(id);
      if (stream === undefined) continue;
      stream.given.push(computed.slice(index * width, (index + 1) * width));
      touched.add(stream);
    }
    return this.give([...touched]);
  }

  private drawn(
    { draws }: StageBatch,
    chosen: Extract<BatchResult, { chosen: unknown }>['chosen'],
  ): readonly StageOutput[] {
    assert(draws.length === chosen.length, `${draws.length} draws gave ${chosen.length} tokens`);
    const news: ChosenToken[] = [];
    const touched = new Set<Stream>();
    for (const [index, { stream: id, position }] of draws.entries()) {
      const one = chosen[index];
      const stream = this.streams.get(id);
      if (one === undefined || stream === undefined) continue;
      const token = { ...one, stream: id, position };
      if (this.append(token)) news.push(token);
      touched.add(stream);
    }
    if (!this.options.isFirst) return this.give([...touched]);
    return inMessages(news).map((some) => ({ type: 'tokens', to: 'hub', tokens: some }));
  }

  // What goes out

  /** What this stage lacks of these streams: rows, or at the first stage tokens. */
  private wants(streams: readonly Stream[]): readonly StageOutput[] {
    const { isFirst, isLast } = this.options;
    if ((isFirst && isLast) || this.previous === undefined) return [];
    const lacking = isFirst ? streams.filter(({ sample }) => sample !== undefined) : streams;
    const wants = lacking.map((stream): RowKey => {
      return [stream.id, stream.start + (isFirst ? stream.tokens : stream.arrived).length];
    });
    return inMessages(wants).map((some) => ({ type: 'want', wants: some }));
  }

  /** What is there of these streams and wanted. */
  private give(streams: readonly Stream[]): readonly StageOutput[] {
    if (this.following === undefined) return [];
    if (this.options.isLast) {
      const tokens = streams.flatMap((stream) => wantedOf(stream, stream.tokens));
      return inMessages(tokens).map((some) => ({ type: 'tokens', to: 'next', tokens: some }));
    }
    const rows = streams.flatMap((stream) => {
      const first = stream.wanted ?? 0;
      return wantedOf(stream, stream.given).map((row, index) => ({ key: [stream.id, first + index] as const, row }));
    });
    return inMessages(rows).map((some) => ({
      type: 'rows',
      rows: some.map(({ key }) => key),
      values: joined(
        some.map(({ row }) => row),
        this.options.width,
      ),
    }));
  }
}
