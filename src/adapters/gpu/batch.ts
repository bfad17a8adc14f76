/**
 * Commands that gather for one submit. Dispatches share a pass until a copy or a clear comes between; bind groups are
 * kept from batch to batch; uniforms lie in one arena. Nothing is encoded before `submit`, so that encoding, the queue
 * and the error scopes around them are never torn apart by a wait.
 */

import type { Binding, Dispatch } from '../../kernels/device.ts';
import { DeviceError } from '../../kernels/device.ts';
import { createUniformArena, uniformBindingBytes } from './arena.ts';
import { inErrorScopes, type ReportError } from './errors.ts';
import { dispatchesPerSubmitMax, kindOf, type Pacer, type Work } from './pacer.ts';
import type { ReadyPipeline } from './pipelines.ts';

/** A buffer as the batch needs it: `groups` are the bind groups that go when it goes. */
export interface BoundBuffer {
  readonly id: number;
  readonly gpu: GPUBuffer;
  readonly groups: Set<string>;
}

export interface Copy {
  readonly from: GPUBuffer;
  readonly fromOffset: number;
  readonly to: GPUBuffer;
  readonly toOffset: number;
  readonly bytes: number;
}

type Command =
  | {
      readonly type: 'dispatch';
      readonly ready: ReadyPipeline;
      readonly group: GPUBindGroup;
      readonly offsets: readonly number[];
      readonly grid: Dispatch['grid'];
    }
  | { readonly type: 'copy'; readonly copy: Copy }
  | { readonly type: 'clear'; readonly buffer: GPUBuffer };

type BufferBinding = Exclude<Binding, { readonly uniform: Uint8Array }>;

/** Bind groups kept; a job whose units bind ever new sizes would gather them without end. */
const groupsMax = 4096;

export interface Batch {
  isEmpty(): boolean;
  /** Whether the commands so far touch the buffer. */
  uses(buffer: GPUBuffer): boolean;
  /** Whether a dispatch still belongs into this submit, by time, count and room for uniforms. */
  fits(ready: ReadyPipeline, dispatch: Dispatch): boolean;
  dispatch(ready: ReadyPipeline, dispatch: Dispatch): void;
  copy(copy: Copy): void;
  clear(buffer: GPUBuffer): void;
  /** Encodes and submits everything, starts anew, and gives what was submitted. */
  submit(): Work;
  forgetGroups(buffer: BoundBuffer): void;
  destroy(): void;
}

