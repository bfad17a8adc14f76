/**
 * Requests to a served model: who waits, what each sample has so far, and when it is finished. A request's samples go to a
 * pipeline in groups, as there is room; a group is one prompt with its samples, each a stream with a number of its own.
 * Tokens come in order and once for each stream, however often stages were replaced: what comes twice is left out.
 *
 * Nothing here outlives the hub: whoever asked sees the link break and asks again.
 */

import type { PeerId } from '../core/ids.ts';
import { headerBytesMax, requestsWaitingMax } from '../core/limits.ts';
import type { ServePlan } from '../protocol/manifest.ts';
import type { MessageOf } from '../protocol/messages.ts';
import { sampleMax, type ChosenToken, type ComputedBy, type ServeSampling } from '../protocol/serving-messages.ts';

type Ask = MessageOf<'ask'>;
type Refusal = Omit<MessageOf<'ask-refused'>, 'type' | 'id'>;

/** One prompt on one pipeline, with some of its request's samples. */
export interface Group {
  readonly pipeline: number;
  readonly prompt: number;
  readonly promptTokens: readonly number[];
  readonly sampling: ServeSampling;
  /** Those that are not finished. */
  readonly samples: Map<number, { readonly stream: number; readonly sample: number; readonly tokens: number[] }>;
  readonly request: Request;
}

interface Request {
  readonly from: PeerId;
  readonly ask: Ask;
  readonly groups: Set<Group>;
  /** Samples that no pipeline has yet. */
  undealt: number[];
  readonly by: Map<string, ComputedBy>;
}

export interface RequestsPort {
  send(to: PeerId, message: MessageOf<'answer'> | MessageOf<'answered'> | MessageOf<'ask-refused'>): void;
  /** These streams of the group need no more rows. */
  close(group: Group, streams: readonly number[]): void;
  /** Who computes this pipeline's part now. */
  computedBy(pipeline: number): readonly ComputedBy[];
}

export class ServingRequests {
  private readonly plan: ServePlan;
  private readonly port: RequestsPort;
  /** In the order in which they came; finished ones are gone. */
  private readonly requests = new Map<string, Request>();
  private readonly groups = new Map<number, Group>();
  /** The group of each open sample. */
  private readonly byStream = new Map<number, Group>();
  private nextStream = 1;

  constructor(plan: ServePlan, port: RequestsPort) {
    this.plan = plan;
    this.port = port;
  }

  /** Requests of which some sample is not dealt yet, and samples under way. */
  get waiting(): number {
    let waiting = 0;
    for (const { undealt } of this.requests.values()) if (undealt.length > 0) waiting++;
    return waiting;
  }

  get running(): number {
    return this.byStream.size;
  }

  ask(from: PeerId, ask: Ask): void {
    const refusal = this.objectionTo(from, ask);
    if (refusal !== undefined) {
      this.port.send(from, { type: 'ask-refused', id: ask.id, ...refusal });
      return;
    }
    const undealt = Array.from({ length: ask.samples }, (_, index) => ask.firstSample + index);
    this.requests.set(keyOf(from, ask.id), { from, ask, groups: new Set(), undealt, by: new Map() });
  }

  /** Ends samples, or the whole request, without a word about them. */
  stop(from: PeerId, { id, samples }: Pick<MessageOf<'ask-stop'>, 'id' | 'samples'>): void {
    const request = this.requests.get(keyOf(from, id));
    if (request === undefined) return;
    const named = samples === undefined ? undefined : new Set(samples);
    const isStopped = (sample: number): boolean => named === undefined || named.has(sample);
    request.undealt = request.undealt.filter((sample) => !isStopped(sample));
    for (const group of request.groups) {
      this.drop(
        group,
        [...group.samples.values()].filter(({ sample }) => isStopped(sample)).map(({ stream }) => stream),
      );
    }
    this.endIfDone(request);
  }

  /** Whoever asked is gone. */
  lost(from: PeerId): void {
    for (const { from: asker, ask } of [...this.requests.values()]) {
      if (asker === from) this.stop(from, { id: ask.id });
    }
  }

  /** The model is no longer offered. */
  refuseAll(reason: string): void {
    for (const { from, ask } of this.requests.values()) {
      this.port.send(from, { type: 'ask-refused', id: ask.id, kind: 'failed', reason });
    }
    this.requests.clear();
    this.groups.clear();
    this.byStream.clear();
  }

  /** Groups of this pipeline that are under way. */
  groupsOf(pipeline: number): Group[] {
    return [...this.groups.values()].filter((group) => group.pipeline === pipeline);
  }

  /** Puts what waits on this pipeline while it has room; first come, first served. */
  dealTo(pipeline: number): Group[] {
    const dealt: Group[] = [];
    let room = this.plan.sequences;
    for (const { samples } of this.groupsOf(pipeline)) room -= samples.size;
    for (const request of this.requests.values()) {
      if (room === 0) break;
      if (request.undealt.length === 0) continue;
      const samples = request.undealt.splice(0, room);
      room -= samples.length;
      dealt.push(this.newGroup(request, pipeline, samples));
    }
    return dealt;
  }

