/** What a stage of a pipeline (`pipeline-stage.ts`) keeps of each stream, and what follows from it. */

import { assert } from '../core/assert.ts';
import type { ChosenToken, ServeSampling } from '../protocol/serving-messages.ts';
import type { Draw, StreamPrefix } from './pipeline-stage.ts';

export interface Stream {
  readonly id: number;
  readonly request: Request;
  /** The sample's number; undefined for the prompt's own stream. */
  readonly sample: number | undefined;
  /** Its first row's position. */
  readonly start: number;
  /** Rows before this position are in the cache. */
  computed: number;
  /** Whether the device keeps a cache for it. */
  isOpen: boolean;
  isClosed: boolean;
  /** A sample's tokens that are known here, from `start` on; a prompt's are the request's. */
  readonly tokens: ChosenToken[];
  /** Rows that came from the previous stage, from `start` on; emptied as they are computed. */
  readonly arrived: (Float32Array | undefined)[];
  /** Rows that were computed, from `start` on, for whoever wants them again. */
  readonly given: Float32Array[];
  /** The position from which the next stage wants rows; undefined while it has not said. */
  wanted: number | undefined;
}

export interface Request {
  readonly promptTokens: readonly number[];
  readonly sampling: ServeSampling;
  readonly prompt: Stream;
  readonly samples: Stream[];
  /** How many samples there will be: those that come later must not miss the end of the prompt. */
  readonly count: number;
}

/** The position before which a stream has rows: of a sample all but its last token's, after which nothing comes. */
export function rowsEnd({ sample, start, request }: Stream): number {
  return sample === undefined ? request.promptTokens.length : start + request.sampling.maxTokens - 1;
}

/** What the next stage wants of what there is, from the stream's start on; it is then no longer wanted. */
export function wantedOf<Part>(stream: Stream, given: readonly Part[]): readonly Part[] {
  if (stream.wanted === undefined) return [];
  const parts = given.slice(stream.wanted - stream.start);
  stream.wanted += parts.length;
  return parts;
}

/** Rows, wants or tokens in one message: a header holds so many tokens with all their alternatives. */
const partsMax = 64;

export function inMessages<Part>(parts: readonly Part[]): Part[][] {
  const messages: Part[][] = [];
  for (let start = 0; start < parts.length; start += partsMax) messages.push(parts.slice(start, start + partsMax));
  return messages;
}

export function hasStopped({ tokens, request }: Stream): boolean {
  const last = tokens.at(-1);
  return last !== undefined && request.sampling.stopTokens.includes(last.token);
}

export function openingOf(stream: Stream): { stream: number; tokensMax: number; prefix?: StreamPrefix } {
  const { prompt, promptTokens, sampling } = stream.request;
  if (stream.sample === undefined) return { stream: stream.id, tokensMax: promptTokens.length };
  return {
    stream: stream.id,
    tokensMax: promptTokens.length + sampling.maxTokens,
    prefix: { of: prompt.id, tokens: promptTokens.length },
  };
}

export function tokenAt(stream: Stream, position: number): number {
  const token =
    stream.sample === undefined ? stream.request.promptTokens[position] : stream.tokens[position - stream.start]?.token;
  assert(token !== undefined, `stream ${stream.id} has no token at ${position}`);
  return token;
}

/** The row's activations, which are needed only once. */
export function takeArrived(stream: Stream, position: number): Float32Array {
  const row = stream.arrived[position - stream.start];
  assert(row !== undefined, `stream ${stream.id} has no row at ${position}`);
  stream.arrived[position - stream.start] = undefined;
  return row;
}

/** The last row of a prompt begins every sample; any row of a sample brings its next token. */
export function drawsAfter(stream: Stream, position: number, row: number): Draw[] {
  const { promptTokens, sampling, samples } = stream.request;
  const draw = ({ id, sample }: Stream): Draw[] =>
    sample === undefined ? [] : [{ row, stream: id, position: position + 1, sample, sampling }];
  if (stream.sample !== undefined) return draw(stream);
  return position === promptTokens.length - 1 ? samples.filter(({ isClosed }) => !isClosed).flatMap(draw) : [];
}

export function joined(rows: readonly Float32Array[], width: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(rows.length * width);
  for (const [index, row] of rows.entries()) values.set(row, index * width);
  return values;
}
