/**
 * Continuous batching against a stage on paper: it keeps a page table of its own, checks every order, and chooses tokens that
 * depend on seed, sample and position alone, as the GPU does.
 */

import { describe, expect, test } from 'vitest';
import { createRandom, philox, type Random } from '../core/prng.ts';
import { createPageTable } from '../models/page-table.ts';
import type { ChosenTokens } from '../models/stage.ts';
import {
  createBatching,
  type BatchEvent,
  type BatchingOptions,
  type BatchRequest,
  type BatchStep,
} from './batching.ts';

const options: BatchingOptions = {
  pages: 24,
  pageTokens: 4,
  sequencesMax: 10,
  positionsMax: 48,
  rowsMax: 16,
  rowsBesideTokens: 8,
  tokensRowsMax: 4,
  stepsMax: 8,
};
const stopToken = 0;

const requestOf = (id: number, changes: Partial<BatchRequest> = {}): BatchRequest => ({
  id,
  promptTokens: [1, 2, 3, 4, 5],
  firstSample: 0,
  samples: 1,
  maxTokens: 6,
  stopTokens: [],
  temperature: 1,
  topK: 0,
  topP: 1,
  seed: id,
  ...changes,
});

const tokenAt = (seed: number, sample: number, position: number): number =>
  philox([position, sample, 0, 0], [seed, 0])[0] % 13;

const chosenAt = (seed: number, sample: number, position: number): ChosenTokens => ({
  token: tokenAt(seed, sample, position),
  logprob: -1,
  top: [],
});

/** What a sample must get: its tokens, and why it ends. */
function expectedOf({ promptTokens, seed, maxTokens, stopTokens }: BatchRequest, sample: number) {
  const tokens: number[] = [];
  while (tokens.length < maxTokens) {
    const token = tokenAt(seed, sample, promptTokens.length + tokens.length);
    if (stopTokens.includes(token)) return { tokens, reason: 'stop' };
    tokens.push(token);
  }
  return { tokens, reason: 'length' };
}

/** A stage without a network. Throws where an order is one that a stage would refuse. */
function paperStage(of: BatchingOptions = options) {
  const table = createPageTable({ pages: of.pages, pageTokens: of.pageTokens, slots: of.sequencesMax });
  const computed = new Map<number, number>();
  const place = (sequence: number, position: number, steps: number): void => {
    const known = computed.get(sequence);
    const { pages, sharedTokens } = table.find(sequence) ?? { pages: [], sharedTokens: 0 };
    if (known === undefined || position > known) throw new Error(`row ${position} of ${sequence} comes too early`);
    if (position < sharedTokens) throw new Error(`row ${position} of ${sequence} lies in shared pages`);
    if (position + steps > pages.length * of.pageTokens) throw new Error(`row ${position} of ${sequence} has no page`);
    computed.set(sequence, Math.max(known, position + steps));
  };
  return {
    table,
    run: ({ closes, opens, work }: BatchStep): ChosenTokens[][] => {
      for (const sequence of closes) {
        table.close(sequence);
        computed.delete(sequence);
      }
      for (const { sequence, tokensMax, prefix } of opens) {
        if (prefix !== undefined && (computed.get(prefix.of) ?? 0) < prefix.tokens) throw new Error('an early prefix');
        if (table.open(sequence, tokensMax, prefix) === undefined) throw new Error('no page is free');
        computed.set(sequence, prefix?.tokens ?? 0);
      }
      if (work === undefined) return [];
      if (work.kind === 'prefill') {
        if (work.rows.length === 0 || work.rows.length > of.rowsMax) throw new Error(`${work.rows.length} rows`);
        for (const [sequence, position] of work.rows) place(sequence, position, 1);
        return work.draws.map(({ seed, sample, position }) => [chosenAt(seed, sample, position)]);
      }
      if (work.rows.length === 0 || work.rows.length > of.tokensRowsMax) throw new Error(`${work.rows.length} rows`);
      return work.rows.map(({ sequence, position, token, draw: { seed, sample } }) => {
        place(sequence, position, work.steps);
        if (token !== tokenAt(seed, sample, position)) throw new Error('a wrong token was fed');
        return Array.from({ length: work.steps }, (_, step) => chosenAt(seed, sample, position + 1 + step));
      });
    },
  };
}

