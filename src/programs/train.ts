/**
 * A training seat: loads a round's parameters, measures their validation loss where it was asked to, runs the round's
 * inner AdamW steps on the seat's own shard, and returns a contribution. The optimiser's moments stay between rounds, for
 * each seat that this volunteer holds, and after each round also outside the device, which may be lost. What the
 * contributions become is the aggregator's matter.
 */

import { present } from '../core/assert.ts';
import { concat, copyBytes, fromUtf8, utf8, type Bytes } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { expectInput } from '../core/result.ts';
import type { Device } from '../kernels/device.ts';
import { families } from '../kernels/families.ts';
import { pinnedChoices, type Choices } from '../kernels/variants.ts';
import { checkTrainPlan, shardOf, trainingWindows, validationStart, validationWindows } from '../learning/batches.ts';
import { encodeContribution } from '../learning/contribution.ts';
import { movedBy } from '../learning/diloco.ts';
import { learningRateAt } from '../learning/schedule.ts';
import { createTrainer, type Moments, type Trainer, type TrainingTokens } from '../learning/trainer.ts';
import type { TrainPlan } from '../protocol/manifest.ts';
import type { Seat } from '../protocol/messages.ts';
import type { Chunks } from '../protocol/ports.ts';
import type { OpenProgram, OpenProgramFunction, ProgramMemory, UnitRequest } from './program.ts';
import { UnitAbortedError } from './shader.ts';

export const openTrainProgram: OpenProgramFunction = async (
  manifest,
  device,
  chunks,
  memory = new Map(),
): Promise<OpenProgram> => {
  if (manifest.program !== 'train') throw new TypeError(`the train program cannot run a ${manifest.program} job`);
  const plan = expectInput(checkTrainPlan(manifest.train));
  const choices = pinnedChoices(plan.variants ?? {}, families, device, device.choices);
  const seats = await openSeats(plan, device, chunks, choices, memory);
  return { run: (request) => seats.run(request), close: () => seats.close() };
};

async function openSeats(plan: TrainPlan, device: Device, chunks: Chunks, choices: Choices, memory: ProgramMemory) {
  const validation = validationWindows(plan);
  const trainer = await createTrainer(device, {
    config: plan.model,
    optimizer: plan.optimizer,
    batch: plan.batch,
    lossesMax: plan.method.innerSteps + Math.ceil(validation.length / plan.batch),
    choices,
  });
  const shards = new Map<number, Uint8Array>();
  let validationTail: Uint8Array | undefined;
  let seatOnDevice: number | undefined;

  const readShard = async (seat: number): Promise<Uint8Array> => {
    const { start, end } = shardOf(plan, seat);
    const shard = shards.get(seat) ?? (await chunks.readRange(plan.data, start, end));
    shards.set(seat, shard);
    return shard;
  };

  async function takeSeat({ seat, fresh }: Seat): Promise<void> {
    if (fresh) trainer.setMoments(undefined);
    else if (seatOnDevice !== seat) trainer.setMoments(recall(memory, seat));
    seatOnDevice = seat;
  }

  async function measureValidation(signal: AbortSignal): Promise<number> {
    const start = validationStart(plan);
    const tail = (validationTail ??= await chunks.readRange(plan.data, start, plan.data.bytes));
    const batches = Math.ceil(validation.length / plan.batch);
    for (let index = 0; index < batches; index++) {
      stopIfAborted(signal);
      const windows = validation.slice(index * plan.batch, (index + 1) * plan.batch);
      await trainer.measure(tokensAt(plan, tail, start, windows), index);
    }
    const losses = await trainer.readLosses(batches);
    const weighted = losses.reduce((sum, loss, index) => sum + loss * sequencesOf(plan, validation, index), 0);
    const mean = weighted / validation.length;
    if (!Number.isFinite(mean)) throw new Error(`train: the validation loss is ${mean}; lower optimizer.learningRate`);
    return mean;
  }

  async function run({ seat, signal, progress }: UnitRequest): Promise<Bytes> {
    const lent = present(seat, 'a training unit without its seat');
    stopIfAborted(signal);
    const { start } = shardOf(plan, lent.seat);
    const loaded = await chunks.read(lent.parameters);
    const tokens = await readShard(lent.seat);
    await takeSeat(lent);
    trainer.load(loaded);
    const before = await trainer.readParameters();
    const validationLoss = lent.evaluate ? await measureValidation(signal) : null;
    for (let index = 0; index < lent.steps; index++) {
      stopIfAborted(signal);
      const step = lent.firstStep + index;
      const batch = tokensAt(plan, tokens, start, trainingWindows(plan, lent.seat, step));
      await trainer.step(batch, learningRateAt(plan.optimizer, step, plan.steps), index);
      progress((index + 1) / lent.steps);
    }
    const contribution = await contributionOf(plan, trainer, lent, before, validationLoss);
    remember(memory, lent.seat, await trainer.readMoments());
    return encodeContribution(plan, contribution);
  }

  return { run, close: () => trainer.close() };
}

