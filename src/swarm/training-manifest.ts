/**
 * What follows from a training job's manifest alone: how many rounds it has, and whether a hub can hold it. Fields one by
 * one are checked where a manifest is parsed (`protocol/manifest.ts`).
 */

import { chunkBytesMax, headerBytesMax, resultBytesMax, trainedBytesMax } from '../core/limits.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import type { ManifestOf } from '../protocol/manifest.ts';

/** Rounds with steps; one without follows, in which the seats load the final parameters. */
export const roundsOf = ({ train }: ManifestOf<'train'>): number => Math.ceil(train.steps / train.method.innerSteps);

/** What is wrong with a training manifest beyond its fields, or undefined. */
export function checkTraining(manifest: ManifestOf<'train'>): string | undefined {
  const units = manifest.train.method.workers * (roundsOf(manifest) + 1);
  if (manifest.units !== units)
    return `manifest: a training of these rounds and workers has ${units} units, not ${manifest.units}`;
  if (manifest.verify.replicas !== 1) return 'manifest: verify.replicas must be 1 for training';
  return checkSizes(manifest);
}

/** Bytes of a chunk's digest and of a worker's report in a header, and of what else a job's state says. */
const chunkTextBytes = 67;
const workerTextBytes = 200;
const stateTextBytes = 16 * 1024;

/** The hub holds the parameters, a seat returns as many numbers, and the job's state names chunks and workers. */
function checkSizes({ train }: ManifestOf<'train'>): string | undefined {
  const { elements } = llamaLayout(train.model);
  const bytes = 4 * elements;
  if (bytes > trainedBytesMax) return `manifest: model: ${bytes} bytes of parameters, the most is ${trainedBytesMax}`;
  const { name, compress, workers } = train.method;
  const returned = elements * (compress === 'uint8' && name !== 'solo' ? 1 : 4) + chunkBytesMax;
  if (returned > resultBytesMax) {
    return `manifest: a seat returns ${returned} bytes, the most is ${resultBytesMax}; take a smaller model, or diloco with compress uint8`;
  }
  const text = chunkTextBytes * Math.ceil(bytes / chunkBytesMax) + workerTextBytes * workers + stateTextBytes;
  if (text <= headerBytesMax) return undefined;
  return `manifest: ${workers} workers with ${bytes} bytes of parameters do not fit one report; take fewer workers`;
}
