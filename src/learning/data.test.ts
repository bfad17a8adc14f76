/** Which tokens and which learning rate a worker gets at a step, and the bigram floor. */

import { describe, expect, test } from 'vitest';
import { utf8 } from '../core/bytes.ts';
import { sha256Text } from '../core/hash.ts';
import type { Optimizer, TrainPlan } from '../protocol/manifest.ts';
import {
  checkTrainPlan,
  shardOf,
  trainingWindows,
  validationStart,
  validationTokensMin,
  validationWindows,
} from './batches.ts';
import { bigramLoss } from './bigram.ts';
import { learningRateAt } from './schedule.ts';

const optimizer: Optimizer = {
  name: 'adamw',
  learningRate: 2e-3,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.1,
  clip: 1,
  warmup: 10,
  schedule: 'cosine',
};

const planOf = (bytes: number, workers: number, context = 16): TrainPlan => ({
  model: {
    architecture: 'llama',
    layers: 1,
    width: 8,
    hidden: 8,
    heads: 2,
    keyValueHeads: 2,
    vocabulary: 256,
    context,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  },
  data: { bytes, chunks: [sha256Text('data')] },
  validation: 0.1,
  method: { name: 'diloco', workers, innerSteps: 10, compress: 'none', outerLearningRate: 0.7, outerMomentum: 0.9 },
  optimizer,
  batch: 8,
  steps: 100,
  seed: 4,
});

describe('shards and windows', () => {
  test.each([
    [2179, 3],
    [100_003, 7],
    [170, 1],
    [50_000, 256],
  ])(
    '%i tokens for %i workers: shards are disjoint, cover the rest, and no window leaves its shard',
    (bytes, workers) => {
      const plan = planOf(bytes, workers);
      let end = 0;
      for (let seat = 0; seat < workers; seat++) {
        const shard = shardOf(plan, seat);
        expect(shard.start).toBe(end);
        end = shard.end;
        for (const step of [0, 1, 99]) {
          for (const window of trainingWindows(plan, seat, step)) {
            expect(window).toBeGreaterThanOrEqual(shard.start);
            expect(window + plan.model.context + 1).toBeLessThanOrEqual(shard.end);
          }
        }
      }
      expect(end).toBe(validationStart(plan));
    },
  );

  test('validation windows are the same each time, lie in the tail, do not overlap, and are bounded', () => {
    for (const bytes of [330, 2179, 1_000_000]) {
      const plan = planOf(bytes, 1);
      const windows = validationWindows(plan);
      expect(windows).toEqual(validationWindows(plan));
      expect(windows.length * plan.model.context).toBeLessThanOrEqual(validationTokensMin);
      expect(windows[0]).toBe(validationStart(plan));
      for (const [index, window] of windows.entries()) {
        expect(window + plan.model.context + 1).toBeLessThanOrEqual(bytes);
        const next = windows[index + 1];
        if (next !== undefined) expect(next - window).toBeGreaterThanOrEqual(plan.model.context);
      }
    }
  });

  test('steps, seats and seeds draw differently, and the same draw is the same', () => {
    const plan = planOf(100_000, 4);
    expect(trainingWindows(plan, 1, 7)).toEqual(trainingWindows(plan, 1, 7));
    expect(trainingWindows(plan, 1, 7)).not.toEqual(trainingWindows(plan, 1, 8));
    expect(trainingWindows(plan, 1, 7)).not.toEqual(trainingWindows({ ...plan, seed: 5 }, 1, 7));
    expect(new Set(trainingWindows(plan, 2, 0)).size).toBe(8);
  });

  test('too little text is refused with the mend', () => {
    const told = (plan: TrainPlan) => {
      const checked = checkTrainPlan(plan);
      return checked.ok ? 'accepted' : checked.error.text;
    };
    expect(told(planOf(1000, 4))).toBe('accepted');
    expect(told(planOf(200, 20))).toBe('train: 20 workers have 9 tokens each, a sequence needs 17; give more text');
    expect(told(planOf(150, 1))).toBe('train: 15 tokens for validation, a sequence needs 17; raise data.validation');
    const wide = planOf(1000, 1);
    expect(told({ ...wide, model: { ...wide.model, vocabulary: 300 } })).toMatch(/use 256$/);
  });
});

describe('the learning rate', () => {
  test('warms up in a line, falls along a cosine to a tenth, and knows nothing of rounds', () => {
    const rates = Array.from({ length: 101 }, (_, step) => learningRateAt(optimizer, step, 100));
    expect(rates[0]).toBeCloseTo(2e-4, 12);
    expect(rates[9]).toBeCloseTo(2e-3, 12);
    expect(rates[10]).toBeCloseTo(2e-3, 12);
    expect(rates[55]).toBeCloseTo(1.1e-3, 12);
    expect(rates[100]).toBeCloseTo(2e-4, 12);
    for (let step = 11; step <= 100; step++) expect(rates[step]).toBeLessThan(rates[step - 1] ?? 0);
    const constant: Optimizer = { ...optimizer, schedule: 'constant', warmup: 0 };
    expect(learningRateAt(constant, 99, 100)).toBe(2e-3);
  });
});

describe('the bigram floor', () => {
  test('counts by hand: after "abab", the tail "ab" costs -ln(3/4)', () => {
    // Pairs before the tail: ab, ba, ab. p(b | a) = (2 + 1) / (2 + 2) with a vocabulary of two.
    const tokens = Uint8Array.of(0, 1, 0, 1, 0, 1);
    expect(bigramLoss(tokens, 4, 2)).toBeCloseTo(-Math.log(3 / 4), 12);
  });

  test('text without order costs about ln(vocabulary); a cycle costs nearly nothing', () => {
    const cycle = utf8('abcdefgh'.repeat(2000));
    expect(bigramLoss(cycle, 14_000, 256)).toBeLessThan(0.2);
    expect(bigramLoss(cycle, 1, 256)).toBeCloseTo(Math.log(256), 9);
  });
});
