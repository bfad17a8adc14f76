/**
 * Repeated sampling from a network: each unit draws its own samples of the job's prompt, all together, a token of each at
 * a time. The GPU chooses the tokens and keeps them; they are read every few steps, to see who has finished, and their
 * probabilities once at the end. So a token costs at most one submit and one readback of four bytes a sample.
 */

import { copyBytes, viewBytes, type Bytes } from '../core/bytes.ts';
import { InputError } from '../core/result.ts';
import type { Device } from '../kernels/device.ts';
import { families } from '../kernels/families.ts';
import { sampleDispatch } from '../kernels/sample.ts';
import { pinnedChoices, type Choices } from '../kernels/variants.ts';
import { encodeGeneration, newTokensMax, samplesOfUnit, type GeneratedSample } from '../inference/generation-result.ts';
import { createArena, type Arena } from '../models/arena.ts';
import { createDecoder } from '../models/llama-decode.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
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

/** Every tensor of a unit's samples, and the network that draws them. */
function layOut(arena: Arena, device: Device, plan: GeneratePlan, choices: Choices) {
  const steps = newTokensMax(plan);
  const rows = Math.min(plan.samplesPerUnit, plan.samples);
  const promptLength = plan.promptTokens.length;
  return {
    steps,
    rows,
    decoder: createDecoder(device, arena, {
      config: plan.model,
      sequences: rows,
      promptLength,
      positionsMax: promptLength + steps,
      choices,
    }),
    samples: arena.tensor('samples', rows),
    /** [steps, rows] */
    tokens: arena.tensor('chosen', steps * rows),
    logProbabilities: arena.tensor('log probabilities', steps * rows),
  };
}

async function openSampler(plan: GeneratePlan, device: Device, chunks: Chunks, choices: Choices): Promise<OpenProgram> {
  const { promptTokens } = plan;
  const arena = createArena(device, 'generate', (measured) => layOut(measured, device, plan, choices));
  const { steps, rows, decoder, samples, tokens, logProbabilities } = layOut(arena, device, plan, choices);

  /** Draws the token at this step from the logits that stand there. */
  const draw = (step: number) =>
    sampleDispatch({
      logits: decoder.logits,
      samples,
      tokens: { buffer: tokens.buffer, offset: step * rows },
      logProbabilities: { buffer: logProbabilities.buffer, offset: step * rows },
      rows,
      vocabulary: plan.model.vocabulary,
      temperature: plan.temperature,
      topK: plan.topK,
      topP: plan.topP,
      seed: plan.seed,
      position: promptTokens.length + step,
      choices,
    });

  async function run({ unit, signal, progress }: UnitRequest): Promise<Bytes> {
    stopIfAborted(signal);
    const { first, count } = samplesOfUnit(plan, unit);
    device.write(samples.buffer, viewBytes(Uint32Array.from({ length: rows }, (_, row) => first + row)));
    await decoder.prefill(promptTokens);
    const transcripts = createTranscripts(plan, first, count, rows);
    let from = 0;
    for (let step = 0; step < steps; step++) {
      stopIfAborted(signal);
      const fed = { buffer: tokens.buffer, offset: (step - 1) * rows };
      await device.run([...(step === 0 ? [] : decoder.step(fed, promptTokens.length + step - 1)), draw(step)]);
      const look = (step + 1) % tokensPerRead === 0 || step + 1 === steps;
      if (!look) continue;
      const bytes = (step + 1 - from) * rows * 4;
      transcripts.take(new Uint32Array(copyBytes(await device.read(tokens.buffer, from * rows * 4, bytes)).buffer));
      from = step + 1;
      progress(from / steps);
      if (transcripts.allStopped()) break;
    }
    const chances = await device.read(logProbabilities.buffer, 0, from * rows * 4);
    return encodeGeneration(transcripts.samples(new Float32Array(copyBytes(chances).buffer)));
  }

  try {
    decoder.load(await chunks.read(plan.weights));
    const distinct = new Set([...decoder.pipelines, draw(0).pipeline]);
    await device.prepare([...distinct]);
  } catch (error) {
    arena.free();
    throw error;
  }
  return { run, close: () => arena.free() };
}

/** What each sample has so far; a stop token ends it and is not part of it. */
function createTranscripts(plan: GeneratePlan, first: number, count: number, rows: number) {
  const transcripts = Array.from({ length: count }, (_, row) => ({
    sample: first + row,
    tokens: [] as number[],
    finish: 'length' as GeneratedSample['finish'],
  }));
  /** Of the tokens that one sample kept, from the log probabilities [steps, rows] of all. */
  const logprobOf = (chances: Float32Array, row: number, length: number): number => {
    let sum = 0;
    for (let step = 0; step < length; step++) sum += chances[step * rows + row] ?? NaN;
    if (!Number.isFinite(sum)) throw new Error('generate: a logit is no number; are the weights right?');
    return sum;
  };
  return {
    /** The next tokens [steps, rows]. */
    take: (chosen: Uint32Array): void => {
      for (const [row, transcript] of transcripts.entries()) {
        for (let index = row; index < chosen.length && transcript.finish === 'length'; index += rows) {
          const token = chosen[index] ?? 0;
          if (plan.stopTokens.includes(token)) transcript.finish = 'stop';
          else transcript.tokens.push(token);
        }
      }
    },
    allStopped: (): boolean => transcripts.every(({ finish }) => finish === 'stop'),
    samples: (chances: Float32Array): readonly GeneratedSample[] =>
      transcripts.map((transcript, row) => ({
        ...transcript,
        logprob: logprobOf(chances, row, transcript.tokens.length),
      })),
  };
}

function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new UnitAbortedError('the unit was aborted');
}
