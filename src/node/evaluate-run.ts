/**
 * A set of problems and many samples of each: draws them on a swarm, a few problems at a time, grades them, and sums up what
 * repeated sampling reaches, what selections find of it, what thinking longer gives instead, and what all that costs.
 */

import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Swarm } from '../assembly/swarm.ts';
import { InputError } from '../core/result.ts';
import { seedOfProblem } from '../inference/sampling.ts';
import { plotCoverage } from './coverage-plot.ts';
import { drawSamples } from './draw-samples.ts';
import { summarise, type EvaluateSummary, type ProblemResult, type Spent } from './evaluate-summary.ts';
import { encodePrompt } from './generate-run.ts';
import { grade, type GradedText, type Grader } from './grading.ts';
import type { ModelSource } from './model-source.ts';
import type { Problem } from './problem-file.ts';
import { drawThoughtful, type Draw, type ThinkingPlan } from './thinking.ts';

/** How samples are drawn; the same for every problem. */
export interface DrawPlan {
  readonly samples: number;
  readonly samplesPerUnit: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number;
  readonly replicas: number;
}

export interface EvaluateRunOptions {
  readonly swarm: Swarm;
  readonly source: ModelSource;
  readonly modelName: string;
  readonly problems: readonly Problem[];
  readonly plan: DrawPlan;
  readonly thinking: ThinkingPlan | undefined;
  readonly stop: readonly string[];
  readonly grader: Grader;
  readonly out: string;
  readonly onProblem?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Problems under way at once: a tab keeps four programs open, and the next job's units wait while one's last are drawn. */
const problemsAtOnce = 3;

export async function runEvaluation(options: EvaluateRunOptions): Promise<EvaluateSummary> {
  const { problems, out, plan, source } = options;
  const started = performance.now();
  const file = await openOutput(out);
  const results: ProblemResult[] = [];
  let done = 0;
  await eachAtOnce(problemsAtOnce, problems, async (problem, index) => {
    const result = await solve(options, problem, index);
    results[index] = result;
    await appendFile(file, linesOf(result, index, options.thinking?.budgets ?? []));
    options.onProblem?.(++done, problems.length);
  });
  const summary = summarise({
    model: options.modelName,
    config: source.model,
    plan,
    budgets: options.thinking?.budgets ?? [],
    results,
    hasScores: options.grader.scorer !== undefined,
    seconds: (performance.now() - started) / 1000,
    out,
  });
  await writeFile(join(out, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  await writeFile(join(out, 'coverage.svg'), plotCoverage(summary));
  return summary;
}

async function solve(options: EvaluateRunOptions, problem: Problem, index: number): Promise<ProblemResult> {
  const { swarm, source, plan, grader, thinking } = options;
  const { tokenizer } = source;
  const { promptTokens, stopTokens } = encodePrompt({ source, prompt: problem.prompt, stop: options.stop });
  const spent: Spent = { promptTokens: 0, tokens: 0, credit: 0 };
  const draw: Draw = async (job) => {
    const { samples: count, maxTokens, seed } = job;
    const { temperature, topP, topK, samplesPerUnit, replicas } = plan;
    const chosen = { samples: count, samplesPerUnit, maxTokens, temperature, topP, topK, seed };
    const { samples, receipts, units } = await drawSamples({
      swarm,
      source,
      promptTokens: job.promptTokens,
      stopTokens: job.stopTokens,
      options: { ...chosen, verify: { replicas } },
      signal: options.signal,
    });
    // A unit's samples share the work on the prompt.
    spent.promptTokens += units * job.promptTokens.length;
    spent.tokens += samples.reduce((sum, { tokens }) => sum + tokens.length, 0);
    spent.credit += receipts.length;
    return samples;
  };
  const toTexts = (samples: readonly { tokens: readonly number[]; logprob: number; finish: string }[]) =>
    samples.map(({ tokens, logprob, finish }) => ({
      text: tokenizer.decode(tokens, { previous: promptTokens.at(-1) }),
      ids: tokens,
      logprob,
      finish,
    }));
  const { samples: count, maxTokens, seed } = plan;
  const drawn = await draw({ promptTokens, stopTokens, samples: count, maxTokens, seed: seedOfProblem(seed, index) });
  const samples = await grade(swarm, grader, problem, promptTokens, toTexts(drawn));
  const sampling = { ...spent };
  const thoughts: GradedText[][] = [];
  for (const at of (thinking?.budgets ?? []).keys()) {
    if (thinking === undefined) break;
    const common = { plan: thinking, at, draw, seed, problem: index, promptTokens, stopTokens, maxTokens };
    thoughts.push(await grade(swarm, grader, problem, promptTokens, toTexts(await drawThoughtful(common))));
  }
  return { samples, thoughts, sampling, spent };
}

/** A line of `samples.jsonl` for each sample; `budget` is that of its thought, or null where nobody bounded it. */
function linesOf({ samples, thoughts }: ProblemResult, problem: number, budgets: readonly number[]): string {
  const line = (budget: number | null) => (sample: GradedText, index: number) => {
    const { text, answer, correct, score, logprob, tokens, finish } = sample;
    return `${JSON.stringify({ problem, sample: index, budget, text, answer, correct, score, logprob, tokens, finish })}\n`;
  };
  return [...samples.map(line(null)), ...thoughts.flatMap((of, at) => of.map(line(budgets[at] ?? null)))].join('');
}

/** Acts on all items, `count` of them at once; the first failure ends it once those under way are done. */
async function eachAtOnce<T>(
  count: number,
  items: readonly T[],
  act: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const entries = items.entries();
  let failed: { readonly error: unknown } | undefined;
  const work = async (): Promise<void> => {
    for (const [index, item] of entries) {
      if (failed !== undefined) return;
      await act(item, index).catch((error: unknown) => void (failed ??= { error }));
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, work));
  if (failed !== undefined) throw failed.error;
}

/** Makes the folder and an empty `samples.jsonl`, whose path it gives. */
async function openOutput(out: string): Promise<string> {
  const file = join(out, 'samples.jsonl');
  try {
    await mkdir(out, { recursive: true });
    await writeFile(file, '');
  } catch (error) {
    throw new InputError(`--out ${out}: cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  }
  return file;
}
