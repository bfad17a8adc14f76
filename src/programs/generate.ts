/**
 * Repeated sampling from a network: each unit draws its own samples of the job's prompt, all together, a token of each at
 * a time. The GPU chooses the tokens and keeps them; they are read every few steps, to see who has finished.
 */

import { copyBytes, viewBytes, type Bytes } from '../core/bytes.ts';
import { InputError } from '../core/result.ts';
import type { Device } from '../kernels/device.ts';
import { sampleDispatch } from '../kernels/sample.ts';
import { encodeGeneration, newTokensMax, samplesOfUnit, type GeneratedSample } from '../inference/generation-result.ts';
import { createArena } from '../models/arena.ts';
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
  return openSampler(plan, device, chunks);
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

async function openSampler(plan: GeneratePlan, device: Device, chunks: Chunks): Promise<OpenProgram> {
  const { promptTokens, model } = plan;
  const { vocabulary } = model;
  const steps = newTokensMax(plan);
  const rows = Math.min(plan.samplesPerUnit, plan.samples);
  const arena = createArena(device, 'generate');
  const decoder = createDecoder(device, arena, {
    config: model,
    sequences: rows,
    promptLength: promptTokens.length,
    positionsMax: promptTokens.length + steps,
  });
  const samples = arena.tensor('samples', rows);
  /** [steps, rows] */
  const tokens = arena.tensor('chosen', steps * rows);
  const logProbabilities = arena.tensor('log probabilities', steps * rows);

  /** Draws the token at this step from the logits that stand there. */
  const draw = (step: number) =>
    sampleDispatch({
      logits: decoder.logits,
      samples,
      tokens: { buffer: tokens.buffer, offset: step * rows },
      logProbabilities: { buffer: logProbabilities.buffer, offset: step * rows },
      rows,
      vocabulary,
      temperature: plan.temperature,
      topK: plan.topK,
      topP: plan.topP,
      seed: plan.seed,
      position: promptTokens.length + step,
    });

  async function run({ unit, signal, progress }: UnitRequest): Promise<Bytes> {
    stopIfAborted(signal);
    const { first, count } = samplesOfUnit(plan, unit);
    device.write(samples.buffer, viewBytes(Uint32Array.from({ length: rows }, (_, row) => first + row)));
    await decoder.prefill(promptTokens);
    const transcripts = createTranscripts(plan, first, count, rows);
    for (let step = 0; step < steps; step++) {
      stopIfAborted(signal);
      const fed = { buffer: tokens.buffer, offset: (step - 1) * rows };
      await device.run([...(step === 0 ? [] : decoder.step(fed, promptTokens.length + step - 1)), draw(step)]);
      const look = (step + 1) % tokensPerRead === 0 || step + 1 === steps;
      if (!look) continue;
      const from = Math.floor(step / tokensPerRead) * tokensPerRead;
      const bytes = (step + 1 - from) * rows * 4;
      const chosen = new Uint32Array(copyBytes(await device.read(tokens.buffer, from * rows * 4, bytes)).buffer);
      const chances = new Float32Array(
        copyBytes(await device.read(logProbabilities.buffer, from * rows * 4, bytes)).buffer,
      );
      transcripts.take(chosen, chances);
      progress((step + 1) / steps);
      if (transcripts.allStopped()) break;
    }
    return encodeGeneration(transcripts.samples());
  }

  try {
    decoder.load(await chunks.read(plan.weights));
    const distinct = new Map([...decoder.pipelines, draw(0).pipeline].map((pipeline) => [pipeline.label, pipeline]));
    await device.prepare([...distinct.values()]);
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
    logprob: 0,
    finish: 'length' as GeneratedSample['finish'],
  }));
  return {
    take: (chosen: Uint32Array, chances: Float32Array): void => {
      for (const [row, transcript] of transcripts.entries()) {
        for (let index = row; index < chosen.length && transcript.finish === 'length'; index += rows) {
          const token = chosen[index] ?? 0;
          if (plan.stopTokens.includes(token)) {
            transcript.finish = 'stop';
          } else {
            transcript.tokens.push(token);
            transcript.logprob += chances[index] ?? 0;
            if (!Number.isFinite(transcript.logprob))
              throw new Error('generate: a logit is no number; are the weights right?');
          }
        }
      }
    },
    allStopped: (): boolean => transcripts.every(({ finish }) => finish === 'stop'),
    samples: (): readonly GeneratedSample[] => transcripts,
  };
}

function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new UnitAbortedError('the unit was aborted');
}
