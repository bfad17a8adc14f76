/**
 * The port `Device` on WebGPU. Commands gather in a list and are encoded, inside error scopes, in one piece when a
 * submit is due: when something must be read, when the pacer says that a submit is full, or when a buffer that the list
 * uses is written or freed. Calls keep their order: those that need not wait act at once, others stand in a queue.
 * What a submit may cost and when the next may start is the pacer's matter, compiling is that of `pipelines`.
 */

import { assert } from '../../core/assert.ts';
import { alignUp, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import {
  DeviceError,
  type Binding,
  type Device,
  type DeviceBuffer,
  type DeviceLimits,
  type Dispatch,
  type Pipeline,
} from '../../kernels/device.ts';
import { createUniformArena, uniformBindingBytes } from './arena.ts';
import { inErrorScopes, textOf } from './errors.ts';
import { createPacer, dispatchesPerSubmitMax, kindOf, submitMsMax, type Pacer, type Work } from './pacer.ts';
import { createPipelines, type ReadyPipeline } from './pipelines.ts';
import { createStaging } from './staging.ts';

export interface ExecutorOptions {
  readonly clock: Clock;
  readonly memoryBytesMax: number;
}

export interface Executor extends Device {
  /** Share of time, above 0 and up to 1, that the GPU may be busy. */
  setDuty(fraction: number): void;
  readonly pacer: Pacer;
  /** Resolves with the reason when the device is lost or closed; every call from then on rejects. */
  readonly lost: Promise<string>;
  close(): void;
}

type Command =
  | {
      readonly type: 'dispatch';
      readonly ready: ReadyPipeline;
      readonly group: GPUBindGroup;
      readonly offsets: readonly number[];
      readonly dispatch: Dispatch;
    }
  | {
      readonly type: 'copy';
      readonly from: GPUBuffer;
      readonly fromOffset: number;
      readonly to: GPUBuffer;
      readonly toOffset: number;
      readonly bytes: number;
    }
  | { readonly type: 'clear'; readonly buffer: GPUBuffer };

/** Submits in flight: one that runs and one that waits, so that the GPU never idles for the CPU and abort acts soon. */
const inFlightMax = 2;
/** Browsers clamp timers to 4 ms; shorter rests are saved up. */
const restMsMin = 4;
/** WebGPU binds larger uniforms nowhere. */
const uniformBytesMax = 65536;

/** Bind groups kept; a job whose units bind ever new sizes would gather them without end. */
const groupsMax = 4096;

interface OwnBuffer extends DeviceBuffer {
  readonly id: number;
  readonly gpu: GPUBuffer;
  readonly groups: Set<string>;
}

export function createExecutor(device: GPUDevice, { clock, memoryBytesMax }: ExecutorOptions): Executor {
  const pacer = createPacer();
  const pipelines = createPipelines(device);
  const arena = createUniformArena(device);
  const staging = createStaging(device);
  const buffers = new Map<DeviceBuffer, OwnBuffer>();
  const groups = new Map<string, GPUBindGroup>();
  let bytesInUse = 0;
  let nextBuffer = 1;

  let commands: Command[] = [];
  let used = new Set<GPUBuffer>();
  let work: Work = new Map();
  let batchMs = 0;

  let errors: Promise<DeviceError | undefined>[] = [];
  const inFlight: Promise<void>[] = [];

  let lostText: string | undefined;
  const waiting = new Set<(error: DeviceError) => void>();
  const lose = (text: string): string => {
    lostText ??= text;
    for (const reject of waiting) reject(new DeviceError(lostText));
    waiting.clear();
    return lostText;
  };
  const lost = device.lost.then((info) =>
    lose(`the GPU device was lost (${info.reason}): ${textOf(info.message)}; open a new one`),
  );
  const assertAlive = (): void => {
    if (lostText !== undefined) throw new DeviceError(lostText);
  };
  /** What WebGPU promised, or a rejection as soon as the device is lost: some of its promises then never settle. */
  const whileAlive = <T>(promise: Promise<T>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (lostText !== undefined) {
        reject(new DeviceError(lostText));
        return;
      }
      waiting.add(reject);
      promise
        .then(resolve, (error: unknown) =>
          reject(error instanceof DeviceError ? error : new DeviceError(textOf(error))),
        )
        .finally(() => waiting.delete(reject));
    });

  // Calls in order: `enqueue` for those that may wait, `inOrder` for those that may not but must not overtake.
  let queue: Promise<unknown> = Promise.resolve();
  let queued = 0;
  const enqueue = <T>(task: () => Promise<T> | T): Promise<T> => {
    queued++;
    const result = queue.then(() => {
      assertAlive();
      return task();
    });
    queue = result.then(
      () => queued--,
      () => queued--,
    );
    return result;
  };
  const inOrder = (task: () => void): void => {
    if (queued === 0) task();
    else enqueue(task).catch((error: unknown) => errors.push(Promise.resolve(new DeviceError(textOf(error)))));
  };

  const own = (buffer: DeviceBuffer): OwnBuffer => {
    const found = buffers.get(buffer);
    if (found === undefined) throw new DeviceError(`buffer ${buffer.label}: freed already, or of another device`);
    return found;
  };
  const report = (error: Promise<DeviceError | undefined>): void => {
    errors.push(error.catch(() => undefined));
  };

  // --- recording

  const groupOf = (ready: ReadyPipeline, bindings: readonly Binding[]): GPUBindGroup => {
    let key = ready.id;
    for (const binding of bindings) {
      key +=
        'uniform' in binding
          ? `;${binding.binding}:a${uniformBindingBytes(binding.uniform.byteLength)}`
          : `;${binding.binding}:${own(binding.buffer).id},${binding.offset ?? 0},${binding.bytes ?? ''}`;
    }
    const found = groups.get(key);
    if (found !== undefined) return found;
    const entries = bindings.map((binding): GPUBindGroupEntry => {
      if ('uniform' in binding) {
        const size = uniformBindingBytes(binding.uniform.byteLength);
        return { binding: binding.binding, resource: { buffer: arena.buffer, offset: 0, size } };
      }
      const { offset, size } = rangeOf(ready.pipeline.label, binding);
      return { binding: binding.binding, resource: { buffer: own(binding.buffer).gpu, offset, size } };
    });
    const what = ready.pipeline.label;
    const made = inErrorScopes(device, what, () => device.createBindGroup({ layout: ready.layout, entries }), report);
    if (groups.size >= groupsMax) groups.clear();
    groups.set(key, made);
    for (const binding of bindings) if ('buffer' in binding) own(binding.buffer).groups.add(key);
    return made;
  };

  const kindOfDispatch = (ready: ReadyPipeline, [x, y, z]: Dispatch['grid']): { kind: string; workgroups: number } => {
    const workgroups = Math.max(1, x * y * z);
    return { kind: kindOf(ready.id, workgroups), workgroups };
  };
  const fits = (ready: ReadyPipeline, dispatch: Dispatch): boolean => {
    if (commands.length === 0) return true;
    const { kind, workgroups } = kindOfDispatch(ready, dispatch.grid);
    const uniforms = dispatch.bindings.flatMap((binding) => ('uniform' in binding ? [binding.uniform.byteLength] : []));
    return (
      commands.length < dispatchesPerSubmitMax &&
      batchMs + pacer.estimate(kind, workgroups) <= submitMsMax &&
      arena.hasRoom(uniforms)
    );
  };
  const record = (ready: ReadyPipeline, dispatch: Dispatch): void => {
    const bindings = dispatch.bindings.toSorted((a, b) => a.binding - b.binding);
    const group = groupOf(ready, bindings);
    const offsets: number[] = [];
    for (const binding of bindings) {
      if ('uniform' in binding) offsets.push(arena.put(binding.uniform));
      else used.add(own(binding.buffer).gpu);
    }
    commands.push({ type: 'dispatch', ready, group, offsets, dispatch });
    const { kind, workgroups } = kindOfDispatch(ready, dispatch.grid);
    batchMs += pacer.estimate(kind, workgroups);
    const sum = work.get(kind) ?? { dispatches: 0, groups: 0 };
    work.set(kind, { dispatches: sum.dispatches + 1, groups: sum.groups + workgroups });
  };

  // --- submitting

  const submitNow = (): void => {
    if (commands.length === 0) return;
    const labels = commands.flatMap((command) =>
      command.type === 'dispatch' ? [command.dispatch.pipeline.label] : [],
    );
    inErrorScopes(
      device,
      labels[0] ?? 'copy',
      () => {
        arena.upload();
        device.queue.submit([encode(device, commands)]);
      },
      report,
    );
    const ticket = pacer.submitted(work, clock.now());
    const done = whileAlive(device.queue.onSubmittedWorkDone()).then(() => pacer.finished(ticket, clock.now()));
    // A lost device is told to whoever calls next; here only the order matters.
    const settled = done.catch(() => undefined).then(() => void inFlight.splice(inFlight.indexOf(settled), 1));
    inFlight.push(settled);
    commands = [];
    used = new Set();
    work = new Map();
    batchMs = 0;
  };
  const submit = async (): Promise<void> => {
    if (commands.length === 0) return;
    const atOnceMax = pacer.duty < 1 ? 1 : inFlightMax;
    while (inFlight.length >= atOnceMax) await inFlight[0];
    const restMs = pacer.duty < 1 ? pacer.restMs(clock.now()) : 0;
    if (restMs >= restMsMin) await whileAlive(new Promise<void>((resolve) => void clock.after(restMs, resolve)));
    assertAlive();
    submitNow();
  };
  const throwErrors = async (): Promise<void> => {
    const pending = errors;
    errors = [];
    const first = (await whileAlive(Promise.all(pending))).find((error) => error !== undefined);
    if (first !== undefined) throw first;
  };

  /** Records without waiting for as long as that is possible; gives how many it recorded. */
  const recordReady = (dispatches: readonly Dispatch[]): number => {
    for (const [index, dispatch] of dispatches.entries()) {
      const ready = pipelines.find(dispatch.pipeline, dispatch.bindings);
      if (ready === undefined || !fits(ready, dispatch)) return index;
      record(ready, dispatch);
    }
    return dispatches.length;
  };
  const runQueued = async (dispatches: readonly Dispatch[]): Promise<void> => {
    for (const dispatch of dispatches) {
      const { pipeline, bindings } = dispatch;
      const ready = pipelines.find(pipeline, bindings) ?? (await whileAlive(pipelines.compile(pipeline, bindings)));
      if (!fits(ready, dispatch)) await submit();
      record(ready, dispatch);
    }
  };

  const limits: DeviceLimits = {
    bindingBytesMax: device.limits.maxStorageBufferBindingSize,
    bufferBytesMax: device.limits.maxBufferSize,
    workgroupsPerDimensionMax: device.limits.maxComputeWorkgroupsPerDimension,
    storageBindingsMax: device.limits.maxStorageBuffersPerShaderStage,
    workgroupInvocationsMax: device.limits.maxComputeInvocationsPerWorkgroup,
    workgroupBytesMax: device.limits.maxComputeWorkgroupStorageSize,
    memoryBytesMax,
  };
  device.addEventListener('uncapturederror', (event) => {
    report(Promise.resolve(new DeviceError(textOf(event.error.message))));
  });

  return {
    limits,
    features: new Set(device.features),
    pacer,
    lost,
    setDuty: pacer.setDuty,

    createBuffer(label, bytes) {
      assertAlive();
      assert(bytes > 0 && bytes % 4 === 0, `buffer ${label}: ${bytes} bytes is not a positive multiple of 4`);
      if (bytes > limits.bufferBytesMax) {
        throw new DeviceError(`buffer ${label}: ${bytes} bytes, this device allows ${limits.bufferBytesMax}`);
      }
      if (bytesInUse + bytes > memoryBytesMax) {
        throw new DeviceError(
          `buffer ${label}: ${bytes} bytes on top of ${bytesInUse} in use pass the ${memoryBytesMax} bytes lent here`,
        );
      }
      const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
      const usage = STORAGE | COPY_SRC | COPY_DST | (bytes <= uniformBytesMax ? UNIFORM : 0);
      const what = `buffer ${label} of ${bytes} bytes`;
      const gpu = inErrorScopes(device, what, () => device.createBuffer({ label, size: bytes, usage }), report);
      const buffer: OwnBuffer = { label, bytes, id: nextBuffer++, gpu, groups: new Set() };
      buffers.set(buffer, buffer);
      bytesInUse += bytes;
      return buffer;
    },

    write(buffer, bytes, offset = 0) {
      assertAlive();
      const { gpu, label } = own(buffer);
      assert(bytes.byteLength % 4 === 0 && offset % 4 === 0, `buffer ${label}: writes go in multiples of 4 bytes`);
      // Queued writes outlive this call, and the caller may reuse its memory.
      const stable = queued === 0 ? bytes : bytes.slice();
      inOrder(() => {
        if (used.has(gpu)) submitNow();
        const put = (): void => device.queue.writeBuffer(gpu, offset, stable as Uint8Array<ArrayBuffer>);
        inErrorScopes(device, `buffer ${label}`, put, report);
      });
    },

    clear(buffer) {
      assertAlive();
      const { gpu } = own(buffer);
      inOrder(() => {
        commands.push({ type: 'clear', buffer: gpu });
        used.add(gpu);
      });
    },

    copy(from, fromOffset, to, toOffset, bytes) {
      assertAlive();
      const source = own(from).gpu;
      const target = own(to).gpu;
      inOrder(() => {
        commands.push({ type: 'copy', from: source, fromOffset, to: target, toOffset, bytes });
        used.add(source).add(target);
      });
    },

    async prepare(wanted, bindings) {
      assertAlive();
      const compile = (pipeline: Pipeline): Promise<unknown> =>
        bindings === undefined ? pipelines.prepare(pipeline) : pipelines.compile(pipeline, bindings);
      await whileAlive(Promise.all(wanted.map(compile)));
    },

    async run(dispatches) {
      assertAlive();
      const recorded = queued === 0 ? recordReady(dispatches) : 0;
      if (recorded === dispatches.length) return;
      const rest = dispatches.slice(recorded).map(withOwnUniforms);
      await enqueue(() => runQueued(rest));
    },

    async flush() {
      assertAlive();
      await enqueue(async () => {
        await submit();
        await Promise.all(inFlight);
      });
      assertAlive();
      await throwErrors();
    },

    async read(buffer, offset = 0, bytes = buffer.bytes - offset): Promise<Bytes> {
      assertAlive();
      const { gpu, label } = own(buffer);
      assert(offset % 4 === 0, `buffer ${label}: reads start at multiples of 4 bytes`);
      if (offset + bytes > buffer.bytes) {
        throw new DeviceError(`buffer ${label}: bytes ${offset} to ${offset + bytes} of ${buffer.bytes}`);
      }
      const target = await enqueue(async () => {
        const to = staging.take(alignUp(bytes, 8));
        commands.push({ type: 'copy', from: gpu, fromOffset: offset, to, toOffset: 0, bytes: alignUp(bytes, 4) });
        await submit();
        return to;
      });
      const collected = whileAlive(staging.collect(target, bytes));
      // The scopes name the cause; that the mapping failed too says nothing more.
      collected.catch(() => undefined);
      await throwErrors();
      return collected;
    },

    free(buffer) {
      const found = buffers.get(buffer);
      if (found === undefined) return;
      const forget = (): void => {
        if (used.has(found.gpu) && lostText === undefined) submitNow();
        for (const key of found.groups) groups.delete(key);
        found.gpu.destroy();
      };
      inOrder(forget);
      buffers.delete(buffer);
      bytesInUse -= found.bytes;
    },

    usage: () => ({ buffers: buffers.size, bytes: bytesInUse }),

    close() {
      lose('the GPU device was closed');
      staging.destroy();
      arena.destroy();
      device.destroy();
    },
  };
}

