/** One of the samples that were generated: by vote, by log-probability, or by what a verifier says of them. */

import type { Swarm } from '../assembly/swarm.ts';
import { InputError } from '../core/result.ts';
import { extractAnswer, needsScores, normaliseAnswer, select, type SelectionName } from '../inference/selection.ts';
import type { GenerateSummary } from './generate-run.ts';
import type { Scorer } from './scorer.ts';

export interface Choice {
  readonly by: SelectionName;
  readonly scorer: Scorer | undefined;
  /** Cuts the answer out of a text. */
  readonly pattern: RegExp | undefined;
}

export interface ChosenSample {
  readonly by: SelectionName;
  /** Its number. */
  readonly sample: number;
  readonly text: string;
  /** Normalised. */
  readonly answer: string;
  /** Samples with this answer. */
  readonly votes: number;
  /** Null without a verifier. */
  readonly score: number | null;
}

/** What was asked for, if it makes sense together; told before anything starts. */
export function checkChoice(by: SelectionName | undefined, verifier: string | undefined): void {
  if (by !== undefined && needsScores(by) && verifier === undefined)
    throw new InputError(`--select ${by}: needs --verifier FILE`);
  if (verifier !== undefined && (by === undefined || !needsScores(by)))
    throw new InputError('--verifier: give --select verifier or --select weighted with it, or leave it out');
}

export async function chooseSample(
  swarm: Swarm,
  { prompt, promptTokens, samples }: GenerateSummary,
  { by, scorer, pattern }: Choice,
): Promise<ChosenSample> {
  const scores = await scorer?.scores(swarm, { prompt }, promptTokens, samples);
  const candidates = samples.map(({ text, tokens, logprob }, index) => ({
    answer: normaliseAnswer(extractAnswer(text, pattern) ?? ''),
    logprob,
    tokens: tokens.length,
    ...(scores === undefined ? {} : { score: Number(scores[index]) }),
  }));
  const { index, answer, votes } = select(by, candidates);
  const score = scores === undefined ? null : Number(scores[index]);
  return { by, sample: index, text: samples[index]?.text ?? '', answer, votes, score };
}
