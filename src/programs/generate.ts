/**
 * Repeated sampling from a network: each unit draws its own samples of the job's prompt, all together, a token of each at
 * a time. The prompt is computed once and its pages serve every sample. The GPU chooses the tokens and keeps them; they are
 * read every few steps, to see who has finished. So a token costs at most one submit and one readback of eight bytes a sample.
 */

import { assert, present } from '../core/assert.ts';
import type { Bytes } from '../core/bytes.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { Device } from '../kernels/device.ts';
import { families } from '../kernels/families.ts';
import { pinnedChoices, type Choices } from '../kernels/variants.ts';
import { encodeGeneration, newTokensMax, samplesOfUnit, type GeneratedSample } from '../inference/generation-result.ts';
import { nextBatchStep } from '../inference/batch-step.ts';
import { createBatching, type Batching, type BatchingOptions } from '../inference/batching.ts';
import { assertFits } from '../models/arena.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import { openNetworkWeights, wholeNetwork } from '../models/network-weights.ts';
import { createStage, pageTokensDefault, stageNeed, type Stage, type StageOptions } from '../models/stage.ts';
import { artifactSource } from '../models/weights/artifact-source.ts';
import { vectorWeights } from '../models/weights/llama-weights.ts';
import type { GeneratePlan } from '../protocol/manifest.ts';
import type { Chunks } from '../protocol/ports.ts';
import type { OpenProgram, OpenProgramFunction, UnitRequest } from './program.ts';
import { UnitAbortedError } from './shader.ts';

/** Tokens drawn between two looks at them: a look costs a round trip, a needless token a step. */
const tokensPerRead = 8;

export const openGenerateProgram: OpenProgramFunction = async (manifest, device, chunks): Promise<OpenProgram> => {
  if (manifest.program !== 'generate') throw new TypeError(`the generate program cannot run a ${manifest.program} job`);
  const plan = checkGeneratePlan(manifest.generate);
  return openSampler(plan, device, chunks, pinnedChoices(plan.variants ?? {}, families, device, device.choices));
};

function checkGeneratePlan(plan: GeneratePlan): GeneratePlan {
  const { context, vocabulary } = plan.model;
  const foreign = plan.promptTokens.find((token) => token >= vocabulary);
  if (foreign !== undefined)
    throw new InputError(`generate: prompt token ${foreign} is not in a vocabulary of ${vocabulary}`);
  if (newTokensMax(plan) < 1) {
    throw new InputError(
      `generate: a prompt of ${plan.promptTokens.length} tokens fills the context of ${context}; shorten it`,
    );
  }
  const expected = llamaLayout(plan.model).elements * 4;
  if (plan.weights.bytes !== expected) {
    throw new InputError(`generate: ${plan.weights.bytes} bytes of weights, the network has ${expected}`);
  }
  return plan;
}

/** Rows of the prompt that are computed at once. */
const promptRowsMax = 128;

/** Room for all of a unit's samples at once, which share the prompt's pages. */
function roomOf(plan: GeneratePlan): Omit<StageOptions, 'weights'> & BatchingOptions {
  const length = plan.promptTokens.length;
  const positionsMax = length + newTokensMax(plan);
  const rows = Math.min(plan.samplesPerUnit, plan.samples);
  const pagesEach = Math.ceil(positionsMax / pageTokensDefault) - Math.floor(length / pageTokensDefault);
  return {
    pages: Math.ceil(length / pageTokensDefault) + rows * pagesEach,
    pageTokens: pageTokensDefault,
    positionsMax,
    sequencesMax: rows + 1,
    rowsMax: Math.max(rows, Math.min(length, promptRowsMax)),
    logitsMax: rows,
    tokensRowsMax: rows,
    stepsMax: tokensPerRead,
  };
}

async function openSampler(plan: GeneratePlan, device: Device, chunks: Chunks, choices: Choices): Promise<OpenProgram> {
  const { model, promptTokens } = plan;
  const room = roomOf(plan);
  // Refused before anything is fetched.
  assertFits(device, 'generate', stageNeed({ config: model, layers: model.layers, isLast: true }, room));
  const source = expectInput(vectorWeights(model, artifactSource('weights', chunks, plan.weights)));
  const weights = await openNetworkWeights(device, source, { ...wholeNetwork(model), positionsMax: room.positionsMax });
  let stage: Stage | undefined;
  const close = (): void => {
    stage?.free();
    weights.free();
  };
  try {
    stage = createStage(device, { ...room, weights, choices });
    await stage.prepare({ prefill: Math.min(promptTokens.length, room.rowsMax), decode: room.tokensRowsMax });
  } catch (error) {
    close();
    throw error;
  }
  const opened = stage;

  async function run({ unit, signal, progress }: UnitRequest): Promise<Bytes> {
    const { first, count } = samplesOfUnit(plan, unit);
    const batching = createBatching(room);
    try {
      return encodeGeneration(await drawSamples(opened, batching, plan, { first, count, signal, progress }));
    } finally {
      opened.closeAll();
    }
  }
  return { run, close };
}

/** All samples as one request, until the last has finished. */
async function drawSamples(
  stage: Stage,
  batching: Batching,
  plan: GeneratePlan,
  { first, count, signal, progress }: { first: number; count: number } & Pick<UnitRequest, 'signal' | 'progress'>,
): Promise<readonly GeneratedSample[]> {
  const { promptTokens, temperature, topK, topP, seed, stopTokens } = plan;
  const maxTokens = newTokensMax(plan);
  const own = { promptTokens, maxTokens, temperature, topK, topP, seed, stopTokens };
  const refused = batching.add({ id: 0, firstSample: first, samples: count, ...own });
  assert(refused === undefined, `generate: ${refused}`);
  const samples = Array.from({ length: count }, (_, index): Transcript => ({
    sample: first + index,
    tokens: [],
    logprob: 0,
    finish: 'length',
  }));
  for (;;) {
    stopIfAborted(signal);
    const events = await nextBatchStep(stage, batching);
    if (events === undefined) return samples;
    for (const event of events) {
      const sample = present(samples[event.sample - first], `generate: sample ${event.sample} was not asked for`);
      if (event.type === 'token') {
        sample.tokens.push(event.token);
        sample.logprob += event.logprob;
      } else if (event.reason === 'broken') {
        throw new Error('generate: a logit is no number; are the weights right?');
      } else {
        sample.finish = event.reason;
      }
    }
    progress(Math.max(...samples.map(({ tokens }) => tokens.length)) / maxTokens);
  }
}

interface Transcript {
  readonly sample: number;
  readonly tokens: number[];
  logprob: number;
  finish: GeneratedSample['finish'];
}

function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new UnitAbortedError('the unit was aborted');
}
