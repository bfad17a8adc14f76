/**
 * `tabswarm evaluate` around the swarm: problems as people write them, bad input told in one line before a hub is asked,
 * what grading says, and what the summary and the plot make of graded samples.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Swarm } from '../assembly/swarm.ts';
import { initialParameters } from '../models/llama-parameters.ts';
import { encodeLlama } from '../models/weights/encode-llama.ts';
import { encodeConfig } from '../models/weights/llama-config.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { chooseSample } from './choose-sample.ts';
import { plotCoverage } from './coverage-plot.ts';
import { summarise, type ProblemResult } from './evaluate-summary.ts';
import { grade, type GradedText } from './grading.ts';
import { readProblems } from './problem-file.ts';
import { runProgram } from './program.ts';
import { openScorer, sampleWords } from './scorer.ts';

const folder = await mkdtemp(join(tmpdir(), 'tabswarm-evaluate-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const config: ModelConfig = {
  architecture: 'llama',
  layers: 1,
  width: 8,
  hidden: 24,
  heads: 2,
  keyValueHeads: 2,
  vocabulary: 256,
  context: 16,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};

beforeAll(async () => {
  await writeFile(join(folder, 'config.json'), encodeConfig(config));
  await writeFile(join(folder, 'model.safetensors'), encodeLlama(config, initialParameters(config, 1)));
});

let files = 0;
async function write(text: string, ending = 'jsonl'): Promise<string> {
  const path = join(folder, `file-${files++}.${ending}`);
  await writeFile(path, text);
  return path;
}

/** Nobody answers at this address, so whoever got as far as the hub says so. */
const nobody = 'http://127.0.0.1:1';

async function run(...words: readonly string[]) {
  const progress: string[] = [];
  const code = await runProgram([...words, '--hub', nobody, '--data', join(folder, 'account')], {
    result: () => undefined,
    progress: (line) => void progress.push(line),
  });
  return { code, progress };
}

const evaluate = (problems: string, ...words: readonly string[]) =>
  run('evaluate', problems, '--model', folder, '--out', join(folder, 'out'), ...words);

describe('a set of problems', () => {
  it('is an object a line; what else stands there is kept', async () => {
    const path = await write('{"prompt":"a","answer":"b","level":3}\n\n{"prompt":"c","answer":4}\n{"prompt":"d"}\n');
    expect(await readProblems(path)).toEqual([
      { prompt: 'a', answer: 'b', level: 3 },
      { prompt: 'c', answer: 4 },
      { prompt: 'd' },
    ]);
  });

  it.each([
    ['', /: no problems; give a line of/],
    ['{"prompt":"a"}\n{"prompt":', /: line 2: not JSON/],
    ['{"prompt":""}', /: line 1: prompt: empty, give some text/],
    ['{"answer":"a"}', /: line 1: prompt: /],
    ['{"prompt":"a","answer":[1]}', /: line 1: answer: expected a text or a number/],
  ])('of %j is refused with its line', async (text, line) => {
    await expect(readProblems(await write(text))).rejects.toThrow(line);
  });
});

describe('bad input of evaluate is one line before anybody is asked', () => {
  const right = '{"prompt":"1+1=","answer":"2"}\n';

  it.each<[string, string, string[], RegExp]>([
    [
      'a prompt as long as the context',
      `${right}{"prompt":"${'x'.repeat(16)}","answer":1}`,
      [],
      /: problem 2: prompt: 16 tokens, .* holds 16/,
    ],
    [
      'a problem that nobody can judge',
      `${right}{"prompt":"a"}`,
      [],
      /: problem 2 has no answer; add one, or give --verifier FILE/,
    ],
    [
      'a verifier of no kind',
      right,
      ['--verifier', 'check.py'],
      /--verifier check\.py: expected a \.js or \.mjs module/,
    ],
    ['a verifier that is not there', right, ['--verifier', 'none.mjs'], /--verifier none\.mjs: no such file/],
    ['a pattern that is none', right, ['--answer-pattern', '('], /answer-pattern.*Unterminated group/],
    ['budgets that are none', right, ['--think', '1,,2'], /--think.*expected whole numbers of tokens with commas/],
    ['thinking without its end', right, ['--think', '4'], /--think: needs --think-end TEXT/],
    ['an end of several tokens', right, ['--think', '4', '--think-end', 'ab'], /--think-end "ab": is 2 tokens/],
  ])('%s', async (_what, problems, words, line) => {
    const { code, progress } = await evaluate(await write(problems), ...words);
    expect(progress).toEqual([expect.stringMatching(line)]);
    expect(code).toBe(2);
  });

  it('what is right gets as far as the hub, which is not there', async () => {
    const { code, progress } = await evaluate(await write(right), '--think', '0,4', '--think-end', '=');
    expect([code, progress]).toEqual([2, [expect.stringContaining('no hub answers')]]);
  });

  it.each<[string[], RegExp]>([
    [['--select', 'best'], /--select.*Allowed choices are majority, logprob, verifier, weighted/],
    [['--select', 'verifier'], /--select verifier: needs --verifier FILE/],
    [['--select', 'majority', '--verifier', 'check.mjs'], /--verifier: give --select verifier or --select weighted/],
  ])('generate %j', async (words, line) => {
    const { code, progress } = await run('generate', '--model', folder, '--prompt', 'a', ...words);
    expect(progress).toEqual([expect.stringMatching(line)]);
    expect(code).toBe(2);
  });
});

