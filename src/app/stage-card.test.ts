/** What the page says about the part of a model that its tab holds. */

import { expect, test } from 'vitest';
import type { StageView } from '../assembly/stage-desk.ts';
import { holdsText, worksText } from './stage-card.ts';

const stage: StageView = {
  firstLayer: 2,
  layers: 3,
  stage: 1,
  stages: 3,
  bytes: 1_200_000,
  isActive: true,
  rows: 834,
  batches: 800,
  gpuMs: 1918.2,
  tokens: 0,
  sent: 213_504,
  nextRoundTripMs: 0.94,
};

test('layers are counted from one, with their bytes and what is lent', () => {
  expect(holdsText(stage, 1_000_000_000)).toBe('Layers 3 to 5: 1.2 MB of weights of 1.0 GB lent');
  expect(holdsText({ ...stage, layers: 1 }, undefined)).toBe('Layer 3: 1.2 MB of weights');
  expect(holdsText({ ...stage, bytes: undefined }, 5)).toBe('Layers 3 to 5: fetching weights');
});

test('a working stage tells its speed and its way on, a spare that it stands by', () => {
  expect(worksText(stage)).toBe('834 rows so far, 2.3 ms each · 214 kB sent on · the next part is 0.9 ms away');
  expect(worksText({ ...stage, nextRoundTripMs: undefined, rows: 1, gpuMs: 2 })).toBe(
    '1 row so far, 2.0 ms each · 214 kB sent on · the next part is reached through the hub',
  );
  expect(worksText({ ...stage, stages: 1, stage: 0, tokens: 40 })).toBe('834 rows so far, 2.3 ms each · 40 tokens');
  expect(worksText({ ...stage, isActive: false })).toMatch(/^Standing by/);
  expect(worksText({ ...stage, bytes: undefined })).toBe('Answers begin when all parts are ready.');
});
