/**
 * For tests of served models: in place of a network of weights a function whose every row depends on all rows before it in the
 * same stream and its prompt, so that a row that is lost, repeated or computed from another cache changes every token after
 * it; and `toyAnswer`, which says without any pipeline what must come out.
 */

import { assert } from '../core/assert.ts';
import type { ServeSampling } from '../protocol/serving-messages.ts';
import type { BatchResult, StageBatch } from './pipeline-stage.ts';

export const toyWidth = 2;
export const toyVocabulary = 40;
const modulus = 9973;

/** What a stage makes of a row, given the sum of all rows before it. */
const rowOf = (stage: number, position: number, input: number, before: number): number =>
  (input * 31 + before * 7 + stage * 101 + position * 13 + 1) % modulus;
const tokenOf = (value: number, sample: number, position: number): number =>
  (value + sample * 17 + position * 5) % toyVocabulary;

export interface ToyDevice {
  run(batch: StageBatch): BatchResult;
  /** Streams that have a cache. */
  open(): number;
}

interface Cache {
  sum: number;
  next: number;
  readonly max: number;
}

/** A device that checks what it is told: rows come in order, nothing is opened twice, prefixes are complete. */
export function createToyDevice(
  { stage, stages }: { readonly stage: number; readonly stages: number },
  cachesMax = Infinity,
): ToyDevice {
  const caches = new Map<number, Cache>();
  const openOne = ({ stream, tokensMax, prefix }: StageBatch['opens'][number]): void => {
    assert(!caches.has(stream), `stream ${stream} is open already`);
    const from = prefix === undefined ? { sum: 0, next: 0 } : caches.get(prefix.of);
    assert(from?.next === (prefix?.tokens ?? 0), `stream ${stream} begins with an incomplete prompt`);
    caches.set(stream, { sum: from.sum, next: from.next, max: tokensMax });
    assert(caches.size <= cachesMax, `${caches.size} caches, there is room for ${cachesMax}`);
  };
  const compute = ([stream, position]: StageBatch['rows'][number], input: number): number => {
    const cache = caches.get(stream);
    assert(cache !== undefined, `stream ${stream} is not open`);
    assert(position === cache.next && position < cache.max, `stream ${stream}: row ${position} is out of turn`);
    const value = rowOf(stage, position, input, cache.sum);
    cache.sum = (cache.sum + value) % modulus;
    cache.next++;
    return value;
  };
  const run = ({ closes, opens, rows, tokens, values: inputs, draws }: StageBatch): BatchResult => {
    for (const stream of closes) assert(caches.delete(stream), `stream ${stream} is closed, and was not open`);
    for (const opening of opens) openOne(opening);
    const values = new Float32Array(rows.length * toyWidth);
    for (const [index, row] of rows.entries()) {
      const input = stage === 0 ? tokens?.[index] : inputs?.[index * toyWidth];
      values[index * toyWidth] = compute(row, input ?? Number.NaN);
    }
    if (stage < stages - 1) return { values };
    return {
      chosen: draws.map(({ row, sample, position }) => ({
        token: tokenOf(values[row * toyWidth] ?? Number.NaN, sample, position),
        logprob: -1,
        top: [],
      })),
    };
  };
  return { run, open: () => caches.size };
}

/** All tokens of one sample that are drawn, the one that stops it among them. */
export function toyAnswer(
  stages: number,
  prompt: readonly number[],
  sample: number,
  { maxTokens, stopTokens }: Pick<ServeSampling, 'maxTokens' | 'stopTokens'>,
): number[] {
  const sums = Array.from({ length: stages }, () => 0);
  const tokens: number[] = [];
  for (let position = 0; tokens.length < maxTokens; position++) {
    let value = prompt[position] ?? tokens[position - prompt.length] ?? Number.NaN;
    for (let stage = 0; stage < stages; stage++) {
      value = rowOf(stage, position, value, sums[stage] ?? 0);
      sums[stage] = ((sums[stage] ?? 0) + value) % modulus;
    }
    if (position < prompt.length - 1) continue;
    const token = tokenOf(value, sample, position + 1);
    tokens.push(token);
    if (stopTokens.includes(token)) break;
  }
  return tokens;
}
