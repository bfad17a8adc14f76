/**
 * The GPU as programs see it: buffers, dispatches and reads. `adapters/gpu` implements it on WebGPU; nothing here
 * touches the platform. Work is recorded into one encoder until something must be read.
 */

import type { Bytes } from '../core/bytes.ts';
import type { Grid } from './grid.ts';

/** A buffer on the device; `bytes` is its size, a multiple of 4. */
export interface DeviceBuffer {
  readonly label: string;
  readonly bytes: number;
}

/** One compute pipeline: WGSL as it stands in `shaders/` (or a submitter's), an entry point, override constants. */
export interface Pipeline {
  readonly label: string;
  readonly wgsl: string;
  readonly entryPoint: string;
  readonly constants?: Readonly<Record<string, number>>;
}

/** What stands at one binding of group 0. `uniform` bytes are copied into the device's uniform arena. */
export type Binding =
  | {
      readonly binding: number;
      readonly buffer: DeviceBuffer;
      readonly access: 'read' | 'write';
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
}

export interface Device {
  readonly limits: DeviceLimits;
  readonly features: ReadonlySet<string>;
  /** A zeroed storage buffer. */
  createBuffer(label: string, bytes: number): DeviceBuffer;
  /** Copies bytes into the buffer before any work that is recorded after this call. Length a multiple of 4. */
  write(buffer: DeviceBuffer, bytes: Uint8Array, offset?: number): void;
  clear(buffer: DeviceBuffer): void;
  copy(from: DeviceBuffer, fromOffset: number, to: DeviceBuffer, toOffset: number, bytes: number): void;
  /** Compiles ahead, so that the first `run` does not wait; a compile error throws `DeviceError` with line and column. */
  prepare(pipelines: readonly Pipeline[]): Promise<void>;
  /** Records dispatches in order; each sees the writes of those before it. */
  run(dispatches: readonly Dispatch[]): Promise<void>;
  /** Submits what was recorded, waits, and returns the bytes; errors of the work since the last read throw `DeviceError`. */
  read(buffer: DeviceBuffer, offset?: number, bytes?: number): Promise<Bytes>;
  free(buffer: DeviceBuffer): void;
}

/** The device refused or lost the work: compile error, validation, out of memory, lost device. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}
