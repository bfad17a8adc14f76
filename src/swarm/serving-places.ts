/** The places of a served model: which layers the stages of its pipelines have, and in which order places are filled. */

import type { ServePlan } from '../protocol/manifest.ts';
import type { StageLease } from '../protocol/serving-messages.ts';

export interface Place {
  /** The job's unit. */
  readonly unit: number;
  /** 0 computes first; the others of its stage are spares. */
  readonly spare: number;
  readonly stage: StageLease;
}

/** Every place, by unit. */
export function placesOfPlan(plan: ServePlan): Place[] {
  const { stages, spares, pipelines, model } = plan;
  const split = splitLayers(
    model.layers,
    Array.from({ length: stages }, () => 1),
  );
  const places: Place[] = [];
  for (let pipeline = 0; pipeline < pipelines; pipeline++) {
    for (const [stage, { firstLayer, layers }] of split.entries()) {
      for (let spare = 0; spare <= spares; spare++) {
        places.push({ unit: places.length, spare, stage: { pipeline, stage, stages, firstLayer, layers } });
      }
    }
  }
  return places;
}

/** First every stage of the first pipeline, then its spares, then the next pipeline. */
export const orderOfPlaces = (places: readonly Place[]): Place[] =>
  places.toSorted((a, b) => a.stage.pipeline - b.stage.pipeline || a.spare - b.spare || a.stage.stage - b.stage.stage);

/** Layers in order, each stage's share by its weight (its speed), one layer at least. */
export function splitLayers(
  layers: number,
  weights: readonly number[],
): { readonly firstLayer: number; readonly layers: number }[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const split: { firstLayer: number; layers: number }[] = [];
  let first = 0;
  let weightBefore = 0;
  for (const [stage, weight] of weights.entries()) {
    weightBefore += weight;
    const left = weights.length - stage - 1;
    const end = left === 0 ? layers : Math.round((layers * weightBefore) / total);
    const after = Math.min(layers - left, Math.max(first + 1, end));
    split.push({ firstLayer: first, layers: after - first });
    first = after;
  }
  return split;
}
