/** What a generate unit returns, what is refused of it, and the CPU's choice of tokens. */

import { describe, expect, test } from 'vitest';
import { fromUtf8, utf8 } from '../core/bytes.ts';
import { sha256Text } from '../core/hash.ts';
import { expectInput } from '../core/result.ts';
import type { GeneratePlan } from '../protocol/manifest.ts';
import {
  decodeGeneration,
  encodeGeneration,
  newTokensMax,
  samplesOfUnit,
  type GeneratedSample,
} from './generation-result.ts';
import { sampleToken } from './sampling.ts';

const plan: GeneratePlan = {
  model: {
    architecture: 'llama',
    layers: 1,
    width: 8,
    hidden: 8,
    heads: 2,
    keyValueHeads: 2,
    vocabulary: 16,
    context: 8,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  },
  weights: { bytes: 4, chunks: [sha256Text('weights')] },
  promptTokens: [1, 2, 3],
  samplesPerUnit: 2,
  samples: 5,
  maxTokens: 3,
  temperature: 1,
  topP: 1,
  topK: 0,
  seed: 9,
  stopTokens: [0],
};
const full: GeneratedSample = { sample: 2, tokens: [4, 5, 6], logprob: -3.5, finish: 'length' };
const short: GeneratedSample = { sample: 3, tokens: [4], logprob: -1.25, finish: 'stop' };

describe('a generation', () => {
  test('comes back as it was sent, and equal samples are equal bytes', () => {
    const bytes = encodeGeneration([full, short]);
    expect(expectInput(decodeGeneration(plan, 1, bytes))).toEqual([full, short]);
    const { tokens, finish, sample, logprob } = full;
    expect(encodeGeneration([{ finish, logprob, tokens, sample }, short])).toEqual(bytes);
  });

  test('samples of other units, too many tokens, early ends and foreign tokens are refused in one line', () => {
    const refused = (samples: readonly object[], unit = 1) => {
      const read = decodeGeneration(plan, unit, utf8(JSON.stringify({ samples })));
      return read.ok ? 'accepted' : read.error.text;
    };
    const cases: string[] = [
      refused([full, short], 0),
      refused([full]),
      refused([{ ...full, tokens: [4, 5, 6, 7] }, short]),
      refused([full, { ...short, finish: 'length' }]),
      refused([{ ...full, tokens: [4, 5, 16] }, short]),
      refused([{ ...full, tokens: [4, 0, 5] }, short]),
      refused([{ ...full, logprob: null }, short]),
      refused([{ ...full, more: 1 }, short]),
    ];
    for (const text of cases) expect(text).toMatch(/^samples of unit [01]: [^\n]+$/);
    expect(refused([full, short])).toBe('accepted');
    expect(decodeGeneration(plan, 1, Uint8Array.of(255, 254)).ok).toBe(false);
  });

  test('the last unit draws what is left, and a long prompt leaves less room', () => {
    expect([0, 1, 2].map((unit) => samplesOfUnit(plan, unit))).toEqual([
      { first: 0, count: 2 },
      { first: 2, count: 2 },
      { first: 4, count: 1 },
    ]);
    expect(newTokensMax(plan)).toBe(3);
    expect(newTokensMax({ ...plan, promptTokens: [1, 2, 3, 4, 5, 6] })).toBe(2);
    expect(fromUtf8(encodeGeneration([]))).toBe('{"samples":[]}');
  });
});

describe('the choice of a token', () => {
  const logits = [1, 3, 3, -2];
  const numbers = { temperature: 1, topK: 0, topP: 1, seed: 77 };

  test('temperature 0 takes the lowest of the largest, with its probability before cuts', () => {
    const { token, logProbability } = sampleToken(logits, { ...numbers, temperature: 0 }, 5, 9);
    expect(token).toBe(1);
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
    expect(logProbability).toBeCloseTo(3 - Math.log(total), 12);
  });

  test('draws depend on sample, position and seed, and come as often as they are likely (seed 77)', () => {
    const counts = [0, 0, 0, 0];
    for (let sample = 0; sample < 4000; sample++) {
      const { token } = sampleToken(logits, numbers, sample, 3);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
    for (const [token, count] of counts.entries()) {
      const chance = Math.exp(logits[token] ?? 0) / total;
      expect(Math.abs(count - 4000 * chance)).toBeLessThan(4 * Math.sqrt(4000 * chance * (1 - chance)));
    }
    const sequence = (seed: number, position: number) =>
      Array.from(
        { length: 20 },
        (_, sample) => sampleToken(logits, { ...numbers, seed }, sample, position).token,
      ).join();
    expect(sequence(77, 3)).toBe(sequence(77, 3));
    expect(sequence(77, 3)).not.toBe(sequence(78, 3));
    expect(sequence(77, 3)).not.toBe(sequence(77, 4));
  });

  test('cuts leave only what they keep', () => {
    const chosen = (cut: object) =>
      new Set(Array.from({ length: 300 }, (_, sample) => sampleToken(logits, { ...numbers, ...cut }, sample, 1).token));
    expect([...chosen({ topK: 1 })]).toEqual([1]);
    expect([...chosen({ topK: 2 })].toSorted()).toEqual([1, 2]);
    expect([...chosen({ topP: 0.5 })].toSorted()).toEqual([1, 2]);
    expect(chosen({}).size).toBeGreaterThan(2);
  });
});
