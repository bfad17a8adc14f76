/** What an evaluation comes down to: curves, fit and costs out of graded samples. `--json` prints it, `summary.json` holds it. */

import {
  coverageCurve,
  distinctShare,
  fitCoverage,
  meanAndError,
  type CoverageFit,
  type CoveragePoint,
} from '../inference/coverage.ts';
import { needsScores, selectionNames, type SelectionName } from '../inference/selection.ts';
import { selectionCurve, type AccuracyPoint } from '../inference/selection-curve.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import type { GradedText } from './grading.ts';
import type { DrawPlan } from './evaluate-run.ts';

/** Tokens that were worked on: those of prompts once for each unit, those drawn once for each sample. */
export interface Spent {
  promptTokens: number;
  tokens: number;
  credit: number;
}

export interface ProblemResult {
  readonly samples: readonly GradedText[];
  /** At each budget of thought. */
  readonly thoughts: readonly (readonly GradedText[])[];
  /** On `samples` alone. */
  readonly sampling: Readonly<Spent>;
  /** With the thoughts. */
  readonly spent: Readonly<Spent>;
}

export interface ThinkingPoint {
  /** Tokens of thought at most. */
  readonly budget: number;
  /** Thought, marker and answer of a sample, on average. */
  readonly tokens: number;
  readonly accuracy: number;
  readonly standardError: number;
}

export interface EvaluateSummary {
  readonly model: string;
  readonly problems: number;
  /** Of each problem. */
  readonly samples: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number;
  readonly coverage: readonly CoveragePoint[];
  /** coverage ~ exp(a k^b); null where it is 0 or 1 nearly everywhere. */
  readonly fit: CoverageFit | null;
  readonly selections: Partial<Record<SelectionName, readonly AccuracyPoint[]>>;
  readonly thinking: readonly ThinkingPoint[];
  /** The share of a problem's texts that are the first of their kind, on average. */
  readonly distinct: number;
  readonly cost: {
    readonly promptTokens: number;
    readonly tokens: number;
    readonly tokensPerSample: number;
    /** 2 N (prompt tokens + tokens), N the network's numbers; attention and sampling are not counted. */
    readonly flops: number;
    /** Of all samples of one problem, without thoughts. */
    readonly flopsPerProblem: number;
    /** What the volunteers earned. */
    readonly credit: number;
  };
  readonly seconds: number;
  readonly out: string;
}

export interface SummaryInput {
  readonly model: string;
  readonly config: ModelConfig;
  readonly plan: DrawPlan;
  readonly budgets: readonly number[];
  readonly results: readonly ProblemResult[];
  /** Whether a verifier scored the samples. */
  readonly hasScores: boolean;
  readonly seconds: number;
  readonly out: string;
}

export function summarise({
  model,
  config,
  plan,
  budgets,
  results,
  hasScores,
  seconds,
  out,
}: SummaryInput): EvaluateSummary {
  const coverage = coverageCurve(
    results.map(({ samples }) => ({ samples: samples.length, correct: rightOf(samples) })),
  );
  const names = selectionNames.filter((name) => hasScores || !needsScores(name));
  const all = sum(results.map(({ spent }) => spent));
  const sampling = sum(results.map(({ sampling: one }) => one));
  const flopsOf = (spent: Spent): number => 2 * llamaLayout(config).elements * (spent.promptTokens + spent.tokens);
  return {
    model,
    problems: results.length,
    samples: plan.samples,
    temperature: plan.temperature,
    topP: plan.topP,
    topK: plan.topK,
    seed: plan.seed,
    coverage,
    fit: fitCoverage(coverage) ?? null,
    selections: Object.fromEntries(
      names.map((name) => [
        name,
        selectionCurve(
          name,
          results.map(({ samples }) => samples),
        ),
      ]),
    ),
    thinking: budgets.map((budget, at) =>
      thinkingPoint(
        budget,
        results.map(({ thoughts }) => thoughts[at] ?? []),
      ),
    ),
    distinct: meanAndError(results.map(({ samples }) => distinctShare(samples.map(({ text }) => text)))).mean,
    cost: {
      promptTokens: all.promptTokens,
      tokens: all.tokens,
      tokensPerSample: sampling.tokens / (results.length * plan.samples),
      flops: flopsOf(all),
      flopsPerProblem: flopsOf(sampling) / results.length,
      credit: all.credit,
    },
    seconds,
    out,
  };
}

const rightOf = (samples: readonly GradedText[]): number => samples.filter(({ correct }) => correct).length;

function thinkingPoint(budget: number, problems: readonly (readonly GradedText[])[]): ThinkingPoint {
  const { mean, standardError } = meanAndError(problems.map((samples) => rightOf(samples) / samples.length));
  const lengths = problems.flatMap((samples) => samples.map(({ tokens }) => tokens));
  return { budget, tokens: meanAndError(lengths).mean, accuracy: mean, standardError };
}

const sum = (all: readonly Spent[]): Spent => ({
  promptTokens: all.reduce((total, one) => total + one.promptTokens, 0),
  tokens: all.reduce((total, one) => total + one.tokens, 0),
  credit: all.reduce((total, one) => total + one.credit, 0),
});
