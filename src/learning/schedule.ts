/** The learning rate of each optimiser step, a function of the global step alone, so that rounds and new holders of a seat do not restart it. */

import type { Optimizer } from '../protocol/manifest.ts';

/** A cosine schedule ends at this fraction of the learning rate. */
export const learningRateFloor = 0.1;

/** Step 0 is the first; `steps` is the whole run. Linear warm-up, then constant or a half cosine down to the floor. */
export function learningRateAt(optimizer: Optimizer, step: number, steps: number): number {
  const { learningRate, warmup, schedule } = optimizer;
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  if (schedule === 'constant') return learningRate;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return learningRate * (learningRateFloor + (1 - learningRateFloor) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
