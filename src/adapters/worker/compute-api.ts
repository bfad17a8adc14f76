/**
 * What page and compute worker say to each other over Comlink. Every call carries a number, so that one host object
 * serves all units for the worker's life; proxies per unit would leak a message channel each. All GPU work is behind
 * this border; keys, links and stores are on the page's side.
 */

import type { Bytes } from '../../core/bytes.ts';
import type { JobId } from '../../core/ids.ts';
import type { Inspection, InspectionProgress } from '../../kernels/inspection.ts';
import type { Artifact } from '../../protocol/artifact.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { StageReply, StageWord } from '../../programs/program.ts';
import type { DeviceDescription, Seat } from '../../protocol/messages.ts';
import type { StageLease } from '../../protocol/serving-messages.ts';

/** One unit to run. `call` is the page's number for it. */
export interface UnitCall {
  readonly call: number;
  readonly job: JobId;
  readonly unit: number;
  readonly manifest: Manifest;
  readonly seat?: Seat;
  readonly stage?: StageLease;
}

export interface ComputeOptions {
  /** What all buffers together may hold; left out, a guess from the adapter. */
  readonly memoryBytesMax?: number;
  /** Share of time that the GPU may be busy. */
  readonly duty?: number;
  /** Flip bits of every result: the liar of demonstrations. Builds without `VITE_LIAR=allowed` refuse it. */
  readonly lie?: boolean;
}

export interface ComputeUsage {
  readonly openPrograms: number;
  readonly buffers: number;
  readonly bytes: number;
  /** GPU time since the worker's device was opened. */
  readonly busyMs: number;
  /** Devices that were opened so far: more than one where some were lost. */
  readonly devices: number;
}

/** The worker's side. */
export interface ComputeApi {
  /** To be called first. Rejects with one line where no device can be had. */
  open(host: ComputeHost, options: ComputeOptions): Promise<DeviceDescription>;
  /** The result, transferred. Units run one after another in the order of the calls. */
  runUnit(unit: UnitCall): Promise<Bytes>;
  /** The call rejects with `UnitAbortedError` at the unit's next pause; an unknown call is none. */
  abort(call: number): Promise<void>;
  /** Words for a running stage; for an unknown call they are lost. */
  tellStage(call: number, words: readonly StageWord[]): Promise<void>;
  /** Forgets the job's program and frees its memory. */
  closeJob(job: JobId): Promise<void>;
  setDuty(fraction: number): Promise<void>;
  /** Nothing runs that nobody asked for until the next unit: the volunteer pauses. */
  rest(): Promise<void>;
  /** Examines the device between two units; the host hears of its progress. Takes seconds to a minute. */
  inspect(): Promise<Inspection>;
  usage(): Promise<ComputeUsage>;
}

/** The page's side. */
export interface ComputeHost {
  /** Verified bytes of an artifact, in memory that the worker may keep. */
  readRange(call: number, artifact: Artifact, start: number, end: number): Promise<Bytes>;
  /** Progress from 0 to 1, a few times a second at most. */
  progress(call: number, done: number): Promise<void>;
  /** What a running stage says to the hub and its neighbours. */
  stageSays(call: number, replies: readonly StageReply[]): Promise<void>;
  /** Steps of `inspect`, a few a second at most. */
  inspecting(step: InspectionProgress): Promise<void>;
  /** The device was lost more than once, and the one that is open now lends less. */
  deviceChanged(description: DeviceDescription): Promise<void>;
  /** What people should know, in one line: a kernel that is wrong on this device. */
  warn(line: string): Promise<void>;
}
