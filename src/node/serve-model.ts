/** Offering a model to a hub, for `tabswarm serve` and for a hub that offers one itself: the options, and what is told meanwhile. */

import { basename } from 'node:path';
import { Option, type Command } from 'commander';
import { prepareServeJob, serveDefaults, type ServeChoices } from '../assembly/serve-job.ts';
import type { SubmittedHandle } from '../assembly/submitter.ts';
import type { Swarm } from '../assembly/swarm.ts';
import { sequencesMax, servedContextMax } from '../core/limits.ts';
import { InputError } from '../core/result.ts';
import {
  activationFormats,
  placesOf,
  quantisedFormats,
  type ActivationFormat,
  type QuantisedFormat,
  type ServePlan,
} from '../protocol/manifest.ts';
import { wholeOption } from './commands/options.ts';
import { openServedModel } from './model-source.ts';

export interface ServeFlags {
  readonly model?: string;
  readonly tokenizer?: string;
  readonly name?: string;
  readonly stages: number;
  readonly spares: number;
  readonly pipelines: number;
  readonly context?: number;
  readonly sequences: number;
  readonly activations: ActivationFormat;
  readonly quantise?: QuantisedFormat;
}

export function addServeOptions(command: Command): Command {
  return command
    .option(
      '--model <path>',
      'the model to serve: a folder with config.json and safetensors, a .safetensors, a .gguf, a llama2.c .bin, its URL, or hf:OWNER/NAME@COMMIT',
    )
    .option('--tokenizer <file>', 'a tokenizer.json, or a tokenizer of llama2.c')
    .option('--name <name>', 'what requests call the model; its file’s name when left out')
    .option(
      '--stages <number>',
      'tabs that one copy of the model is split over',
      wholeOption(1, 64),
      serveDefaults.stages,
    )
    .option('--spares <number>', 'tabs that stand by for each stage', wholeOption(0, 4), serveDefaults.spares)
    .option('--pipelines <number>', 'copies of the whole model', wholeOption(1, 256), serveDefaults.pipelines)
    .option(
      '--context <number>',
      'longest sequence in tokens; the model’s own when left out',
      wholeOption(2, servedContextMax),
    )
    .option(
      '--sequences <number>',
      'sequences that one copy works on at once',
      wholeOption(1, sequencesMax),
      serveDefaults.sequences,
    )
    .addOption(
      new Option('--activations <format>', 'how stages send each other what they computed')
        .choices(activationFormats)
        .default(serveDefaults.activations),
    )
    .addOption(
      new Option('--quantise <format>', 'what tabs make of larger weights; as they are stored when left out').choices(
        quantisedFormats,
      ),
    );
}

export interface OfferedModel {
  readonly name: string;
  readonly plan: ServePlan;
  readonly handle: SubmittedHandle;
}

/** Resolves when the hub has the model and all of its chunks; `signal` cancels the job, also later. */
export async function offerModel(swarm: Swarm, flags: ServeFlags, signal?: AbortSignal): Promise<OfferedModel> {
  const { model, tokenizer, name = nameOf(model ?? ''), context, ...rest } = flags;
  if (model === undefined) throw new InputError('--model: missing; name the model to serve');
  const { stages, spares, pipelines, sequences, activations, quantise } = rest;
  const choices: ServeChoices = {
    name,
    stages,
    spares,
    pipelines,
    sequences,
    activations,
    ...(context === undefined ? {} : { context }),
    ...(quantise === undefined ? {} : { quantise }),
  };
  const source = await openServedModel(model, tokenizer);
  try {
    const prepared = await prepareServeJob(source, choices, swarm.prepareOptions({ where: 'serve' }));
    const handle = await swarm.submitter.submit(prepared, signal);
    await taken(handle);
    return { name, plan: prepared.manifest.serve, handle };
  } finally {
    await source.close();
  }
}

/** A job that was taken has a state; the hub tells it when it has every chunk. */
const taken = (handle: SubmittedHandle): Promise<void> =>
  new Promise((resolve, reject) => {
    const look = (): void => {
      if (handle.state()?.state !== undefined) resolve();
    };
    handle.onChange(look);
    look();
    handle.finished.then(() => resolve(), reject);
  });

/** The last part of a path without its kind, and of a repository without its commit. */
export const nameOf = (path: string): string =>
  basename(path.replace(/\/+$/, '')).replace(/\.(gguf|safetensors|bin)$|@[0-9a-f]{40}$/, '');

/** Tells when the model begins to answer, and when it stops to for want of tabs. */
export function tellWhenUp({ name, plan, handle }: OfferedModel, tell: (line: string) => void): void {
  let shown = 0;
  handle.onChange(() => {
    const up = handle.state()?.state?.serving?.up ?? 0;
    if (up === shown) return;
    shown = up;
    tell(
      up === 0
        ? `${name} waits for tabs`
        : `${name} answers${plan.pipelines > 1 ? ` (${up} of ${plan.pipelines} copies)` : ''}`,
    );
  });
}

/** `1 tab`, `6 tabs (3 stages, each with 1 spare)`. */
export function placesText(plan: ServePlan): string {
  const places = placesOf(plan);
  const parts = [
    ...(plan.pipelines > 1 ? [`${plan.pipelines} copies`] : []),
    ...(plan.stages > 1 ? [`${plan.stages} stages`] : []),
    ...(plan.spares > 0 ? [`${plan.spares} ${plan.spares === 1 ? 'spare' : 'spares'} each`] : []),
  ];
  return `${places} ${places === 1 ? 'tab' : 'tabs'}${parts.length === 0 ? '' : ` (${parts.join(', ')})`}`;
}
