/**
 * Samples with what selection and coverage ask of them: the answer in the text, whether it is right, and the verifier's
 * score. Right is what equals the problem's answer; a problem without one is right where the verifier says `true`.
 */

import type { Swarm } from '../assembly/swarm.ts';
import { InputError } from '../core/result.ts';
import { extractAnswer, normaliseAnswer } from '../inference/selection.ts';
import type { GradedSample } from '../inference/selection-curve.ts';
import type { Problem } from './problem-file.ts';
import type { Scorer } from './scorer.ts';
import type { Score } from './verifier.ts';

/** One sample as it is written to `samples.jsonl`. */
export interface TextSample {
  readonly text: string;
  readonly ids: readonly number[];
  readonly logprob: number;
  readonly finish: string;
}

export type GradedText = GradedSample & TextSample;

export interface Grader {
  readonly scorer: Scorer | undefined;
  /** Cuts the answer out of a text. */
  readonly pattern: RegExp | undefined;
}

/** Whether anything can say what is right; told before anybody draws a sample. */
export function checkGrader(problems: readonly Problem[], { scorer }: Grader, path: string): void {
  const without = problems.findIndex(({ answer }) => answer === undefined);
  if (without >= 0 && scorer === undefined)
    throw new InputError(`${path}: problem ${without + 1} has no answer; add one, or give --verifier FILE`);
}

export async function grade(
  swarm: Swarm,
  { scorer, pattern }: Grader,
  problem: Problem,
  promptTokens: readonly number[],
  samples: readonly TextSample[],
): Promise<GradedText[]> {
  const scores = await scorer?.scores(
    swarm,
    problem,
    promptTokens,
    samples.map(({ text, ids }) => ({ text, tokens: ids })),
  );
  const expected = problem.answer === undefined ? undefined : normaliseAnswer(String(problem.answer));
  return samples.map((sample, index) => {
    const score = scores?.[index];
    const answer = normaliseAnswer(extractAnswer(sample.text, pattern) ?? '');
    return {
      ...sample,
      answer,
      tokens: sample.ids.length,
      correct: expected === undefined ? saidRight(score) : answer === expected,
      ...(score === undefined ? {} : { score: Number(score) }),
    };
  });
}

function saidRight(score: Score | undefined): boolean {
  if (typeof score === 'boolean') return score;
  throw new InputError(
    `--verifier: gave ${String(score)}; where problems have no answer it must say true or false, a score only ranks`,
  );
}