/** The bytes that a binding shows; WebGPU's own text for a wrong range is a puzzle. */
function rangeOf(label: string, binding: Exclude<Binding, { uniform: Uint8Array }>): { offset: number; size: number } {
  const { buffer, offset = 0, bytes: size = buffer.bytes - offset } = binding;
  if (offset < 0 || size <= 0 || offset + size > buffer.bytes) {
    throw new DeviceError(
      `${label}: binding ${binding.binding}: bytes ${offset} to ${offset + size} of buffer ${buffer.label} with ${buffer.bytes}`,
    );
  }
  return { offset, size };
}

const withOwnUniforms = (dispatch: Dispatch): Dispatch => ({
  ...dispatch,
  bindings: dispatch.bindings.map((binding) =>
    'uniform' in binding ? { ...binding, uniform: binding.uniform.slice() } : binding,
  ),
});

/** One encoder, and one pass for every stretch of dispatches between copies. */
function encode(device: GPUDevice, commands: readonly Command[]): GPUCommandBuffer {
  const encoder = device.createCommandEncoder();
  let pass: GPUComputePassEncoder | undefined;
  for (const command of commands) {
    if (command.type === 'dispatch') {
      pass ??= encoder.beginComputePass();
      pass.setPipeline(command.ready.pipeline);
      pass.setBindGroup(0, command.group, command.offsets);
      pass.dispatchWorkgroups(...command.dispatch.grid);
      continue;
    }
    pass?.end();
    pass = undefined;
    if (command.type === 'clear') encoder.clearBuffer(command.buffer);
    else {
      const { from, fromOffset, to, toOffset, bytes } = command;
      encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
    }
  }
  pass?.end();
  return encoder.finish();
}
