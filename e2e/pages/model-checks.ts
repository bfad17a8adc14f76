/**
 * What a GPU has to do right before anybody trains or generates on it, as functions of a device that return numbers:
 * `model.ts` runs them in a browser's page, `src/programs/model.test.ts` on Dawn in Node. The expected side is f64.
 */

import { copyBytes, viewBytes, type Bytes } from '../../src/core/bytes.ts';
import { present } from '../../src/core/assert.ts';
import { createRandom } from '../../src/core/prng.ts';
import { adamwTruth } from '../../src/kernels/adamw.ts';
import type { Device } from '../../src/kernels/device.ts';
import { ropeTable } from '../../src/kernels/rope.ts';
import { squaredNormTruth } from '../../src/kernels/reduce.ts';
import { createTrainer } from '../../src/learning/trainer.ts';
import { createArena, type Arena } from '../../src/models/arena.ts';
import { createBackward } from '../../src/models/llama-backward.ts';
import { headWidth, initialParameters, llamaLayout } from '../../src/models/llama-parameters.ts';
import { gradientTruth } from '../../src/models/llama-gradient-truth.ts';
import { createForward, createLoss } from '../../src/models/llama.ts';
import { openGenerateProgram } from '../../src/programs/generate.ts';
import type { OpenProgram, ProgramMemory } from '../../src/programs/program.ts';
import { openTrainProgram } from '../../src/programs/train.ts';
import type { Artifact } from '../../src/protocol/artifact.ts';
import type { GeneratePlan, Manifest, ModelConfig, TrainPlan } from '../../src/protocol/manifest.ts';
import type { Seat } from '../../src/protocol/messages.ts';
import type { Chunks } from '../../src/protocol/ports.ts';
import type { AccountId } from '../../src/core/ids.ts';
import { adamw, artifactOf, smallConfig } from './model-plans.ts';

export const checkSeed = 11;

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(copyBytes(bytes).buffer);

/** Weights of ordinary size, so that no part of the network is nearly linear. */
function roughParameters(config: ModelConfig): Float32Array<ArrayBuffer> {
  const random = createRandom(checkSeed, 1);
  return Float32Array.from(initialParameters(config, checkSeed), (x) => x + 0.1 * random.normal());
}

function someTokens(config: ModelConfig, batch: number, stream: number) {
  const random = createRandom(checkSeed, stream);
  const draw = (): Uint32Array =>
    Uint32Array.from({ length: batch * config.context }, () => random.below(config.vocabulary));
  return { inputs: draw(), targets: draw() };
}

export interface GradientCheck {
  readonly lossDifference: number;
  /** Largest difference of any parameter's gradient, over the root mean square of all. */
  readonly worst: number;
  /** The same when the targets of the truth are moved on by one: what a wrong gradient looks like. */
  readonly worstWhenWrong: number;
}

/** Loss and whole gradient against the f64 network. */
export async function checkGradient(device: Device, config: ModelConfig = smallConfig): Promise<GradientCheck> {
  const [batch, length] = [3, config.context];
  const parameters = roughParameters(config);
  const { inputs, targets } = someTokens(config, batch, 2);
  const { elements } = llamaLayout(config);
  const layOut = (arena: Arena) => {
    const weights = {
      parameters: arena.tensor('parameters', elements),
      rope: arena.tensor('rope', length * headWidth(config)),
    };
    const gradients = arena.tensor('gradients', elements);
    const sums = arena.tensor('sums', 2);
    const forward = createForward(arena, weights, { config, batch, length, choices: device.choices });
    const loss = createLoss(arena, forward);
    return { weights, gradients, sums, forward, loss, backward: createBackward(arena, forward, gradients) };
  };
  const arena = createArena(device, 'check', layOut);
  const { weights, gradients, sums, forward, loss, backward } = layOut(arena);
  device.write(weights.parameters.buffer, viewBytes(parameters));
  device.write(weights.rope.buffer, viewBytes(ropeTable(length, headWidth(config), config.ropeTheta)));
  device.write(forward.tokens.buffer, viewBytes(inputs));
  device.write(loss.targets.buffer, viewBytes(targets));
  await device.run([...forward.dispatches, ...loss.dispatches(sums, 1), ...backward]);
  const got = floats(await device.read(gradients.buffer));
  const [, sum = NaN] = floats(await device.read(sums.buffer));
  arena.free();
  const compare = (expected: ArrayLike<number>) => {
    const truth = gradientTruth(config, parameters, { inputs, targets: expected, batch, length });
    const scale = Math.sqrt(truth.gradient.reduce((total, x) => total + x * x, 0) / elements);
    const worst = truth.gradient.reduce((most, x, index) => Math.max(most, Math.abs(x - (got[index] ?? NaN))), 0);
    return { loss: truth.loss, worst: worst / scale };
  };
  const right = compare(targets);
  const wrong = compare(targets.map((token) => (token + 1) % config.vocabulary));
  return {
    lossDifference: Math.abs(sum / (batch * length) - right.loss),
    worst: right.worst,
    worstWhenWrong: wrong.worst,
  };
}

export interface StepsCheck {
  readonly lossDifference: number;
  /** Largest difference of a parameter after five steps, over the largest distance that one moved. */
  readonly worst: number;
  readonly lossAtFirst: number;
  readonly lossAtLast: number;
}

