/**
 * The training of the stories: a network small enough for a software adapter, a text with something to learn in it, and
 * what a finished training leaves in its folder, read back with the project's own readers.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import { memorySource } from '../../src/core/byte-source.ts';
import { viewBytes } from '../../src/core/bytes.ts';
import { sha256 } from '../../src/core/hash.ts';
import type { Digest } from '../../src/core/ids.ts';
import { createRandom } from '../../src/core/prng.ts';
import { expectInput } from '../../src/core/result.ts';
import { decodeConfig } from '../../src/models/weights/llama-config.ts';
import { loadParameters } from '../../src/models/weights/llama-weights.ts';
import { openSafetensors } from '../../src/models/weights/safetensors.ts';
import type { TrainJobInput } from '../../src/protocol/job-file.ts';
import type { ModelConfig } from '../../src/protocol/manifest.ts';
import type { RoundReport } from '../../src/protocol/messages.ts';
import type { TrainSummary } from '../../src/node/train-run.ts';
import { patience, type Command } from './story.ts';

export interface TrainingOptions {
  readonly name: string;
  readonly method?: 'diloco' | 'solo';
  readonly workers: number;
  readonly rounds: number;
  readonly innerSteps: number;
}

/** Writes the configuration and its text into a folder; the configuration's path. */
export async function writeTraining(folder: string, options: TrainingOptions): Promise<string> {
  const { name, workers, rounds, innerSteps, method = 'diloco' } = options;
  const config: TrainJobInput = {
    version: 1,
    name,
    program: 'train',
    model: { layers: 1, width: 32, heads: 2, context: 32 },
    data: { files: [`${name}.txt`], validation: 0.1 },
    method: { name: method, workers, innerSteps, outerMomentum: 0.5 },
    optimizer: { learningRate: 0.01, warmup: 4 },
    batch: 4,
    steps: rounds * innerSteps,
    seed: 7,
  };
  await writeFile(join(folder, `${name}.txt`), smallText());
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(config));
  return path;
}

/** About 12,000 characters of sentences that a small network soon finds the pattern of. */
function smallText(): string {
  const random = createRandom(1);
  const pick = (words: string): string => {
    const all = words.split(' ');
    return all[random.below(all.length)] ?? '';
  };
  const sentences = Array.from(
    { length: 400 },
    () => `the ${pick('cat dog hen owl')} ${pick('saw met fed')} the ${pick('red old big')} ${pick('fox pig cow')}.\n`,
  );
  return sentences.join('');
}

/** Waits until `tabswarm train` has told of this round. */
export const expectRound = (training: Command, round: number): Promise<void> =>
  expect.poll(() => training.stderr(), patience).toContain(`round ${round} of `);

/** What `tabswarm train --json` printed at its end. */
export async function summaryOf(training: Command): Promise<TrainSummary> {
  expect(await training.ended, training.stderr()).toBe(0);
  return JSON.parse(training.stdout()) as TrainSummary;
}

export interface Checkpoint {
  readonly config: ModelConfig;
  readonly parameters: Float32Array;
  readonly sha256: Digest;
}

/** The checkpoint as `tabswarm generate` reads it. */
export async function readCheckpoint(out: string): Promise<Checkpoint> {
  const folder = join(out, 'checkpoint');
  const config = expectInput(decodeConfig(await readFile(join(folder, 'config.json'), 'utf8'), 'config.json'));
  const weights = memorySource('model.safetensors', await readFile(join(folder, 'model.safetensors')));
  const parameters = await loadParameters(config, expectInput(await openSafetensors(weights)));
  return { config, parameters, sha256: sha256(viewBytes(parameters)) };
}

/** The lines of `metrics.jsonl`: every round from 0 to the last, each once and in order. */
export async function readMetrics(out: string, rounds: number): Promise<(RoundReport & { step: number })[]> {
  const lines = (await readFile(join(out, 'metrics.jsonl'), 'utf8')).trimEnd().split('\n');
  const metrics = lines.map((line) => JSON.parse(line) as RoundReport & { step: number });
  expect(metrics.map(({ round }) => round)).toEqual(Array.from({ length: rounds + 1 }, (_, round) => round));
  return metrics;
}
