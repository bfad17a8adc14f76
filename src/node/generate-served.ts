/**
 * Texts from a model that a hub serves, asked as the API and the chat panel ask; or from one that is served for this command
 * alone, split over tabs, and taken away when it ends.
 */

import { answerText, readModelText, type TextRequest } from '../assembly/text-answer.ts';
import type { ServedModel } from '../assembly/answering.ts';
import type { Swarm } from '../assembly/swarm.ts';
import { serveDefaults } from '../assembly/serve-job.ts';
import { InputError } from '../core/result.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import type { ComputedBy } from '../protocol/serving-messages.ts';
import type { GenerateSummary } from './generate-run.ts';
import { WorkFailedError } from './output.ts';
import { offerModel, placesText } from './serve-model.ts';

export interface ServedRunOptions {
  readonly swarm: Swarm;
  /** The name of a served model, or one to serve over so many tabs. */
  readonly from: { readonly served: string } | SplitModel;
  readonly prompt: string;
  readonly stop: readonly string[];
  readonly options: Pick<TextRequest, 'samples' | 'maxTokens' | 'temperature' | 'topP' | 'topK' | 'seed'>;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

export interface SplitModel {
  readonly model: string;
  readonly tokenizer: string | undefined;
  readonly stages: number;
}

export interface ServedSummary extends GenerateSummary {
  /** Every volunteer that computed a part of it, once for each stage. */
  readonly computedBy: readonly ComputedBy[];
}

/** Samples of one request; more are asked for one request after another. */
const samplesAtOnce = 256;

export async function runServed(options: ServedRunOptions): Promise<ServedSummary> {
  const { swarm, from, signal, progress } = options;
  if ('served' in from) return askServed(options, await findServed(swarm, from.served));
  const flags = { ...serveDefaults, model: from.model, stages: from.stages };
  const offered = await offerModel(
    swarm,
    from.tokenizer === undefined ? flags : { ...flags, tokenizer: from.tokenizer },
    signal,
  );
  try {
    progress(`the model waits for ${placesText(offered.plan)}`);
    const { name, plan, handle } = offered;
    return await askServed(options, { job: handle.job, name, plan, isUp: false });
  } finally {
    offered.handle.cancel();
    await offered.handle.finished.catch(() => {});
  }
}

async function findServed(swarm: Swarm, name: string): Promise<ServedModel> {
  const models = await swarm.submitter.answering.models();
  const found =
    models.findLast((model) => model.name === name && model.isUp) ?? models.findLast((one) => one.name === name);
  if (found !== undefined) return found;
  const names = [...new Set(models.map((model) => model.name))].join(', ');
  throw new InputError(
    `--served ${name}: this hub serves no such model; ${names === '' ? 'it serves none' : `it serves ${names}`}`,
  );
}

async function askServed(options: ServedRunOptions, model: ServedModel): Promise<ServedSummary> {
  const { swarm, prompt, stop, signal, progress } = options;
  const { samples, maxTokens, ...rest } = options.options;
  const { tokenizer } = await readModelText(model, (artifact) => swarm.submitter.read(artifact));
  const promptTokens = encode(tokenizer, prompt, model.plan.context);
  const found = Array.from({ length: samples }, () => ({
    tokens: [] as number[],
    text: '',
    logprob: 0,
    finish: 'stop',
  }));
  const computedBy = new Map<string, ComputedBy>();
  let drawn = 0;
  let firstAt: number | undefined;
  for (let firstSample = 0; firstSample < samples; firstSample += samplesAtOnce) {
    const request: TextRequest = {
      ...rest,
      promptTokens,
      stop,
      firstSample,
      samples: Math.min(samplesAtOnce, samples - firstSample),
      maxTokens: Math.min(maxTokens, model.plan.context - promptTokens.length),
      topLogprobs: 0,
    };
    const asked = { job: model.job, tokenizer };
    for await (const event of answerText(swarm.submitter.answering, asked, request, signal)) {
      if (event.type === 'done') {
        drawn += event.tokens;
        for (const one of event.by) computedBy.set(JSON.stringify(one), one);
        continue;
      }
      firstAt ??= performance.now();
      const sample = found[event.sample];
      if (sample === undefined)
        throw new WorkFailedError(`the hub answers for sample ${event.sample}, which was not asked for`);
      if (event.type === 'finished') sample.finish = event.reason;
      else {
        sample.text += event.text;
        for (const { token, logprob } of event.tokens) {
          sample.tokens.push(token);
          sample.logprob += logprob;
        }
      }
    }
    if (samples > samplesAtOnce) progress(`${firstSample + request.samples} of ${samples} samples`);
  }
  // Waiting for tabs and their weights is not the model's speed.
  const seconds = (performance.now() - (firstAt ?? performance.now())) / 1000;
  return {
    model: model.name,
    prompt,
    promptTokens,
    samples: found,
    seconds,
    tokensPerSecond: seconds > 0 ? drawn / seconds : 0,
    receipts: [],
    computedBy: [...computedBy.values()],
  };
}

function encode(tokenizer: Tokenizer, prompt: string, context: number): number[] {
  const tokens = tokenizer.encode(prompt);
  if (tokens.length === 0) throw new InputError('--prompt: empty, and this model has no start token; give some text');
  if (tokens.length >= context)
    throw new InputError(
      `--prompt: ${tokens.length} tokens, the model is served with a context of ${context}; shorten it`,
    );
  return tokens;
}
