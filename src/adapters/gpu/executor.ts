/**
 * The port `Device` on WebGPU. Commands gather in a batch, which is submitted when something must be read, when the pacer
 * says that it is full, or when a buffer that it uses is written or freed. Calls keep their order: those that need not
 * wait act at once, others stand in a queue. Buffers and their account are kept here; pipelines, batches, pacing and the
 * device's life have files of their own.
 */

import { assert } from '../../core/assert.ts';
import { alignUp } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import {
  DeviceError,
  type Device,
  type DeviceBuffer,
  type DeviceLimits,
  type Dispatch,
  type Pipeline,
} from '../../kernels/device.ts';
import { safeChoices, type Choices } from '../../kernels/variants.ts';
import { createBatch, type Batch, type BoundBuffer } from './batch.ts';
import { createCallOrder, lifeOf } from './device-life.ts';
import { inErrorScopes } from './errors.ts';
import { createPacer, submitMsMax, type Pacer } from './pacer.ts';
import { createPipelines, type Pipelines } from './pipelines.ts';
import { createPrompt, noPrompt } from './prompt.ts';
import { createStaging } from './staging.ts';
import { createErrorKeeper, createSubmitter, reportText } from './submitter.ts';

export interface ExecutorOptions {
  readonly clock: Clock;
  readonly memoryBytesMax: number;
  /** Rounds after which the adapter ends loops by itself, where it does. */
  readonly loopIterationsMax?: number;
  /** Which variants programs run; default the safe ones. */
  readonly choices?: Choices;
  /** WGSL language features of the browser, which variants may need as they do the device's features; default none. */
  readonly languageFeatures?: readonly string[];
  /** From 0 to 1: how much of its limits, memory and time for a submit the device shall use; less after it was lost. Default 1. */
  readonly workScale?: number;
  /** The browser looks rarely whether the GPU is done, and must be asked: see `prompt.ts`. Default false. */
  readonly looksRarely?: boolean;
}

export interface Executor extends Device {
  /** Share of time, above 0 and up to 1, that the GPU may be busy. */
  setDuty(fraction: number): void;
  readonly pacer: Pacer;
  /** Resolves with the reason when the device is lost or closed; every call from then on rejects. */
  readonly lost: Promise<string>;
  isLost(): boolean;
  close(): void;
}

/** WebGPU binds larger uniforms nowhere. */
const uniformBytesMax = 65536;

interface OwnBuffer extends DeviceBuffer, BoundBuffer {}

