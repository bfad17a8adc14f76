/**
 * Repeated sampling from a network: each unit draws its own samples of the job's prompt, all together, a token of each at
 * a time. The prompt is computed once and its pages serve every sample. The GPU chooses the tokens and keeps them; they are
 * read every few steps, to see who has finished. So a token costs at most one submit and one readback of eight bytes a sample.
 */

import type { Bytes } from '../core/bytes.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { Device } from '../kernels/device.ts';
import { families } from '../kernels/families.ts';
import { pinnedChoices, type Choices } from '../kernels/variants.ts';
import { encodeGeneration, newTokensMax, samplesOfUnit, type GeneratedSample } from '../inference/generation-result.ts';
import { assertFits } from '../models/arena.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import { openNetworkWeights, wholeNetwork } from '../models/network-weights.ts';
import { createStage, pageTokensDefault, stageNeed, type ChosenTokens, type Stage } from '../models/stage.ts';
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
/** The prompt's own sequence; those of samples follow. */
const promptSequence = 0;

/** Room for a unit's samples, which share the prompt's pages. */
function roomOf(plan: GeneratePlan) {
  const length = plan.promptTokens.length;
  const positionsMax = length + newTokensMax(plan);
  const rows = Math.min(plan.samplesPerUnit, plan.samples);
  const pagesEach = Math.ceil(positionsMax / pageTokensDefault) - Math.floor(length / pageTokensDefault);
  return {
    pages: Math.ceil(length / pageTokensDefault) + rows * pagesEach,
    positionsMax,
    sequencesMax: rows + 1,
    rowsMax: Math.max(rows, Math.min(length, promptRowsMax)),
    logitsMax: rows,
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
    await stage.prepare({ prefill: Math.min(promptTokens.length, room.rowsMax), decode: room.logitsMax });
  } catch (error) {
    close();
    throw error;
  }
  const opened = stage;

  async function run({ unit, signal, progress }: UnitRequest): Promise<Bytes> {
    const { first, count } = samplesOfUnit(plan, unit);
    const transcripts = createTranscripts(plan, first, count);
    const sequences = Array.from({ length: count + 1 }, (_, index) => index);
    try {
      await drawSamples(opened, plan, transcripts, { signal, progress });
      return encodeGeneration(transcripts.samples());
    } finally {
      for (const sequence of sequences) opened.close(sequence);
    }
  }
  return { run, close };
}

/** The prompt once, the first token of every sample from its last logits, and then blocks of tokens for those who go on. */
async function drawSamples(
  stage: Stage,
  plan: GeneratePlan,
  transcripts: ReturnType<typeof createTranscripts>,
  { signal, progress }: Pick<UnitRequest, 'signal' | 'progress'>,
): Promise<void> {
  const { promptTokens, temperature, topK, topP, seed } = plan;
  const length = promptTokens.length;
  const steps = newTokensMax(plan);
  stopIfAborted(signal);
  stage.open(promptSequence, length);
  const rowsMax = Math.min(promptRowsMax, length);
  for (let first = 0; first < length; first += rowsMax) {
    const tokens = Uint32Array.from(promptTokens.slice(first, first + rowsMax));
    const rows = Array.from(tokens, (_, index) => [promptSequence, first + index] as const);
    const isEnd = first + tokens.length === length;
    await stage.forward({ kind: 'prefill', rows, tokens, logits: isEnd ? [tokens.length - 1] : [] });
    stopIfAborted(signal);
  }
  const drawOf = (sample: number) => ({ sample, temperature, topK, topP, seed });
  const row = (length - 1) % rowsMax;
  const all = transcripts.going();
  const chosen = await stage.sample(all.map(({ sample }) => ({ ...drawOf(sample), row, position: length })));
  for (const [index, transcript] of all.entries()) {
    transcripts.take(transcript, chosen.slice(index, index + 1));
    const prefix = { of: promptSequence, tokens: length };
    if (steps > 1) stage.open(transcript.sequence, length + steps, prefix);
  }
  for (let done = 1; done < steps;) {
    progress(done / steps);
    stopIfAborted(signal);
    const going = transcripts.going();
    if (going.length === 0) return;
    const block = Math.min(tokensPerRead, steps - done);
    const rows = going.map(({ sequence, sample, tokens }) => ({
      sequence,
      position: length + done - 1,
      token: tokens.at(-1) ?? 0,
      draw: drawOf(sample),
    }));
    const drawn = await stage.decode(rows, block);
    for (const [index, transcript] of going.entries()) transcripts.take(transcript, drawn[index] ?? []);
    done += block;
  }
  progress(1);
}

interface Transcript {
  readonly sample: number;
  readonly sequence: number;
  readonly tokens: number[];
  logprob: number;
  finish: GeneratedSample['finish'];
}

/** What each sample has so far; a stop token ends it and is not part of it. */
function createTranscripts(plan: GeneratePlan, first: number, count: number) {
  const transcripts = Array.from({ length: count }, (_, index): Transcript => ({
    sample: first + index,
    sequence: promptSequence + 1 + index,
    tokens: [],
    logprob: 0,
    finish: 'length',
  }));
  return {
    /** Those without a stop token. */
    going: (): readonly Transcript[] => transcripts.filter(({ finish }) => finish === 'length'),
    take: (transcript: Transcript, chosen: readonly ChosenTokens[]): void => {
      for (const { token, logprob } of chosen) {
        if (transcript.finish === 'stop') return;
        if (!Number.isFinite(logprob)) throw new Error('generate: a logit is no number; are the weights right?');
        if (plan.stopTokens.includes(token)) {
          transcript.finish = 'stop';
        } else {
          transcript.tokens.push(token);
          transcript.logprob += logprob;
        }
      }
    },
    samples: (): readonly GeneratedSample[] =>
      transcripts.map(({ sample, tokens, logprob, finish }) => ({ sample, tokens, logprob, finish })),
  };
}

function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new UnitAbortedError('the unit was aborted');
}
