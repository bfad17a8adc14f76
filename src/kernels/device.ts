/**
 * The GPU as programs see it: buffers, dispatches and reads. `adapters/gpu` implements it on WebGPU; nothing here
 * touches the platform. Work is gathered into one submit until something must be read. Calls take effect in the order
 * in which they are made, whether or not the caller awaits them.
 */

import type { Bytes } from '../core/bytes.ts';
import type { Grid } from './grid.ts';
import type { Choices } from './variants.ts';

/** A buffer on the device; `bytes` is its size, a multiple of 4. */
export interface DeviceBuffer {
  readonly label: string;
  readonly bytes: number;
}

/** One compute pipeline: a shader of `shaders/` with its parts (or a submitter's), an entry point, override constants. */
export interface Pipeline {
  readonly label: string;
  readonly wgsl: string;
  readonly entryPoint: string;
  readonly constants?: Readonly<Record<string, number>>;
}

/** How a shader declares a buffer: `var<storage>`, `var<storage, read_write>`, or `var<uniform>` (64 KiB at most). */
export type Access = 'read' | 'write' | 'uniform';

/**
 * What stands at one binding of group 0; a dispatch lists every binding that its entry point uses and may list more.
 * `uniform` bytes are copied into the device's uniform arena when `run` is called; at most 8 of those in one dispatch.
 */
export type Binding =
  | {
      readonly binding: number;
      readonly buffer: DeviceBuffer;
      readonly access: Access;
      /** A multiple of 256. */
      readonly offset?: number;
      readonly bytes?: number;
    }
  | { readonly binding: number; readonly uniform: Uint8Array };

export interface Dispatch {
  readonly pipeline: Pipeline;
  readonly bindings: readonly Binding[];
  /** Workgroups. */
  readonly grid: Grid;
}

export interface DeviceLimits {
  readonly bindingBytesMax: number;
  readonly bufferBytesMax: number;
  readonly workgroupsPerDimensionMax: number;
  /** Storage buffers that one dispatch may bind: 8 everywhere, 10 or more on most adapters. */
  readonly storageBindingsMax: number;
  readonly workgroupInvocationsMax: number;
  /** `var<workgroup>` bytes of one workgroup. */
  readonly workgroupBytesMax: number;
  /** What all buffers together may hold; WebGPU does not tell, so it is the volunteer's setting or a guess. */
  readonly memoryBytesMax: number;
  /** Rounds after which the adapter ends an invocation's loops without an error; absent where it does not. */
  readonly loopIterationsMax?: number;
}

export interface DeviceUsage {
  readonly buffers: number;
  /** Bytes of all buffers that were created and not freed. */
  readonly bytes: number;
}

export interface Device {
  readonly limits: DeviceLimits;
  /** WebGPU feature names that shaders may rely on: `shader-f16`, `subgroups`. */
  readonly features: ReadonlySet<string>;
  /** Which variants of kernels programs shall run here. */
  readonly choices: Choices;
  /** A zeroed storage buffer. */
  createBuffer(label: string, bytes: number): DeviceBuffer;
  /** Copies bytes into the buffer before any work that is recorded after this call. Length a multiple of 4. */
  write(buffer: DeviceBuffer, bytes: Uint8Array, offset?: number): void;
  clear(buffer: DeviceBuffer): void;
  copy(from: DeviceBuffer, fromOffset: number, to: DeviceBuffer, toOffset: number, bytes: number): void;
  /**
   * Compiles ahead, so that the first `run` does not wait; a compile error throws `DeviceError` with line and column.
   * `bindings` are those that dispatches of these pipelines will have; without them the WGSL's declarations are taken,
   * uniforms as bytes.
   */
  prepare(pipelines: readonly Pipeline[], bindings?: readonly Binding[]): Promise<void>;
  /**
   * Records dispatches in order; each sees the writes of those before it. Submits by itself when enough has gathered,
   * and then may wait, so that work neither freezes a desktop nor piles up.
   */
  run(dispatches: readonly Dispatch[]): Promise<void>;
  /** Submits what was recorded and waits until it is done; errors of the work since the last wait throw `DeviceError`. */
  flush(): Promise<void>;
  /**
   * Submits what was recorded, waits, and returns the bytes (any length; the offset a multiple of 4); errors of the
   * work since the last wait throw `DeviceError`.
   */
  read(buffer: DeviceBuffer, offset?: number, bytes?: number): Promise<Bytes>;
  free(buffer: DeviceBuffer): void;
  usage(): DeviceUsage;
}

/** The device refused or lost the work: compile error, validation, out of memory, lost device. */
export class DeviceError extends Error {
  override readonly name: string = 'DeviceError';
}

/** Work that needs more memory than is free; told before anything of it is allocated. */
export class MemoryError extends DeviceError {
  override readonly name = 'MemoryError';
}
