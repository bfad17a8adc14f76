/** Layers go to volunteers by their memory and speed; each stage has one at least, and all layers are there in order. */

import { describe, expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import type { ServePlan } from '../protocol/manifest.ts';
import { needsOf, splitLayers, stageBytes, type Capacity, type StageNeeds } from './serving-places.ts';

const needs: StageNeeds = { layers: 12, layerBytes: 100, firstBytes: 0, lastBytes: 0 };
const anybody: Capacity = { bytes: undefined, bytesPerSecond: undefined };
const layersOf = (split: ReturnType<typeof splitLayers>) => split?.map(({ layers }) => layers);

describe('layers of stages', () => {
  test('are equal where nothing is known', () => {
    expect(layersOf(splitLayers(needs, [anybody, anybody, anybody]))).toEqual([4, 4, 4]);
    expect(splitLayers(needs, [anybody])).toEqual([{ firstLayer: 0, layers: 12 }]);
    expect(
      splitLayers(
        { ...needs, layers: 5 },
        Array.from({ length: 5 }, () => anybody),
      )?.at(-1),
    ).toEqual({
      firstLayer: 4,
      layers: 1,
    });
  });

  test('follow measured speed, and an unknown one counts as average', () => {
    const speeds = [1, 3, undefined].map((speed) => ({ bytes: undefined, bytesPerSecond: speed }));
    expect(layersOf(splitLayers(needs, speeds))).toEqual([2, 6, 4]);
  });

  test('stay within memory, though somebody slower gets more then', () => {
    const fast = { bytes: 250, bytesPerSecond: 100 };
    const slow = { bytes: 2000, bytesPerSecond: 1 };
    expect(layersOf(splitLayers(needs, [fast, slow]))).toEqual([2, 10]);
  });

  test('count embedding and classifier, which the ends have beside their layers', () => {
    const heavy = { ...needs, firstBytes: 200, lastBytes: 400 };
    expect(layersOf(splitLayers(heavy, [anybody, anybody, anybody]))).toEqual([4, 6, 2]);
  });

  test('are none where memory does not hold the model, or there are more volunteers than layers', () => {
    expect(
      splitLayers(needs, [
        { bytes: 500, bytesPerSecond: 1 },
        { bytes: 600, bytesPerSecond: 1 },
      ]),
    ).toBeUndefined();
    expect(splitLayers({ ...needs, lastBytes: 950 }, [anybody, { bytes: 1000, bytesPerSecond: 1 }])).toBeUndefined();
    expect(splitLayers({ ...needs, layers: 1 }, [anybody, anybody])).toBeUndefined();
  });

  test('cover the model without gaps and are as even as single layers allow, whatever the volunteers (seed 4)', () => {
    const random = createRandom(4);
    for (let round = 0; round < 200; round++) {
      const layers = 1 + random.below(40);
      const own = { layers, layerBytes: 100, firstBytes: random.below(500), lastBytes: random.below(500) };
      const stages = 1 + random.below(Math.min(6, layers));
      const capacities = Array.from({ length: stages }, () => ({
        bytes: undefined,
        bytesPerSecond: 1 + random.below(9),
      }));
      const split = splitLayers(own, capacities) ?? [];
      let next = 0;
      for (const run of split) {
        expect(run.firstLayer).toBe(next);
        expect(run.layers).toBeGreaterThan(0);
        next += run.layers;
      }
      expect(next).toBe(layers);
      const seconds = (stage: number, more: number): number =>
        stageBytes(own, stage, stages, (split[stage]?.layers ?? 0) + more) / (capacities[stage]?.bytesPerSecond ?? 1);
      // No layer could move from the slowest stage to another and make that one no slower than it was.
      const slowest = Math.max(...split.map((_, stage) => seconds(stage, 0)));
      const worst = split.findIndex((_, stage) => seconds(stage, 0) === slowest);
      if ((split[worst]?.layers ?? 0) === 1) continue;
      for (const stage of split.keys())
        if (stage !== worst) expect(seconds(stage, 1)).toBeGreaterThanOrEqual(slowest - 1e-9);
    }
  });
});

test('weights that are quantised on their way take what they will take', () => {
  const model = {
    architecture: 'llama' as const,
    layers: 2,
    width: 64,
    hidden: 128,
    heads: 4,
    keyValueHeads: 2,
    vocabulary: 100,
    context: 16,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  };
  const { elements } = llamaLayout(model);
  const plan: ServePlan = {
    name: 'm',
    model,
    weights: { bytes: 4 * elements, chunks: [] },
    format: 'safetensors',
    tokenizer: { bytes: 0, chunks: [] },
    stages: 1,
    spares: 0,
    pipelines: 1,
    context: 16,
    sequences: 1,
    activations: 'f32',
  };
  const { lastBytes } = needsOf(plan);
  expect(needsOf({ ...plan, quantise: 'q8_0' }).lastBytes / lastBytes).toBeCloseTo(34 / 128, 6);
  expect(needsOf({ ...plan, quantise: 'q4_0' }).layerBytes).toBeLessThan(needsOf(plan).layerBytes);
  // What is smaller stays as it is.
  const small = { ...plan, weights: { bytes: (18 * elements) / 32, chunks: [] } };
  expect(needsOf({ ...small, quantise: 'q8_0' })).toEqual(needsOf(small));
});
