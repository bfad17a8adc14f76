/**
 * A stage of a served model: loads the weights of its layers out of the model's file, says that it is ready, and then computes
 * rows for as long as its volunteer has the stage. Which rows come next and what goes to whom is decided by the machine in
 * `inference/pipeline-stage.ts`; layers, cache and the choice of tokens are `models/stage.ts`; here both meet.
 */

import { decodeActivations, encodeActivations } from '../inference/activations.ts';
import {
  createPipelineStage,
  type BatchResult,
  type PipelineStage,
  type StageBatch,
  type StageOutput,
} from '../inference/pipeline-stage.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { expectInput } from '../core/result.ts';
import { DeviceError, type Device } from '../kernels/device.ts';
import { families } from '../kernels/families.ts';
import { pinnedChoices, type Choices } from '../kernels/variants.ts';
import { openNetworkWeights } from '../models/network-weights.ts';
import { createStage, pageTokensDefault, type Stage } from '../models/stage.ts';
import { artifactSource } from '../models/weights/artifact-source.ts';
import { openGguf } from '../models/weights/gguf.ts';
import { matchLlama, type LlamaWeights } from '../models/weights/llama-weights.ts';
import { openLlama2c } from '../models/weights/llama2c.ts';
import { openSafetensors } from '../models/weights/safetensors.ts';
import type { TensorFile } from '../models/weights/tensor-file.ts';
import type { ServePlan } from '../protocol/manifest.ts';
import type { Chunks } from '../protocol/ports.ts';
import type { StageLease } from '../protocol/serving-messages.ts';
import type { OpenProgram, OpenProgramFunction, StageChannel, StageReply, StageWord, UnitRequest } from './program.ts';
import { UnitAbortedError } from './shader.ts';

/** Rows of one batch: enough for a prompt's matrices to be worth their reading, few enough that samples need not wait long. */
const rowsMax = 128;

export const openServeProgram: OpenProgramFunction = async (manifest, device, chunks): Promise<OpenProgram> => {
  if (manifest.program !== 'serve') throw new TypeError(`the serve program cannot run a ${manifest.program} job`);
  const plan = manifest.serve;
  const choices = pinnedChoices(plan.variants ?? {}, families, device, device.choices);
  let held: HeldStage | undefined;
  return {
    run: async ({ stage: asked, signal, gpuMs = () => 0 }) => {
      if (asked === undefined) throw new TypeError('a unit of a served model is a stage');
      const { lease, channel } = asked;
      // The same layers again, after a pause: their weights still lie there.
      if (held === undefined || !isSame(held.lease, lease)) {
        held?.free();
        held = undefined;
        held = await openStage(plan, lease, device, chunks, choices);
      }
      await serve(held, plan, channel, { signal, gpuMs });
      throw new UnitAbortedError('the stage was given back');
    },
    close: () => held?.free(),
  };
};

interface HeldStage {
  readonly lease: StageLease;
  readonly stage: Stage;
  /** On the device. */
  readonly weightBytes: number;
  free(): void;
}

const isSame = (a: StageLease, b: StageLease): boolean =>
  a.firstLayer === b.firstLayer && a.layers === b.layers && a.stage === b.stage;

async function openStage(
  plan: ServePlan,
  lease: StageLease,
  device: Device,
  chunks: Chunks,
  choices: Choices,
): Promise<HeldStage> {
  const { context, sequences } = plan;
  const weights = await openNetworkWeights(device, await weightsOf(plan, chunks), {
    first: lease.firstLayer,
    count: lease.layers,
    embedding: lease.stage === 0,
    head: lease.stage === lease.stages - 1,
    positionsMax: context,
    ...(plan.quantise && { quantise: plan.quantise }),
  });
  try {
    const stage = createStage(device, {
      weights,
      // Every sample may fill the context, and beside them lies the part of a page that a prompt shares with nobody.
      pages: sequences * (Math.ceil(context / pageTokensDefault) + 1),
      positionsMax: context,
      // A prompt is a sequence of its own.
      sequencesMax: 2 * sequences,
      rowsMax,
      choices,
    });
    const free = (): void => {
      stage.free();
      weights.free();
    };
    return { lease, stage, weightBytes: weights.bytes, free };
  } catch (error) {
    weights.free();
    throw error;
  }
}

/** The parameters in the model's file, checked against the plan's network. */
async function weightsOf({ name, model, weights, format }: ServePlan, chunks: Chunks): Promise<LlamaWeights> {
  const source = artifactSource(name, chunks, weights);
  return expectInput(matchLlama(model, await openers[format](source)));
}