/** Five AdamW steps on one batch against f64. */
export async function checkSteps(device: Device, config: ModelConfig = smallConfig): Promise<StepsCheck> {
  const steps = 5;
  const batch = 2;
  const start = roughParameters(config);
  const tokens = someTokens(config, batch, 3);
  const trainer = await createTrainer(device, { config, optimizer: adamw, batch, lossesMax: steps });
  trainer.load(viewBytes(start));
  for (let step = 0; step < steps; step++) await trainer.step(tokens, adamw.learningRate, step);
  const losses = await trainer.readLosses(steps);
  const got = floats(await trainer.readParameters());
  trainer.close();

  const { elements, matrixElements } = llamaLayout(config);
  let state = {
    parameters: Float64Array.from(start),
    firstMoments: new Float64Array(elements),
    secondMoments: new Float64Array(elements),
  };
  let lossDifference = 0;
  for (let step = 1; step <= steps; step++) {
    const { loss, gradient } = gradientTruth(config, state.parameters, { ...tokens, batch, length: config.context });
    lossDifference = Math.max(lossDifference, Math.abs(loss - (losses[step - 1] ?? NaN)));
    const numbers = {
      learningRate: adamw.learningRate,
      beta1: adamw.betas[0],
      beta2: adamw.betas[1],
      epsilon: adamw.epsilon,
      weightDecay: adamw.weightDecay,
      normMax: adamw.clip,
      step,
      squaredNorm: squaredNormTruth(gradient),
      decayCount: matrixElements,
    };
    state = adamwTruth({ ...state, gradients: gradient }, numbers) as typeof state;
  }
  const moved = state.parameters.reduce((most, x, index) => Math.max(most, Math.abs(x - (start[index] ?? NaN))), 0);
  const worst = state.parameters.reduce((most, x, index) => Math.max(most, Math.abs(x - (got[index] ?? NaN))), 0);
  return { lossDifference, worst: worst / moved, lossAtFirst: losses[0] ?? NaN, lossAtLast: losses[steps - 1] ?? NaN };
}

/** Chunks of artifacts that lie in memory. */
export function chunksInMemory(blobs: readonly (readonly [Artifact, Uint8Array])[]): Chunks {
  const bytesOf = (artifact: Artifact): Uint8Array =>
    present(blobs.find(([named]) => named.chunks.join() === artifact.chunks.join())?.[1], 'an artifact of this check');
  return {
    read: async (artifact) => copyBytes(bytesOf(artifact)),
    readRange: async (artifact, start, end) => copyBytes(bytesOf(artifact).subarray(start, end)),
  };
}

const common = {
  version: 1 as const,
  name: 'check',
  nonce: '0'.repeat(32),
  submitter: '0'.repeat(64) as AccountId,
  expires: 4_000_000_000,
  price: 1,
  verify: { replicas: 1, absolute: 0, relative: 0 },
  limits: { unitSeconds: 60 },
};

/** A unit that nobody watches or aborts. */
export const quiet = { signal: new AbortController().signal, progress: () => {} };

/** The train program over this text, which finds these parameters under their artifact. */
export function openSeat(
  device: Device,
  plan: TrainPlan,
  data: Uint8Array,
  parameters: Uint8Array,
  memory?: ProgramMemory,
): Promise<OpenProgram> {
  const manifest: Manifest = { ...common, program: 'train', units: 1, train: plan };
  const chunks = chunksInMemory([
    [plan.data, data],
    [artifactOf(parameters), parameters],
  ]);
  return openTrainProgram(manifest, device, chunks, memory);
}

/** Opens a training seat, runs these rounds from the same parameters one after another, and gives back their results. */
export async function runSeat(
  device: Device,
  plan: TrainPlan,
  data: Uint8Array,
  rounds: readonly Omit<Seat, 'parameters'>[],
  memory?: ProgramMemory,
): Promise<Bytes[]> {
  const parameters = viewBytes(initialParameters(plan.model, plan.seed));
  const program = await openSeat(device, plan, data, parameters, memory);
  const results: Bytes[] = [];
  for (const round of rounds) {
    results.push(await program.run({ unit: 0, seat: { ...round, parameters: artifactOf(parameters) }, ...quiet }));
  }
  program.close();
  return results;
}

/** The generate program of this plan, which finds these weights under their artifact. */
export function openGenerate(device: Device, plan: GeneratePlan, weights: Uint8Array): Promise<OpenProgram> {
  const manifest: Manifest = {
    ...common,
    program: 'generate',
    units: Math.ceil(plan.samples / plan.samplesPerUnit),
    generate: plan,
  };
  return openGenerateProgram(manifest, device, chunksInMemory([[plan.weights, weights]]));
}

/** The bytes of the first `units` units of a generate job, as text. */
export async function runGenerate(
  device: Device,
  plan: GeneratePlan,
  weights: Uint8Array,
  units: number,
): Promise<string[]> {
  const program = await openGenerate(device, plan, weights);
  const results: string[] = [];
  for (let unit = 0; unit < units; unit++) {
    results.push(new TextDecoder().decode(await program.run({ unit, ...quiet })));
  }
  program.close();
  return results;
}
