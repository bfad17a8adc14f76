/** The page of `model.spec.ts`: opens the browser's device and runs the checks that the test asks for. */

import { openDevice } from '../../src/adapters/gpu/device.ts';
import { fromBase64, toBase64 } from '../../src/core/bytes.ts';
import { present } from '../../src/core/assert.ts';
import type { GeneratePlan, TrainPlan } from '../../src/protocol/manifest.ts';
import type { Seat } from '../../src/protocol/messages.ts';
import { countGpu } from './gpu-counters.ts';
import { countDecoding, countTraining, sequencesThatDependOnTheBatch } from './model-counters.ts';
import { sharingThatShows, slicesThatDiffer, stagesThatDiffer, stepsThatDiffer } from './stage-checks.ts';
import { checkGradient, checkSteps, runGenerate, runSeat } from './model-checks.ts';

// Kept, so that a refusal reaches the test that asks and not the page's console.
const counts = countGpu(navigator.gpu);
const opened = openDevice(navigator.gpu);
opened.catch(() => undefined);

const bytesOf = (base64: string): Uint8Array => present(fromBase64(base64), 'base64 from the test');

const modelUnderTest = {
  gradient: async () => checkGradient((await opened).device),
  steps: async () => checkSteps((await opened).device),
  /** Bytes in and out are base64, as they cross from the test's process. */
  seat: async (plan: TrainPlan, data: string, rounds: readonly Omit<Seat, 'parameters'>[]) =>
    (await runSeat((await opened).device, plan, bytesOf(data), rounds)).map(toBase64),
  generate: async (plan: GeneratePlan, weights: string, units: number) =>
    runGenerate((await opened).device, plan, bytesOf(weights), units),
  countTraining: async () => countTraining((await opened).device, counts),
  countDecoding: async () => countDecoding((await opened).device, counts),
  batchDependence: async () => sequencesThatDependOnTheBatch((await opened).device),
  /** What of stages is wrong; see `stage-checks.ts`. */
  stages: async () => {
    const { device } = await opened;
    return [
      ...(await slicesThatDiffer(device)),
      ...(await sharingThatShows(device)),
      ...(await stagesThatDiffer(device, [1, 2])),
      ...(await stepsThatDiffer(device)),
    ];
  },
  buffers: async () => (await opened).device.usage().buffers,
};

declare global {
  interface Window {
    modelUnderTest: typeof modelUnderTest;
  }
}

window.modelUnderTest = modelUnderTest;