/** What every sample has got, by `request/sample`. */
function collect() {
  const tokens = new Map<string, number[]>();
  const reasons = new Map<string, string>();
  return {
    tokens,
    reasons,
    take: (events: readonly BatchEvent[]): void => {
      for (const event of events) {
        const key = `${event.request}/${event.sample}`;
        if (reasons.has(key)) throw new Error(`${key} goes on after its end`);
        if (event.type === 'finished') reasons.set(key, event.reason);
        else tokens.set(key, [...(tokens.get(key) ?? []), event.token]);
      }
    },
  };
}

function runAll(requests: readonly BatchRequest[], of: BatchingOptions = options) {
  const batching = createBatching(of);
  const stage = paperStage(of);
  const collected = collect();
  const steps: BatchStep[] = [];
  for (const request of requests) expect(batching.add(request)).toBeUndefined();
  for (let step = batching.next(); step !== undefined; step = batching.next()) {
    steps.push(step);
    collected.take(batching.done(step, stage.run(step)));
  }
  return { ...collected, steps, batching, stage };
}

const drawRequest = (random: Random, id: number): BatchRequest =>
  requestOf(id, {
    // Few different beginnings, so that prompts share pages.
    promptTokens: Array.from({ length: 1 + random.below(20) }, (_, index) => (index < 9 ? index : random.below(3))),
    samples: 1 + random.below(random.next() < 0.5 ? 1 : 7),
    firstSample: random.below(100),
    maxTokens: 1 + random.below(20),
    stopTokens: random.next() < 0.5 ? [stopToken] : [],
  });

