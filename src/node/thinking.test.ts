/** Bounded thinking: who thinks how long, what is put in, and which jobs that takes, with a model that is a table. */

import { describe, expect, test } from 'vitest';
import type { GeneratedSample } from '../inference/generation-result.ts';
import { byteTokenizer } from '../models/tokenizer.ts';
import { drawThoughtful, thinkingPlan, type Draw, type ThinkingPlan } from './thinking.ts';

const ids = (text: string): number[] => [...Buffer.from(text)];
const textOf = (tokens: readonly number[]): string => Buffer.from(tokens).toString();

/** A model that says the same wherever it stands: `says` of the text so far, cut at a stop token and at the most tokens. */
function modelThat(says: (text: string, sample: number) => string) {
  const jobs: { prompt: string; samples: number; maxTokens: number; seed: number }[] = [];
  const draw: Draw = async ({ promptTokens, stopTokens, samples, maxTokens, seed }) => {
    const prompt = textOf(promptTokens);
    jobs.push({ prompt, samples, maxTokens, seed });
    return Array.from({ length: samples }, (_, sample): GeneratedSample => {
      const said = ids(says(prompt, sample));
      const stop = said.findIndex((token) => stopTokens.includes(token));
      const tokens = said.slice(0, Math.min(maxTokens, stop < 0 ? said.length : stop));
      return { sample, tokens, logprob: -tokens.length, finish: stop >= 0 && stop <= maxTokens ? 'stop' : 'length' };
    });
  };
  return { draw, jobs };
}

async function think(plan: Partial<ThinkingPlan>, model: ReturnType<typeof modelThat>, at = 0) {
  const samples = await drawThoughtful({
    plan: { budgets: [3], end: ids('=')[0] ?? 0, more: [], samples: 2, ...plan },
    at,
    draw: model.draw,
    seed: 1,
    problem: 4,
    promptTokens: ids('q:'),
    stopTokens: ids('\n'),
    maxTokens: 8,
  });
  return samples.map(({ tokens, logprob }) => [textOf(tokens), logprob]);
}

const answering = (prompt: string, thought: string): string => (prompt.endsWith('=') ? '42\n' : thought);

describe('a thought', () => {
  test('that would go on is cut at its budget, and the answer follows', async () => {
    const model = modelThat((prompt) => answering(prompt, 'abcdef=1\n'));
    // What was put in has no probability of its own.
    expect(await think({}, model)).toEqual([
      ['abc=42', -5],
      ['abc=42', -5],
    ]);
    expect(model.jobs.map(({ prompt, samples, maxTokens }) => [prompt, samples, maxTokens])).toEqual([
      ['q:', 2, 3],
      ['q:abc=', 2, 8],
    ]);
    expect(new Set(model.jobs.map(({ seed }) => seed)).size).toBe(2);
  });

  test('that ends by itself is left as it is', async () => {
    expect(
      await think(
        { samples: 1 },
        modelThat((prompt) => answering(prompt, 'a=1')),
      ),
    ).toEqual([['a=42', -3]]);
  });

  test('without a budget is none', async () => {
    const model = modelThat((prompt) => answering(prompt, 'abc'));
    expect(await think({ budgets: [0], samples: 1 }, model)).toEqual([['=42', -2]]);
    expect(model.jobs).toHaveLength(1);
  });

  test('that ends early goes on where something was given to go on with, until its budget is spent', async () => {
    const model = modelThat((prompt) => answering(prompt, 'ab='));
    expect(await think({ budgets: [7], more: ids('!'), samples: 1 }, model)).toEqual([['ab!ab!a=42', -7]]);
  });

  test('is shared by samples that thought the same; others have jobs of their own', async () => {
    const model = modelThat((prompt, sample) => answering(prompt, sample === 1 ? 'x=' : 'yy='));
    const samples = await think({ samples: 3 }, model);
    expect(samples.map(([text]) => text).toSorted()).toEqual(['x=42', 'yy=42', 'yy=42']);
    expect(model.jobs.slice(1).map(({ prompt, samples: count }) => [prompt, count])).toEqual([
      ['q:yy=', 2],
      ['q:x=', 1],
    ]);
  });

  test('has other draws at another budget', async () => {
    const model = modelThat((prompt) => answering(prompt, 'abcdef'));
    await think({ budgets: [1, 2] }, model, 0);
    await think({ budgets: [1, 2] }, model, 1);
    expect(new Set(model.jobs.map(({ seed }) => seed)).size).toBe(4);
  });
});

describe('what people write about thinking', () => {
  const flags = { budgets: [0, 4], end: '=', more: undefined, samples: 2 };

  test('becomes tokens', () => {
    expect(thinkingPlan(byteTokenizer, flags)).toEqual({ budgets: [0, 4], samples: 2, end: 61, more: [] });
    expect(thinkingPlan(byteTokenizer, { ...flags, more: 'Wait' }).more).toEqual(ids('Wait'));
  });

  test('needs an end that is one token', () => {
    expect(() => thinkingPlan(byteTokenizer, { ...flags, end: undefined })).toThrow('--think: needs --think-end TEXT');
    expect(() => thinkingPlan(byteTokenizer, { ...flags, end: '</think>' })).toThrow(
      '--think-end "</think>": is 8 tokens of this model, give text that is one',
    );
  });
});