export function createExecutor(device: GPUDevice, options: ExecutorOptions): Executor {
  const { clock, choices = safeChoices, workScale = 1 } = options;
  const { loopIterationsMax } = options;
  const limits: DeviceLimits = {
    ...limitsOf(device, options.memoryBytesMax, workScale),
    ...(loopIterationsMax === undefined ? {} : { loopIterationsMax }),
  };
  const life = lifeOf(device);
  const order = createCallOrder(life);
  const errors = createErrorKeeper(life);
  const pacer = createPacer(submitMsMax * workScale);
  const pipelines = createPipelines(device);
  const staging = createStaging(device);
  const buffers = new Map<DeviceBuffer, OwnBuffer>();
  let bytesInUse = 0;
  let nextBuffer = 1;
  const own = (buffer: DeviceBuffer): OwnBuffer => {
    const found = buffers.get(buffer);
    if (found === undefined) throw new DeviceError(`buffer ${buffer.label}: freed already, or of another device`);
    return found;
  };
  const batch = createBatch(device, pacer, ({ buffer }) => own(buffer), errors.report);
  const prompt = options.looksRarely === true ? createPrompt(() => device.queue.submit([]), clock) : noPrompt;
  // Around the device's life: after a loss some promises never settle, and nobody shall ask for ever.
  const workDone = (): Promise<unknown> => prompt.during(life.during(device.queue.onSubmittedWorkDone()));
  const submitter = createSubmitter(workDone, batch, pacer, life, clock);
  device.addEventListener('uncapturederror', (event) => reportText(errors.report, event.error.message));

  /** For calls that return nothing: at once, or in their turn. */
  const inOrder = (task: () => void): void => {
    if (order.isFree()) task();
    else order.enqueue(task).catch((error: unknown) => reportText(errors.report, error));
  };
  const recordQueued = async (dispatches: readonly Dispatch[]): Promise<void> => {
    for (const dispatch of dispatches) {
      const { pipeline, bindings } = dispatch;
      const ready = pipelines.find(pipeline, bindings) ?? (await life.during(pipelines.compile(pipeline, bindings)));
      if (!batch.fits(ready, dispatch)) await submitter.submit();
      batch.dispatch(ready, dispatch);
    }
  };

  return {
    limits,
    features: new Set([...device.features, ...(options.languageFeatures ?? [])]),
    choices,
    pacer,
    lost: life.lost,
    isLost: life.isLost,
    setDuty: pacer.setDuty,

    createBuffer(label, bytes) {
      life.assertAlive();
      checkBuffer(label, bytes, bytesInUse, limits);
      const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
      const usage = STORAGE | COPY_SRC | COPY_DST | (bytes <= uniformBytesMax ? UNIFORM : 0);
      const make = (): GPUBuffer => device.createBuffer({ label, size: bytes, usage });
      const gpu = inErrorScopes(device, `buffer ${label} of ${bytes} bytes`, make, errors.report);
      const buffer: OwnBuffer = { label, bytes, id: nextBuffer++, gpu, groups: new Set() };
      buffers.set(buffer, buffer);
      bytesInUse += bytes;
      return buffer;
    },

    write(buffer, bytes, offset = 0) {
      life.assertAlive();
      const { gpu, label } = own(buffer);
      assert(bytes.byteLength % 4 === 0 && offset % 4 === 0, `buffer ${label}: writes go in multiples of 4 bytes`);
      // A write that must wait its turn outlives this call, and the caller may reuse its memory.
      const stable = order.isFree() ? bytes : bytes.slice();
      inOrder(() => {
        if (batch.uses(gpu)) submitter.submitNow();
        const put = (): void => device.queue.writeBuffer(gpu, offset, stable);
        inErrorScopes(device, `buffer ${label}`, put, errors.report);
      });
    },

    clear(buffer) {
      life.assertAlive();
      const { gpu } = own(buffer);
      inOrder(() => batch.clear(gpu));
    },

    copy(from, fromOffset, to, toOffset, bytes) {
      life.assertAlive();
      const copy = { from: own(from).gpu, fromOffset, to: own(to).gpu, toOffset, bytes };
      inOrder(() => batch.copy(copy));
    },

    async prepare(wanted, bindings) {
      life.assertAlive();
      const compile = (pipeline: Pipeline): Promise<unknown> =>
        bindings === undefined ? pipelines.prepare(pipeline) : pipelines.compile(pipeline, bindings);
      await life.during(Promise.all(wanted.map(compile)));
    },

    async run(dispatches) {
      life.assertAlive();
      const recorded = order.isFree() ? recordReady(batch, pipelines, dispatches) : 0;
      if (recorded === dispatches.length) return;
      const rest = dispatches.slice(recorded).map(withOwnUniforms);
      await order.enqueue(() => recordQueued(rest));
    },

    async flush() {
      life.assertAlive();
      await order.enqueue(async () => {
        await submitter.submit();
        await submitter.done();
      });
      await errors.throwFirst();
    },

    async read(buffer, offset = 0, bytes = buffer.bytes - offset) {
      life.assertAlive();
      const { gpu, label } = own(buffer);
      assert(offset % 4 === 0, `buffer ${label}: reads start at multiples of 4 bytes`);
      if (bytes <= 0 || offset + bytes > buffer.bytes) {
        throw new DeviceError(`buffer ${label}: bytes ${offset} to ${offset + bytes} of ${buffer.bytes}`);
      }
      const target = await order.enqueue(async () => {
        const to = staging.take(alignUp(bytes, 8));
        batch.copy({ from: gpu, fromOffset: offset, to, toOffset: 0, bytes: alignUp(bytes, 4) });
        await submitter.submit();
        return to;
      });
      const collected = prompt.during(life.during(staging.collect(target, bytes)));
      // The scopes name the cause; that the mapping failed too says nothing more.
      collected.catch(() => undefined);
      await errors.throwFirst();
      return collected;
    },

    free(buffer) {
      const found = buffers.get(buffer);
      if (found === undefined) return;
      inOrder(() => {
        if (batch.uses(found.gpu) && !life.isLost()) submitter.submitNow();
        batch.forgetGroups(found);
        found.gpu.destroy();
      });
      buffers.delete(buffer);
      bytesInUse -= found.bytes;
    },

    usage: () => ({ buffers: buffers.size, bytes: bytesInUse }),

    close() {
      life.end('the GPU device was closed');
      staging.destroy();
      batch.destroy();
      device.destroy();
    },
  };
}

const limitsOf = ({ limits }: GPUDevice, memoryBytesMax: number, workScale: number): DeviceLimits => ({
  bindingBytesMax: Math.floor(limits.maxStorageBufferBindingSize * workScale),
  bufferBytesMax: Math.floor(limits.maxBufferSize * workScale),
  workgroupsPerDimensionMax: limits.maxComputeWorkgroupsPerDimension,
  storageBindingsMax: limits.maxStorageBuffersPerShaderStage,
  workgroupInvocationsMax: limits.maxComputeInvocationsPerWorkgroup,
  workgroupBytesMax: limits.maxComputeWorkgroupStorageSize,
  memoryBytesMax: Math.floor(memoryBytesMax * workScale),
});

function checkBuffer(label: string, bytes: number, bytesInUse: number, limits: DeviceLimits): void {
  const { bufferBytesMax, memoryBytesMax } = limits;
  assert(bytes > 0 && bytes % 4 === 0, `buffer ${label}: ${bytes} bytes is not a positive multiple of 4`);
  if (bytes > bufferBytesMax) {
    throw new DeviceError(`buffer ${label}: ${bytes} bytes, this device allows ${bufferBytesMax}`);
  }
  if (bytesInUse + bytes > memoryBytesMax) {
    throw new DeviceError(
      `buffer ${label}: ${bytes} bytes on top of ${bytesInUse} in use pass the ${memoryBytesMax} bytes lent here`,
    );
  }
}

/** Records without waiting for as long as that is possible; gives how many it recorded. */
function recordReady(batch: Batch, pipelines: Pipelines, dispatches: readonly Dispatch[]): number {
  for (const [index, dispatch] of dispatches.entries()) {
    const ready = pipelines.find(dispatch.pipeline, dispatch.bindings);
    if (ready === undefined || !batch.fits(ready, dispatch)) return index;
    batch.dispatch(ready, dispatch);
  }
  return dispatches.length;
}

const withOwnUniforms = (dispatch: Dispatch): Dispatch => ({
  ...dispatch,
  bindings: dispatch.bindings.map((binding) =>
    'uniform' in binding ? { ...binding, uniform: binding.uniform.slice() } : binding,
  ),
});