describe('a verifier as a shader job', () => {
  const job = {
    version: 1,
    name: 'v',
    program: 'shader',
    shader: 'v.wgsl',
    buffers: [
      { binding: 0, kind: 'each', name: 'sample' },
      { binding: 1, kind: 'output', type: 'f32', count: 1 },
    ],
    grid: [1, 1, 1],
  };

  it('gets each sample as both lengths, the prompt’s tokens, and those that were drawn', () => {
    expect([...sampleWords([7, 8], [9])]).toEqual([2, 1, 7, 8, 9]);
  });

  it.each<[string, string, RegExp]>([
    ['is no JSON', '{', /: not JSON/],
    ['has units of its own', JSON.stringify({ ...job, units: { count: 2 } }), /: units: unknown field, remove it/],
    ['takes nothing in', JSON.stringify({ ...job, buffers: job.buffers.slice(1) }), /: 0 of kind each/],
    ['names a shader that is not there', JSON.stringify(job), /v\.wgsl: no such file/],
  ])('that %s is refused before anything starts', async (_what, text, line) => {
    await expect(openScorer(await write(text, 'json'))).rejects.toThrow(line);
  });
});

/** What grading needs of a swarm: nothing, where a module scores. */
const noSwarm = {} as Swarm;
const drawn = (text: string) => ({ text, ids: [...Buffer.from(text)], logprob: -1, finish: 'stop' });

describe('grading', () => {
  it('holds answers against the problem’s, and keeps a verifier’s scores beside', async () => {
    const scorer = await openScorer(await write('export default (problem, text) => text.length', 'mjs'));
    const graded = await grade(
      noSwarm,
      { scorer, pattern: /=(\S+)/ },
      { prompt: 'p', answer: 7 },
      [1],
      ['x=007', 'y=8', 'none'].map(drawn),
    );
    await scorer.close();
    expect(graded.map(({ answer, correct, score, tokens }) => [answer, correct, score, tokens])).toEqual([
      ['7', true, 5, 5],
      ['8', false, 3, 3],
      ['', false, 4, 4],
    ]);
  });

  it('without an answer is the verifier’s word, which must then be true or false', async () => {
    const scorer = await openScorer(await write('export default (problem, text) => text === "a" || 0.5', 'mjs'));
    const texts = (...all: string[]) =>
      grade(noSwarm, { scorer, pattern: undefined }, { prompt: 'p' }, [1], all.map(drawn));
    expect((await texts('a')).map(({ correct, score }) => [correct, score])).toEqual([[true, 1]]);
    await expect(texts('b')).rejects.toThrow(
      '--verifier: gave 0.5; where problems have no answer it must say true or false',
    );
    await scorer.close();
  });
});