const openers: Readonly<Record<ServePlan['format'], (source: ByteSource) => Promise<TensorFile>>> = {
  safetensors: async (source) => expectInput(await openSafetensors(source)),
  gguf: async (source) => expectInput(await openGguf(source)),
  llama2c: async (source) => expectInput(await openLlama2c(source)).file,
};

/** Until the signal. */
async function serve(
  { stage, lease, weightBytes }: HeldStage,
  plan: ServePlan,
  channel: StageChannel,
  { signal, gpuMs }: Pick<UnitRequest, 'signal'> & { readonly gpuMs: () => number },
): Promise<void> {
  const { width } = plan.model;
  const { isFirst, isLast } = stage;
  const machine = createPipelineStage({ isFirst, isLast, width, rowsMax, stages: lease.stages });
  const open = new Set<number>();
  const say = (outputs: readonly StageOutput[]): void => {
    if (outputs.length > 0) channel.say(outputs.map((output) => packed(output, plan)));
  };
  const hear = (): void => {
    for (const word of channel.take()) tell(machine, word, plan, say);
  };
  const since = gpuMs();
  let [rows, batches, told] = [0, 0, 0];
  const tellWork = (): void => {
    if (told === batches) return;
    told = batches;
    channel.say([{ type: 'worked', rows, batches, gpuMs: gpuMs() - since }]);
  };
  channel.say([{ type: 'ready', bytes: weightBytes }]);
  try {
    while (!signal.aborted) {
      hear();
      const batch = machine.next();
      if (batch === undefined) {
        tellWork();
        await channel.waiting();
        continue;
      }
      rows += batch.rows.length;
      batches += 1;
      say(machine.computed(batch, await compute(stage, batch, open)));
    }
  } catch (error) {
    // What the caches held is gone with the device: somebody else takes over, and this volunteer begins anew.
    if (error instanceof DeviceError) throw new Error(`the stage's device failed: ${error.message}`, { cause: error });
    throw error;
  } finally {
    for (const sequence of open) stage.close(sequence);
  }
}

function tell(
  machine: PipelineStage,
  word: StageWord,
  plan: ServePlan,
  say: (outputs: readonly StageOutput[]) => void,
): void {
  if (word.type === 'tokens') {
    // Neighbours are strangers: the hub would not take these either.
    const tokens = word.tokens.filter(({ token }) => token < plan.model.vocabulary);
    return say(machine.receive({ ...word, tokens }));
  }
  if (word.type !== 'rows') return say(machine.receive(word));
  const { rows, bytes } = word;
  const values = decodeActivations(plan.activations, bytes, rows.length, plan.model.width);
  if (values !== undefined) say(machine.receive({ type: 'rows', rows, values }));
}

function packed(output: StageOutput, { activations, model }: ServePlan): StageReply {
  if (output.type !== 'rows') return output;
  const { rows, values } = output;
  return { type: 'rows', rows, bytes: encodeActivations(activations, values, model.width) };
}

/** What the machine asked for, on the device. */
async function compute(stage: Stage, batch: StageBatch, open: Set<number>): Promise<BatchResult> {
  for (const sequence of batch.closes) {
    stage.close(sequence);
    open.delete(sequence);
  }
  for (const { stream, tokensMax, prefix } of batch.opens) {
    stage.open(stream, tokensMax, prefix);
    open.add(stream);
  }
  const { kind, rows, tokens, values, draws } = batch;
  if (rows.length === 0) return { values: new Float32Array(0) };
  const logits = [...new Set(draws.map(({ row }) => row))];
  const computed = await stage.forward({
    kind,
    rows,
    ...(tokens === undefined ? {} : { tokens }),
    ...(values === undefined ? {} : { values }),
    ...(stage.isLast ? { logits } : {}),
  });
  if (computed !== undefined) return { values: computed };
  if (draws.length === 0) return { chosen: [] };
  const chosen = await stage.sample(
    draws.map(({ row, position, sample, sampling }) => {
      const { temperature, topP, topK, seed, topLogprobs } = sampling;
      return { row, position, sample, temperature, topP, topK, seed, top: topLogprobs };
    }),
  );
  for (const { logprob } of chosen) {
    if (!Number.isFinite(logprob)) throw new Error('a logit is no number; are the weights right?');
  }
  return { chosen: chosen.map(({ token, logprob, top }) => ({ token, logprob, top: top.map(([a, b]) => [a, b]) })) };
}
