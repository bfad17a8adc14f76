/**
 * The places of a served model, and which layers a stage gets: as many as its volunteer's memory holds, and so that all stages
 * take about as long, since a token goes through them one after another and requests fill them all.
 */

import { headWidth, keyValueWidth, llamaLayout } from '../models/llama-parameters.ts';
import { pageTokensDefault } from '../models/stage.ts';
import type { ServePlan } from '../protocol/manifest.ts';
import type { Member } from './pool.ts';

export interface Place {
  /** The job's unit. */
  readonly unit: number;
  readonly pipeline: number;
  readonly stage: number;
  /** 0 computes first; the others of its stage are spares. */
  readonly spare: number;
}

/** Every place, by unit. */
export function placesOfPlan({ stages, spares, pipelines }: ServePlan): Place[] {
  const places: Place[] = [];
  for (let pipeline = 0; pipeline < pipelines; pipeline++) {
    for (let stage = 0; stage < stages; stage++) {
      for (let spare = 0; spare <= spares; spare++) places.push({ unit: places.length, pipeline, stage, spare });
    }
  }
  return places;
}

/** First every stage of the first pipeline, then its spares, then the next pipeline. */
export const orderOfPlaces = (places: readonly Place[]): Place[] =>
  places.toSorted((a, b) => a.pipeline - b.pipeline || a.spare - b.spare || a.stage - b.stage);

/** Device memory that a model's parts take, estimated from its file: what a device finds too large it refuses exactly. */
export interface StageNeeds {
  readonly layers: number;
  /** Of a layer, its cache for all sequences included. */
  readonly layerBytes: number;
  /** What the first stage has beside its layers, and the last. */
  readonly firstBytes: number;
  readonly lastBytes: number;
}

/** Bytes of a weight that is made this. */
const quantisedBytes = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const;

export function needsOf({ model, weights, context, sequences, quantise }: ServePlan): StageNeeds {
  const { elements, embedding, head } = llamaLayout(model);
  const stored = weights.bytes / elements;
  const each = quantise === undefined ? stored : Math.min(stored, quantisedBytes[quantise]);
  const classifier = (head ?? embedding).elements;
  const layer = (elements - embedding.elements - (head?.elements ?? 0)) / model.layers;
  const positions = sequences * (Math.ceil(context / pageTokensDefault) + 1) * pageTokensDefault;
  return {
    layers: model.layers,
    layerBytes: layer * each + 4 * positions * 2 * keyValueWidth(model),
    firstBytes: embedding.elements * each + 4 * context * headWidth(model),
    lastBytes: classifier * each,
  };
}

/** What a volunteer lends and how fast it moves bytes; what it does not tell is taken for enough, and for average. */
export interface Capacity {
  readonly bytes: number | undefined;
  readonly bytesPerSecond: number | undefined;
}

export const capacityOf = ({ device }: Pick<Member, 'device'>): Capacity => ({
  bytes: device?.memoryBytesMax,
  bytesPerSecond: device?.copyBytesPerSecond,
});

export interface LayerRun {
  readonly firstLayer: number;
  readonly layers: number;
}

/** Bytes of a stage with so many layers. */
export function stageBytes(needs: StageNeeds, stage: number, stages: number, layers: number): number {
  const ends = (stage === 0 ? needs.firstBytes : 0) + (stage === stages - 1 ? needs.lastBytes : 0);
  return layers * needs.layerBytes + ends;
}

/**
 * Layers for these volunteers in this order, one at least for each; undefined where their memory does not hold the model. Each
 * layer goes where it delays the slowest stage least (a stage's time is its bytes over its speed), while there is room.
 */
export function splitLayers(needs: StageNeeds, capacities: readonly Capacity[]): LayerRun[] | undefined {
  const stages = capacities.length;
  const known = capacities.flatMap(({ bytesPerSecond }) => bytesPerSecond ?? []);
  const average = known.length === 0 ? 1 : known.reduce((sum, speed) => sum + speed, 0) / known.length;
  const layers = capacities.map(() => 1);
  const bytesWith = (stage: number, more: number): number =>
    stageBytes(needs, stage, stages, (layers[stage] ?? 0) + more);
  const secondsWith = (stage: number, more: number): number =>
    bytesWith(stage, more) / (capacities[stage]?.bytesPerSecond ?? average);
  const fits = (stage: number, more: number): boolean =>
    bytesWith(stage, more) <= (capacities[stage]?.bytes ?? Infinity);
  if (needs.layers < stages || capacities.some((_, stage) => !fits(stage, 0))) return undefined;
  for (let left = needs.layers - stages; left > 0; left--) {
    const open = layers.map((_, stage) => stage).filter((stage) => fits(stage, 1));
    const [best] = open.toSorted((a, b) => secondsWith(a, 1) - secondsWith(b, 1) || a - b);
    if (best === undefined) return undefined;
    layers[best] = (layers[best] ?? 0) + 1;
  }
  let firstLayer = 0;
  return layers.map((count) => {
    const run = { firstLayer, layers: count };
    firstLayer += count;
    return run;
  });
}