export function createBatch(
  device: GPUDevice,
  pacer: Pacer,
  own: (binding: BufferBinding) => BoundBuffer,
  report: ReportError,
): Batch {
  const arena = createUniformArena(device);
  const groups = new Map<string, GPUBindGroup>();
  let commands: Command[] = [];
  let used = new Set<GPUBuffer>();
  let work: Work = new Map();
  let expectedMs = 0;

  const groupOf = (ready: ReadyPipeline, bindings: readonly Binding[]): GPUBindGroup => {
    const key = `${ready.id}${bindings.map((binding) => groupKey(binding, own)).join('')}`;
    const found = groups.get(key);
    if (found !== undefined) return found;
    const label = ready.pipeline.label;
    const entries = bindings.map((binding): GPUBindGroupEntry => {
      if ('uniform' in binding) {
        const size = uniformBindingBytes(binding.uniform.byteLength);
        return { binding: binding.binding, resource: { buffer: arena.buffer, offset: 0, size } };
      }
      return { binding: binding.binding, resource: { buffer: own(binding).gpu, ...rangeOf(label, binding) } };
    });
    const make = (): GPUBindGroup => device.createBindGroup({ layout: ready.layout, entries });
    const made = inErrorScopes(device, label, make, report);
    if (groups.size >= groupsMax) groups.clear();
    groups.set(key, made);
    for (const binding of bindings) if ('buffer' in binding) own(binding).groups.add(key);
    return made;
  };

  return {
    isEmpty: () => commands.length === 0,
    uses: (buffer) => used.has(buffer),
    fits(ready, { grid, bindings }) {
      if (commands.length === 0) return true;
      const { kind, workgroups } = kindOfDispatch(ready, grid);
      const uniforms = bindings.flatMap((binding) => ('uniform' in binding ? [binding.uniform.byteLength] : []));
      return (
        commands.length < dispatchesPerSubmitMax &&
        expectedMs + pacer.estimate(kind, workgroups) <= pacer.submitMsMax &&
        arena.hasRoom(uniforms)
      );
    },
    dispatch(ready, dispatch) {
      // Dynamic offsets are matched to bindings by ascending number.
      const bindings = dispatch.bindings.toSorted((a, b) => a.binding - b.binding);
      const group = groupOf(ready, bindings);
      const offsets: number[] = [];
      for (const binding of bindings) {
        if ('uniform' in binding) offsets.push(arena.put(binding.uniform));
        else used.add(own(binding).gpu);
      }
      commands.push({ type: 'dispatch', ready, group, offsets, grid: dispatch.grid });
      const { kind, workgroups } = kindOfDispatch(ready, dispatch.grid);
      expectedMs += pacer.estimate(kind, workgroups);
      const sum = work.get(kind) ?? { dispatches: 0, groups: 0 };
      work.set(kind, { dispatches: sum.dispatches + 1, groups: sum.groups + workgroups });
    },
    copy(copy) {
      commands.push({ type: 'copy', copy });
      used.add(copy.from).add(copy.to);
    },
    clear(buffer) {
      commands.push({ type: 'clear', buffer });
      used.add(buffer);
    },
    submit() {
      const first = commands.find((command) => command.type === 'dispatch');
      const submitAll = (): void => {
        arena.upload();
        device.queue.submit([encode(device, commands)]);
      };
      inErrorScopes(device, first?.ready.pipeline.label ?? 'copy', submitAll, report);
      const submitted = work;
      commands = [];
      used = new Set();
      work = new Map();
      expectedMs = 0;
      return submitted;
    },
    forgetGroups(buffer) {
      for (const key of buffer.groups) groups.delete(key);
    },
    destroy: () => arena.destroy(),
  };
}

function kindOfDispatch(ready: ReadyPipeline, [x, y, z]: Dispatch['grid']): { kind: string; workgroups: number } {
  const workgroups = Math.max(1, x * y * z);
  return { kind: kindOf(ready.id, workgroups), workgroups };
}

function groupKey(binding: Binding, own: (binding: BufferBinding) => BoundBuffer): string {
  if ('uniform' in binding) return `;${binding.binding}:${uniformBindingBytes(binding.uniform.byteLength)}`;
  return `;${binding.binding}:${own(binding).id},${binding.offset ?? 0},${binding.bytes ?? ''}`;
}

/** The bytes that a binding shows; WebGPU's own text for a wrong range is a puzzle. */
function rangeOf(label: string, binding: BufferBinding): { offset: number; size: number } {
  const { buffer, offset = 0, bytes: size = buffer.bytes - offset } = binding;
  if (offset < 0 || size <= 0 || offset + size > buffer.bytes) {
    throw new DeviceError(
      `${label}: binding ${binding.binding}: bytes ${offset} to ${offset + size} of buffer ${buffer.label} with ${buffer.bytes}`,
    );
  }
  return { offset, size };
}

/** One encoder, and one pass for every stretch of dispatches. */
function encode(device: GPUDevice, commands: readonly Command[]): GPUCommandBuffer {
  const encoder = device.createCommandEncoder();
  let pass: GPUComputePassEncoder | undefined;
  for (const command of commands) {
    if (command.type === 'dispatch') {
      pass ??= encoder.beginComputePass();
      pass.setPipeline(command.ready.pipeline);
      pass.setBindGroup(0, command.group, command.offsets);
      pass.dispatchWorkgroups(...command.grid);
      continue;
    }
    pass?.end();
    pass = undefined;
    if (command.type === 'clear') encoder.clearBuffer(command.buffer);
    else {
      const { from, fromOffset, to, toOffset, bytes } = command.copy;
      encoder.copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
    }
  }
  pass?.end();
  return encoder.finish();
}
