/** Runs what `batching.ts` says on a stage that holds a whole model. */

import type { ChosenTokens, Stage } from '../models/stage.ts';
import type { BatchEvent, Batching, BatchStep } from './batching.ts';

/** One step on the device; what it chose is for `done`. */
export async function runBatchStep(stage: Stage, { closes, opens, work }: BatchStep): Promise<ChosenTokens[][]> {
  for (const sequence of closes) stage.close(sequence);
  for (const { sequence, tokensMax, prefix } of opens) stage.open(sequence, tokensMax, prefix);
  if (work === undefined) return [];
  if (work.kind === 'decode') return stage.decode(work.rows, work.steps);
  const { rows, tokens, draws } = work;
  const logits = [...new Set(draws.map(({ row }) => row))];
  await stage.forward({ kind: 'prefill', rows, tokens, logits });
  if (draws.length === 0) return [];
  return (await stage.sample(draws)).map((chosen) => [chosen]);
}

/** The next step, or undefined while there is nothing to do. */
export async function nextBatchStep(stage: Stage, batching: Batching): Promise<readonly BatchEvent[] | undefined> {
  const step = batching.next();
  if (step === undefined) return undefined;
  return batching.done(step, await runBatchStep(stage, step));
}
