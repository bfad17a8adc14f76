/** Which answer comes out of many: votes, scores, ties, and what a vote is worth where most are wrong. */

import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { extractAnswer, normaliseAnswer, select, selectionNames, type Candidate } from './selection.ts';

const candidate = (answer: string, logprob = -1, more: Partial<Candidate> = {}): Candidate => ({
  answer,
  logprob,
  tokens: 1,
  ...more,
});

describe('a selection', () => {
  test('a majority wins over what is likelier, and the likeliest of its samples stands for it', () => {
    const all = [candidate('7', -0.1), candidate('5', -3), candidate('5', -2), candidate('6', -0.5)];
    expect(select('majority', all)).toEqual({ index: 2, answer: '5', votes: 2 });
    expect(select('logprob', all)).toEqual({ index: 0, answer: '7', votes: 1 });
  });

  test('equal votes go to the larger sum of log-probabilities, and then in order of text', () => {
    const likelier = [candidate('b', -2), candidate('a', -3), candidate('b', -2), candidate('a', -0.5)];
    expect(select('majority', likelier)).toMatchObject({ answer: 'a', index: 3 });
    const equal = [candidate('b'), candidate('c'), candidate('a')];
    expect(select('majority', equal).answer).toBe('a');
    expect(select('logprob', equal).answer).toBe('a');
  });

  test('log-probability counts by token, so that a short text has no advantage for being short', () => {
    const all = [candidate('short', -3, { tokens: 2 }), candidate('long', -8, { tokens: 8 })];
    expect(select('logprob', all).answer).toBe('long');
    expect(select('logprob', [candidate('', 0, { tokens: 0 }), candidate('x', -99)]).answer).toBe('x');
  });

  test('samples without an answer are chosen only where no sample has one', () => {
    const all = [candidate('', -0.1), candidate('', -0.1), candidate('5', -9)];
    expect(select('majority', all)).toEqual({ index: 2, answer: '5', votes: 1 });
    expect(select('logprob', all).index).toBe(2);
    expect(select('majority', all.slice(0, 2)).answer).toBe('');
  });

  test('scores choose the best sample, or weigh votes', () => {
    const all = [
      candidate('a', -1, { score: 0.9 }),
      candidate('b', -1, { score: 0.5 }),
      candidate('b', -1, { score: 0.6 }),
    ];
    expect(select('verifier', all)).toEqual({ index: 0, answer: 'a', votes: 1 });
    expect(select('weighted', all)).toMatchObject({ answer: 'b', votes: 2 });
    expect(() => select('verifier', [candidate('a')])).toThrow('samples that have none');
    expect(() => select('majority', [])).toThrow('a vote among no samples');
  });

  test('does not depend on the order in which samples arrived (seed 3)', () => {
    const random = createRandom(3);
    for (let round = 0; round < 50; round++) {
      const all = Array.from({ length: 9 }, () =>
        candidate(String(random.below(4)), -random.below(3) - random.next() * 1e-3, { score: random.below(3) }),
      );
      const shuffled = all.map((one) => ({ one, at: random.next() })).toSorted((x, y) => x.at - y.at);
      for (const name of selectionNames) {
        const turned = select(
          name,
          shuffled.map(({ one }) => one),
        );
        expect(turned.answer).toBe(select(name, all).answer);
      }
    }
  });
});

describe('a vote between the right answer and one wrong one', () => {
  /** P(majority is right) = sum over i > n/2 of C(n, i) p^i (1-p)^(n-i), n odd. */
  const closedForm = (p: number, n: number): number => {
    let chance = 0;
    let choose = 1;
    for (let i = 0; i <= n; i++) {
      if (i > n / 2) chance += choose * p ** i * (1 - p) ** (n - i);
      choose = (choose * (n - i)) / (i + 1);
    }
    return chance;
  };

  test('follows the closed form, and gets worse with more samples where a sample is wrong more often than right (seed 5)', () => {
    const random = createRandom(5);
    const rounds = 4000;
    for (const p of [0.35, 0.65]) {
      for (const n of [1, 5, 25]) {
        let right = 0;
        for (let round = 0; round < rounds; round++) {
          const all = Array.from({ length: n }, () => candidate(random.next() < p ? 'right' : 'wrong'));
          if (select('majority', all).answer === 'right') right++;
        }
        const expected = closedForm(p, n);
        const error = Math.sqrt((expected * (1 - expected)) / rounds);
        expect(Math.abs(right / rounds - expected), `p ${p}, n ${n}`).toBeLessThan(4 * error);
      }
    }
    expect(closedForm(0.35, 25)).toBeLessThan(closedForm(0.35, 5));
    expect(closedForm(0.35, 5)).toBeLessThan(0.35);
    expect(closedForm(0.65, 25)).toBeGreaterThan(closedForm(0.65, 5));
  });
});

describe('an answer', () => {
  test('is the first line, or what a pattern finds last', () => {
    expect(extractAnswer('\n 42 \nmore')).toBe(' 42 ');
    expect(extractAnswer('\n\n')).toBeUndefined();
    expect(extractAnswer('5 + 6 = 11, so #### 11', /#### (\S+)/)).toBe('11');
    expect(extractAnswer('1 then 2', /\d/)).toBe('2');
    expect(extractAnswer('none', /\d/)).toBeUndefined();
  });

  test.each([
    [' The  Answer. ', 'the answer'],
    ['0975', '975'],
    ['1,234,567', '1234567'],
    ['1,23', '1,23'],
    ['3.50', '3.5'],
    ['3.0', '3'],
    ['42.', '42'],
    ['-0.0', '0'],
    ['-007', '-7'],
    ['+5', '5'],
    ['000', '0'],
    ['１２', '12'],
    ['.', '.'],
    ['1.2.3', '1.2.3'],
  ])('%j is the same as %j', (answer, normal) => {
    expect(normaliseAnswer(answer)).toBe(normal);
    expect(normaliseAnswer(normal)).toBe(normal);
  });
});