  /** What a pipeline's first stage reports; returns how many of these tokens were the next ones of their samples. */
  take(pipeline: number, tokens: readonly ChosenToken[]): number {
    const answers = new Map<Request, MessageOf<'answer'>>();
    let taken = 0;
    for (const token of tokens) {
      const group = this.byStream.get(token.stream);
      const sample = group?.samples.get(token.stream);
      if (group === undefined || sample === undefined || group.pipeline !== pipeline) continue;
      if (token.position !== group.promptTokens.length + sample.tokens.length) continue;
      // Volunteers are strangers.
      if (token.token >= this.plan.model.vocabulary) continue;
      taken++;
      const answer = answers.get(group.request) ?? newAnswer(group.request);
      answers.set(group.request, answer);
      this.append(group, sample, token, answer);
    }
    for (const [request, answer] of answers) {
      this.port.send(request.from, answer);
      this.endIfDone(request);
    }
    return taken;
  }

  private append(
    group: Group,
    { stream, sample, tokens }: { readonly stream: number; readonly sample: number; readonly tokens: number[] },
    { token, logprob, top }: ChosenToken,
    answer: MessageOf<'answer'>,
  ): void {
    for (const one of this.port.computedBy(group.pipeline)) {
      group.request.by.set(`${one.pipeline}/${one.stage}/${one.peer}`, one);
    }
    const hasStopped = group.sampling.stopTokens.includes(token);
    if (!hasStopped) {
      tokens.push(token);
      answer.tokens.push({ sample, token, logprob, top: top.slice(0, group.sampling.topLogprobs) });
    }
    if (!hasStopped && tokens.length < group.sampling.maxTokens) return;
    answer.finished.push({ sample, reason: hasStopped ? 'stop' : 'length' });
    this.drop(group, [stream]);
  }

  private newGroup(request: Request, pipeline: number, samples: readonly number[]): Group {
    const {
      promptTokens,
      type: _type,
      id: _id,
      job: _job,
      samples: _count,
      firstSample: _first,
      ...asked
    } = request.ask;
    const maxTokens = Math.min(asked.maxTokens, this.plan.context - promptTokens.length);
    const group: Group = {
      pipeline,
      prompt: this.nextStream++,
      promptTokens,
      sampling: { ...asked, maxTokens },
      samples: new Map(),
      request,
    };
    for (const sample of samples) {
      const stream = this.nextStream++;
      group.samples.set(stream, { stream, sample, tokens: [] });
      this.byStream.set(stream, group);
    }
    this.groups.set(group.prompt, group);
    request.groups.add(group);
    return group;
  }

  private drop(group: Group, streams: readonly number[]): void {
    for (const stream of streams) {
      group.samples.delete(stream);
      this.byStream.delete(stream);
    }
    if (streams.length > 0) this.port.close(group, streams);
    if (group.samples.size > 0) return;
    this.groups.delete(group.prompt);
    group.request.groups.delete(group);
  }

  private endIfDone(request: Request): void {
    const key = keyOf(request.from, request.ask.id);
    if (request.groups.size > 0 || request.undealt.length > 0 || !this.requests.has(key)) return;
    this.requests.delete(key);
    this.port.send(request.from, {
      type: 'answered',
      id: request.ask.id,
      by: [...request.by.values()].slice(0, computedByMax),
    });
  }

  /** Why this request is not taken, or undefined. */
  private objectionTo(from: PeerId, { id, promptTokens, firstSample, samples }: Ask): Refusal | undefined {
    const { model, context } = this.plan;
    if (this.requests.has(keyOf(from, id))) return invalid('a request of this id is under way; take another id');
    const foreign = promptTokens.find((token) => token >= model.vocabulary);
    if (foreign !== undefined) return invalid(`token ${foreign} is not in a vocabulary of ${model.vocabulary}`);
    if (promptTokens.length >= context) {
      return invalid(`a prompt of ${promptTokens.length} tokens leaves no room in a context of ${context}; shorten it`);
    }
    if (firstSample + samples - 1 > sampleMax) return invalid(`samples are numbered up to ${sampleMax}`);
    if (this.waiting < requestsWaitingMax) return undefined;
    return { kind: 'busy', reason: `${requestsWaitingMax} requests wait already`, retrySeconds: busyRetrySeconds };
  }
}

const busyRetrySeconds = 5;
/** As many as fit a header; an answer that went through more hands names the first of them. */
const computedByMax = 128;

const invalid = (reason: string): Refusal => ({ kind: 'invalid', reason });

const keyOf = (from: PeerId, id: string): string => `${from}/${id}`;

const newAnswer = ({ ask }: Request): MessageOf<'answer'> => ({ type: 'answer', id: ask.id, tokens: [], finished: [] });

/** Rows that these groups have or will have next. */
export const rowsOf = (groups: readonly Group[]): number =>
  groups.reduce((sum, { promptTokens, samples }) => {
    return [...samples.values()].reduce((rows, { tokens }) => rows + tokens.length, sum + promptTokens.length);
  }, 0);

/** Bytes of a token and of a sample in a header, and what a message may have of them. */
const tokenBytes = 7;
const sampleBytes = 64;
const openBytesMax = headerBytesMax - 2048;

/** Samples in as many messages as their tokens need; each has the prompt before them, and one sample fits always. */
export function inHeaders<Sample extends { readonly tokens: readonly number[] }>(
  promptTokens: number,
  samples: readonly Sample[],
): Sample[][] {
  const messages: Sample[][] = [];
  let bytes = Infinity;
  for (const sample of samples) {
    const own = sampleBytes + tokenBytes * sample.tokens.length;
    if (bytes + own > openBytesMax) {
      messages.push([]);
      bytes = tokenBytes * promptTokens;
    }
    messages.at(-1)?.push(sample);
    bytes += own;
  }
  return messages;
}
