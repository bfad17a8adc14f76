/**
 * A training job from its file to its folder: submits it, writes a line of `metrics.jsonl` for each round, and at the
 * end the checkpoint and the plot of the losses. The command and the demo both come through here.
 */

import { appendFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { checkTrainingText, prepareTrainJob } from '../assembly/job.ts';
import type { Swarm } from '../assembly/swarm.ts';
import { copyBytes } from '../core/bytes.ts';
import { expectInput, InputError } from '../core/result.ts';
import { denseBytes } from '../learning/aggregate.ts';
import { validationStart } from '../learning/batches.ts';
import { bigramLoss } from '../learning/bigram.ts';
import { encodeLlama } from '../models/weights/encode-llama.ts';
import { encodeConfig } from '../models/weights/llama-config.ts';
import { parseJobFile, type TrainJobFile } from '../protocol/job-file.ts';
import type { JobState, RoundReport, TrainReport } from '../protocol/messages.ts';
import { plotLosses, type LossPoint } from './loss-plot.ts';
import { readInput } from './read-input.ts';

export interface TrainRunOptions {
  readonly swarm: Swarm;
  /** The parsed file; `files` are relative to `folder`. */
  readonly file: TrainJobFile;
  readonly folder: string;
  readonly where: string;
  readonly out: string;
  readonly onRound?: (round: RoundReport) => void;
  readonly signal?: AbortSignal;
}

/** What `--json` prints; see the job format. Losses are mean nats per token. */
export interface TrainSummary {
  readonly job: string;
  readonly state: JobState['state'];
  readonly reason: string | null;
  readonly steps: number;
  readonly tokens: number;
  readonly parameters: number;
  readonly trainLoss: number | null;
  readonly startValidationLoss: number | null;
  readonly validationLoss: number | null;
  readonly bigramLoss: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly bytesDense: number;
  readonly workers: TrainReport['workers'];
  readonly roundsCompleted: number;
  readonly roundsSkipped: number;
  /** Null until peak throughput is measured per device. */
  readonly mfu: null;
  readonly seconds: number;
  readonly out: string;
}

/** The configuration, checked together with its texts: nobody waits for a hub or tabs to hear that one is missing. */
export async function readTrainFile(path: string): Promise<{ file: TrainJobFile; folder: string }> {
  const text = await readInput(path);
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch (error) {
    throw new InputError(`${path}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const file = expectInput(parseJobFile(value, path));
  if (file.program !== 'train')
    throw new InputError(`${path}: program: "${file.program}" is submitted with tabswarm submit`);
  const folder = dirname(resolve(path));
  let tokens = 0;
  for (const [index, name] of file.data.files.entries()) {
    const found = await stat(resolve(folder, name)).catch(() => undefined);
    if (found?.isFile() !== true) throw new InputError(`${path}: data.files.${index}: ${name}: no such file`);
    tokens += found.size;
  }
  checkTrainingText(tokens, file, path);
  return { file, folder };
}

export async function runTraining(options: TrainRunOptions): Promise<TrainSummary> {
  const { swarm, file, folder, out } = options;
  const started = performance.now();
  const texts: Buffer[] = [];
  const read = async (path: string): Promise<Buffer<ArrayBuffer>> => {
    const text = await readInput(resolve(folder, path));
    texts.push(text);
    return text;
  };
  const prepared = await prepareTrainJob(file, read, swarm.prepareOptions({ where: options.where }));
  const plan = prepared.manifest.train;
  const metrics = await openOutput(out);

  const handle = await swarm.submitter.submit(prepared, options.signal);
  const points: LossPoint[] = [];
  let written = Promise.resolve();
  handle.onChange(() => {
    const round = handle.state()?.state?.round;
    if (round === undefined || points.some((point) => point.round === round.round)) return;
    const step = Math.min(plan.steps, round.round * plan.method.innerSteps);
    const end = Math.min(plan.steps, step + plan.method.innerSteps);
    // Validation speaks of the parameters that the round begins with; the training loss is a mean over its steps.
    points.push({ round: round.round, step, trainLoss: null, validationLoss: round.validationLoss });
    if (round.trainLoss !== null) {
      points.push({ round: round.round, step: (step + end) / 2, trainLoss: round.trainLoss, validationLoss: null });
    }
    written = written.then(() => appendFile(metrics, `${JSON.stringify({ step, ...round })}\n`));
    // A full disk is told at the end; what is trained meanwhile is not thrown away.
    written.catch(() => {});
    options.onRound?.(round);
  });
  const ended = await handle.finished;
  await written;

  const bigram = bigramLoss(Buffer.concat(texts), validationStart(plan), plan.model.vocabulary);
  if (points.length > 0)
    await writeFile(join(out, 'loss.svg'), plotLosses({ title: file.name, points, bigramLoss: bigram }));
  const report = ended.report;
  const parameters = report === undefined ? undefined : await swarm.submitter.read(report.parameters);
  if (parameters !== undefined) {
    const vector = new Float32Array(copyBytes(parameters).buffer);
    await writeFile(join(out, 'checkpoint', 'model.safetensors'), encodeLlama(plan.model, vector));
    await writeFile(join(out, 'checkpoint', 'config.json'), encodeConfig(plan.model));
  }
  return {
    job: handle.job,
    state: ended.state,
    reason: ended.reason,
    steps: plan.steps,
    tokens: report?.tokens ?? 0,
    parameters: parameters === undefined ? 0 : parameters.byteLength / 4,
    trainLoss: report?.trainLoss ?? null,
    startValidationLoss: report?.startValidationLoss ?? null,
    validationLoss: report?.validationLoss ?? null,
    bigramLoss: bigram,
    bytesSent: report?.bytesSent ?? 0,
    bytesReceived: report?.bytesReceived ?? 0,
    bytesDense: denseBytes(plan),
    workers: report?.workers ?? [],
    roundsCompleted: report?.roundsCompleted ?? 0,
    roundsSkipped: report?.roundsSkipped ?? 0,
    mfu: null,
    seconds: (performance.now() - started) / 1000,
    out,
  };
}

/** Makes the folder and an empty `metrics.jsonl`, whose path it gives. */
async function openOutput(out: string): Promise<string> {
  const metrics = join(out, 'metrics.jsonl');
  try {
    await mkdir(join(out, 'checkpoint'), { recursive: true });
    await writeFile(metrics, '');
  } catch (error) {
    throw new InputError(`--out ${out}: cannot be written: ${error instanceof Error ? error.message : String(error)}`);
  }
  return metrics;
}
