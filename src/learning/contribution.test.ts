/** Contributions on the wire, what is refused of them, and what the hub makes of them. */

import { describe, expect, test } from 'vitest';
import { sha256Text } from '../core/hash.ts';
import { expectInput } from '../core/result.ts';
import { initialParameters, llamaLayout } from '../models/llama-parameters.ts';
import { encodeFrame } from '../protocol/frame.ts';
import type { Method, TrainPlan } from '../protocol/manifest.ts';
import type { Seat } from '../protocol/messages.ts';
import { aggregate, denseBytes } from './aggregate.ts';
import {
  checkReport,
  decodeContribution,
  encodeContribution,
  type Contribution,
  type ContributionReport,
} from './contribution.ts';

const planOf = (method: Partial<Method> = {}): TrainPlan => ({
  model: {
    architecture: 'llama',
    layers: 1,
    width: 8,
    hidden: 8,
    heads: 2,
    keyValueHeads: 2,
    vocabulary: 16,
    context: 4,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  },
  data: { bytes: 1000, chunks: [sha256Text('data')] },
  validation: 0.1,
  method: {
    name: 'diloco',
    workers: 3,
    innerSteps: 5,
    compress: 'none',
    outerLearningRate: 0.7,
    outerMomentum: 0.9,
    ...method,
  },
  optimizer: {
    name: 'adamw',
    learningRate: 1e-3,
    betas: [0.9, 0.95],
    epsilon: 1e-8,
    weightDecay: 0.1,
    clip: 1,
    warmup: 0,
    schedule: 'constant',
  },
  batch: 2,
  steps: 20,
  seed: 4,
});
const plan = planOf();
const { elements } = llamaLayout(plan.model);
const started = sha256Text('parameters');

const reportOf = (changes: Partial<ContributionReport> = {}): ContributionReport => ({
  round: 2,
  seat: 1,
  steps: 5,
  tokens: 40,
  trainLoss: 2.5,
  validationLoss: null,
  parametersSha256: started,
  norm: 1,
  ...changes,
});
const of = (seat: number, value: number): Contribution => ({
  report: reportOf({ seat }),
  vector: new Float32Array(elements).fill(value),
});

describe('a contribution', () => {
  test('comes back as it was sent, compressed or not, with or without steps', () => {
    const vector = initialParameters(plan.model, 3);
    const plain = { report: reportOf(), vector };
    expect(expectInput(decodeContribution(plan, encodeContribution(plan, plain)))).toEqual(plain);
    const small = planOf({ compress: 'uint8' });
    const bytes = encodeContribution(small, plain);
    expect(bytes.byteLength).toBeLessThan(elements + 1024 + 600);
    const decoded = expectInput(decodeContribution(small, bytes)).vector ?? new Float32Array();
    expect(Math.max(...decoded.map((x, index) => Math.abs(x - (vector[index] ?? 0))))).toBeLessThan(0.2);
    const look = { report: reportOf({ steps: 0, tokens: 0, trainLoss: null, validationLoss: 5.5 }), vector: undefined };
    expect(expectInput(decodeContribution(plan, encodeContribution(plan, look)))).toEqual(look);
    const solo = planOf({ name: 'solo', compress: 'uint8' });
    expect(expectInput(decodeContribution(solo, encodeContribution(solo, plain)))).toEqual(plain);
  });

  test('a missing vector, a wrong length, a NaN, a foreign field or a loss that is none is refused in one line', () => {
    const told = (bytes: Uint8Array) => {
      const read = decodeContribution(plan, bytes);
      return read.ok ? 'accepted' : read.error.text;
    };
    const poisoned = new Float32Array(elements).fill(1);
    poisoned[3] = NaN;
    const cases = [
      encodeFrame(reportOf()),
      encodeFrame(reportOf(), [new Uint8Array(4 * elements - 4)]),
      encodeFrame(reportOf({ steps: 0 }), [new Uint8Array(4 * elements)]),
      encodeContribution(plan, { report: reportOf(), vector: poisoned }),
      encodeFrame({ ...reportOf(), extra: 1 }, [new Uint8Array(4 * elements)]),
      encodeFrame({ ...reportOf(), trainLoss: 'low' }, [new Uint8Array(4 * elements)]),
      encodeContribution(plan, of(1, 1)).subarray(0, 100),
    ];
    for (const bytes of cases) expect(told(bytes)).toMatch(/^(contribution|frame): [^\n]+$/);
    expect(told(encodeContribution(plan, of(1, 1)))).toBe('accepted');
  });

  test('a report that does not answer its lease is refused', () => {
    const seat: Seat = {
      round: 2,
      seat: 1,
      parameters: { bytes: 4 * elements, chunks: [started] },
      steps: 5,
      firstStep: 10,
      evaluate: false,
      fresh: false,
    };
    expect(checkReport(reportOf(), plan, seat, started).ok).toBe(true);
    const wrong: Partial<ContributionReport>[] = [
      { round: 1 },
      { seat: 0 },
      { steps: 4 },
      { tokens: 41 },
      { trainLoss: null },
      { validationLoss: 3 },
      { parametersSha256: sha256Text('other') },
    ];
    for (const changes of wrong) expect(checkReport(reportOf(changes), plan, seat, started).ok).toBe(false);
    expect(checkReport(reportOf(), plan, { ...seat, evaluate: true }, started).ok).toBe(false);
  });
});

describe('the aggregate', () => {
  const parameters = initialParameters(plan.model, 1);
  const nothing = new Uint8Array();

  test('is the same bits in whatever order the contributions came, and carries its momentum on', () => {
    const three = [of(0, 0.1), of(1, 0.2), of(2, 0.7)];
    const first = aggregate(plan, parameters, nothing, three);
    expect(aggregate(plan, parameters, nothing, three.toReversed())).toEqual(first);
    const withMomentum = aggregate(plan, first.parameters, first.outerState, three);
    const without = aggregate(plan, first.parameters, nothing, three);
    expect(withMomentum.parameters).not.toEqual(without.parameters);
  });

  test('divides by those who contributed; looks without steps count for nothing; a round of nobody changes nothing', () => {
    const look: Contribution = {
      report: reportOf({ steps: 0, tokens: 0, trainLoss: null, seat: 2 }),
      vector: undefined,
    };
    expect(aggregate(plan, parameters, nothing, [of(0, 0.5), look])).toEqual(
      aggregate(plan, parameters, nothing, [of(0, 0.5), of(1, 0.5)]),
    );
    const kept = aggregate(plan, parameters, Uint8Array.of(1, 2, 3, 4), [look]);
    expect(kept.parameters).toEqual(parameters);
    expect(Array.from(kept.outerState)).toEqual([1, 2, 3, 4]);
  });

  test('solo parameters go on as they are', () => {
    const solo = planOf({ name: 'solo' });
    expect(aggregate(solo, parameters, nothing, [of(0, 0.25)]).parameters).toEqual(of(0, 0.25).vector);
  });

  test('dense bytes are four a parameter, worker and step', () => {
    expect(denseBytes(plan)).toBe(4 * elements * 3 * 20);
  });
});