describe('one of the samples of a prompt', () => {
  const summary = {
    model: 'm',
    prompt: 'p',
    promptTokens: [1],
    seconds: 1,
    tokensPerSecond: 1,
    receipts: [],
    samples: ['= 7', 'so = 07', 'x = 8', 'none'].map((text, index) => ({
      ...drawn(text),
      tokens: [...Buffer.from(text)],
      logprob: index === 2 ? -0.1 : -5,
    })),
  };
  const pattern = /= (\S+)/;

  it('is that with the answer of most, told with its votes', async () => {
    const chosen = await chooseSample(noSwarm, summary, { by: 'majority', scorer: undefined, pattern });
    expect(chosen).toEqual({ by: 'majority', sample: 1, text: 'so = 07', answer: '7', votes: 2, score: null });
    expect(await chooseSample(noSwarm, summary, { by: 'logprob', scorer: undefined, pattern })).toMatchObject({
      sample: 2,
    });
  });

  it('is that which a verifier likes best; it is told the prompt', async () => {
    const scorer = await openScorer(
      await write('export default (problem, text) => text === "= 7" && problem.prompt === "p"', 'mjs'),
    );
    const chosen = await chooseSample(noSwarm, summary, { by: 'verifier', scorer, pattern });
    await scorer.close();
    expect(chosen).toMatchObject({ sample: 0, answer: '7', votes: 2, score: 1 });
  });
});

describe('the summary', () => {
  const sample = (correct: boolean, tokens = 4): GradedText => ({
    ...drawn(correct ? 'yes' : 'no'),
    answer: correct ? 'yes' : 'no',
    correct,
    tokens,
  });
  const result = (correct: number, samples: number): ProblemResult => ({
    samples: Array.from({ length: samples }, (_, index) => sample(index < correct)),
    thoughts: [[sample(correct > 2, 6)], [sample(true, 10)]],
    sampling: { promptTokens: 20, tokens: samples * 4, credit: 2 },
    spent: { promptTokens: 40, tokens: samples * 4 + 16, credit: 4 },
  });
  const plan = {
    samples: 8,
    samplesPerUnit: 4,
    maxTokens: 9,
    temperature: 0.6,
    topP: 1,
    topK: 0,
    seed: 3,
    replicas: 1,
  };
  const summary = summarise({
    model: 'a < b',
    config,
    plan,
    budgets: [0, 4],
    results: [result(1, 8), result(4, 8), result(0, 8)],
    hasScores: false,
    seconds: 1,
    out: 'out',
  });

  it('has the curves, what thinking gives, and what all of it cost', () => {
    expect(summary.coverage.map(({ k }) => k)).toEqual([1, 2, 4, 8]);
    expect(summary.coverage[0]?.coverage).toBeCloseTo(5 / 24, 12);
    expect(summary.coverage.at(-1)?.coverage).toBeCloseTo(2 / 3, 12);
    expect(Object.keys(summary.selections)).toEqual(['majority', 'logprob']);
    expect(summary.thinking.map(({ budget, tokens, accuracy }) => [budget, tokens, accuracy])).toEqual([
      [0, 6, 1 / 3],
      [4, 10, 1],
    ]);
    expect(summary.distinct).toBeCloseTo((2 / 8 + 2 / 8 + 1 / 8) / 3, 12);
    const { cost } = summary;
    const numbers = 8 * 256 + 8 + 4 * 64 + 3 * 8 * 24 + 16;
    expect(cost).toMatchObject({ promptTokens: 120, tokens: 144, tokensPerSample: 4, credit: 12 });
    expect(cost.flops).toBe(2 * numbers * 264);
    expect(cost.flopsPerProblem).toBe(2 * numbers * (20 + 32));
  });

  it('is drawn with all its curves, and a name with marks of its own', () => {
    const svg = plotCoverage(summary);
    expect(svg.startsWith('<svg ')).toBe(true);
    for (const text of [
      'a &lt; b',
      '3 problems',
      'any sample (coverage)',
      'majority vote',
      'likeliest sample',
      'one sample that thinks',
      'samples of 4 tokens',
    ])
      expect(svg).toContain(text);
    expect(svg).not.toContain('NaN');
  });

  it('without thoughts, errors or a fit is drawn without them', () => {
    const alone = summarise({
      model: 'm',
      config,
      plan,
      budgets: [],
      results: [result(0, 8)],
      hasScores: false,
      seconds: 1,
      out: 'o',
    });
    expect([alone.fit, alone.thinking]).toEqual([null, []]);
    const svg = plotCoverage(alone);
    expect(svg).not.toContain('thinks');
    expect(svg).not.toContain('NaN');
  });
});