/** Both moments after one another, and the number of steps as text. */
function remember(memory: ProgramMemory, seat: number, { first, second, steps }: Moments): void {
  memory.set(`seat ${seat} moments`, concat(first, second));
  memory.set(`seat ${seat} steps`, utf8(String(steps)));
}

function recall(memory: ProgramMemory, seat: number): Moments | undefined {
  const [moments, steps] = [memory.get(`seat ${seat} moments`), memory.get(`seat ${seat} steps`)];
  if (moments === undefined || steps === undefined) return undefined;
  const half = moments.byteLength / 2;
  return { first: moments.slice(0, half), second: moments.slice(half), steps: Number(fromUtf8(steps)) };
}

async function contributionOf(
  plan: TrainPlan,
  trainer: Trainer,
  seat: Seat,
  before: Bytes,
  validationLoss: number | null,
) {
  const losses = await trainer.readLosses(seat.steps);
  const broken = losses.findIndex((loss) => !Number.isFinite(loss));
  if (broken >= 0) {
    throw new Error(
      `train: the loss of step ${seat.firstStep + broken} is ${losses[broken]}; lower optimizer.learningRate`,
    );
  }
  const after = floats(await trainer.readParameters());
  const moved = movedBy(floats(before), after);
  return {
    report: {
      round: seat.round,
      seat: seat.seat,
      steps: seat.steps,
      tokens: seat.steps * plan.batch * plan.model.context,
      trainLoss: seat.steps === 0 ? null : losses.reduce((sum, loss) => sum + loss, 0) / seat.steps,
      validationLoss,
      parametersSha256: sha256(before),
      norm: Math.sqrt(moved.reduce((sum, x) => sum + x * x, 0)),
    },
    vector: seat.steps === 0 ? undefined : plan.method.name === 'solo' ? after : moved,
  };
}

const floats = (bytes: Uint8Array): Float32Array<ArrayBuffer> => new Float32Array(copyBytes(bytes).buffer);

/** Sequences in the batch with this number. */
const sequencesOf = (plan: TrainPlan, windows: readonly number[], batch: number): number =>
  Math.min(plan.batch, windows.length - batch * plan.batch);

/** The windows that begin at these places of the data; `bytes` are the data from `start` on. */
function tokensAt(plan: TrainPlan, bytes: Uint8Array, start: number, windows: readonly number[]): TrainingTokens {
  const { context } = plan.model;
  const inputs = new Uint32Array(windows.length * context);
  const targets = new Uint32Array(windows.length * context);
  for (const [sequence, from] of windows.entries()) {
    inputs.set(bytes.subarray(from - start, from - start + context), sequence * context);
    targets.set(bytes.subarray(from - start + 1, from - start + 1 + context), sequence * context);
  }
  return { inputs, targets };
}

function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new UnitAbortedError('the unit was aborted');
}