describe('continuous batching', () => {
  test('gives a request its tokens, from the first slice to the freed pages', () => {
    const { tokens, reasons, steps, stage } = runAll([requestOf(1)]);
    expect(tokens.get('1/0')).toEqual(expectedOf(requestOf(1), 0).tokens);
    expect(reasons.get('1/0')).toBe('length');
    expect(steps.map(({ work }) => work?.kind)).toEqual(['prefill', 'decode', undefined]);
    expect(stage.table.pagesFree).toBe(options.pages);
  });

  test('cuts prompts into slices that take turns with tokens, and deals a slice to all who wait', () => {
    const long = (id: number) => requestOf(id, { promptTokens: tokensFrom(id, 30), maxTokens: 12 });
    const { steps } = runAll([requestOf(1, { maxTokens: 30 }), long(2), long(3)], { ...options, pages: 40 });
    const kinds = steps.flatMap(({ work }) => (work === undefined ? [] : [work.kind]));
    const last = kinds.lastIndexOf('prefill');
    for (let index = 1; index <= last; index++) expect([index, kinds[index]]).not.toEqual([index, kinds[index - 1]]);
    const slice = steps[2]?.work;
    expect(slice?.kind === 'prefill' && new Set(slice.rows.map(([sequence]) => sequence)).size).toBe(2);
    expect(slice?.kind === 'prefill' && slice.rows.length).toBe(options.rowsBesideTokens);
  });

  test('keeps what prompts have in common once', () => {
    const batching = createBatching(options);
    const stage = paperStage();
    batching.add(requestOf(1, { promptTokens: tokensFrom(7, 13), maxTokens: 3 }));
    const first = batching.next();
    if (first !== undefined) batching.done(first, stage.run(first));
    batching.add(requestOf(2, { promptTokens: [...tokensFrom(7, 13), 9, 9] }));
    batching.add(requestOf(3, { promptTokens: [8, ...tokensFrom(7, 13)] }));
    const prefixes = batching.next()?.opens.map(({ prefix }) => prefix?.tokens ?? 0);
    expect(prefixes).toEqual([12, 0]);
  });

  test('a thousand samples of one prompt pass through a few pages, and the prompt is computed once', () => {
    const request = requestOf(1, { samples: 1000, promptTokens: tokensFrom(3, 20), maxTokens: 4 });
    const { tokens, steps } = runAll([request]);
    for (let sample = 0; sample < 1000; sample++) {
      expect(tokens.get(`1/${sample}`)).toEqual(expectedOf(request, sample).tokens);
    }
    const prompts = steps.flatMap(({ work }) => (work?.kind === 'prefill' ? work.rows : []));
    expect(prompts.length).toBe(20);
  });

  test('requests that each need nearly all pages never wait for one another in a circle', () => {
    const wide = (id: number) => requestOf(id, { promptTokens: tokensFrom(id, 20), samples: 5, maxTokens: 28 });
    const { reasons } = runAll([wide(1), wide(2), wide(3)]);
    expect(reasons.size).toBe(15);
  });

  test('a cancelled request frees its pages at once, in the middle of a step too, and says no more', () => {
    const batching = createBatching(options);
    const stage = paperStage();
    const collected = collect();
    batching.add(requestOf(1, { samples: 3, maxTokens: 20 }));
    for (let index = 0; index < 2; index++) {
      const step = batching.next();
      if (step !== undefined) collected.take(batching.done(step, stage.run(step)));
    }
    const step = batching.next();
    expect(step?.work?.kind).toBe('decode');
    batching.cancel(1, 1);
    batching.cancel(1);
    expect(batching.pages.pagesFree).toBe(options.pages);
    const chosen = step === undefined ? [] : stage.run(step);
    expect(step && batching.done(step, chosen)).toEqual([]);
    const last = batching.next();
    expect([last?.closes.length, last?.work]).toEqual([3, undefined]);
    expect(batching.next()).toBeUndefined();
  });

  test('what can never run is refused in one line, and a logit that is no number ends a sample', () => {
    const batching = createBatching(options);
    const refused = [
      batching.add(requestOf(1, { promptTokens: [] })),
      batching.add(requestOf(1, { promptTokens: tokensFrom(1, 40), maxTokens: 10 })),
      createBatching({ ...options, pages: 2 }).add(requestOf(1, { maxTokens: 20 })),
    ];
    for (const text of refused) expect(text).toMatch(/^request 1: [^\n]+$/);
    expect(batching.add(requestOf(1))).toBeUndefined();
    expect(batching.add(requestOf(1))).toMatch(/with this number already/);
    const step = batching.next();
    const broken = { token: 3, logprob: NaN, top: [] };
    expect(step && batching.done(step, [[broken]])).toEqual([
      { type: 'finished', request: 1, sample: 0, reason: 'broken' },
    ]);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'whatever comes and goes, samples get their tokens and no page is lost, seed %i',
    (seed) => {
      const random = createRandom(seed);
      const batching = createBatching(options);
      const stage = paperStage();
      const collected = collect();
      const requests = new Map<number, BatchRequest>();
      const cancelled = new Set<string>();
      let quietSteps = 0;
      for (let event = 0; event < 400 || batching.running + batching.waiting > 0; event++) {
        if (event < 400 && random.next() < 0.3) {
          const request = drawRequest(random, event);
          if (batching.add(request) === undefined) requests.set(event, request);
        }
        const step = batching.next();
        const victim = [...requests.values()][random.below(Math.max(1, requests.size))];
        if (victim !== undefined && random.next() < 0.05) {
          const sample = victim.firstSample + random.below(victim.samples);
          const all = random.next() < 0.5;
          batching.cancel(victim.id, all ? undefined : sample);
          for (let own = 0; own < victim.samples; own++) {
            if (all || victim.firstSample + own === sample) cancelled.add(`${victim.id}/${victim.firstSample + own}`);
          }
        }
        if (step === undefined) {
          expect(batching.running + batching.waiting).toBe(0);
          continue;
        }
        const events = batching.done(step, stage.run(step));
        quietSteps = events.length > 0 ? 0 : quietSteps + 1;
        expect(quietSteps).toBeLessThan(60);
        collected.take(events);
        expect(batching.pages.owners().filter((owners) => owners === 0).length).toBe(batching.pages.pagesFree);
      }
      const last = batching.next();
      if (last !== undefined) stage.run(last);
      expect([stage.table.pagesFree, stage.table.slotsFree]).toEqual([options.pages, options.sequencesMax]);
      expect(requests.size).toBeGreaterThan(50);
      for (const request of requests.values()) {
        for (let own = 0; own < request.samples; own++) {
          const key = `${request.id}/${request.firstSample + own}`;
          const expected = expectedOf(request, request.firstSample + own);
          const got = collected.tokens.get(key) ?? [];
          if (!cancelled.has(key)) {
            expect([key, got, collected.reasons.get(key)]).toEqual([key, expected.tokens, expected.reason]);
          } else {
            expect(got).toEqual(expected.tokens.slice(0, got.length));
          }
        }
      }
    },
  );
});

function tokensFrom(seed: number, length: number): number[] {
  const random = createRandom(seed, 1);
  return Array.from({ length }, () => 1 + random.below(50));
}
