/**
 * What a unit runs. A program is opened once per job (it compiles, loads weights, keeps a training seat's state) and
 * then runs that job's units one after another, against the `Device` and `Chunks` ports and nothing else.
 */

import type { Bytes } from '../core/bytes.ts';
import type { Device } from '../kernels/device.ts';
import type { Chunks } from '../protocol/ports.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { RowKey, StageInput, StageOutput } from '../inference/pipeline-stage.ts';
import type { Seat } from '../protocol/messages.ts';
import type { StageLease } from '../protocol/serving-messages.ts';

/** Rows as they travel, in the plan's format. */
interface PackedRows {
  readonly type: 'rows';
  readonly rows: readonly RowKey[];
  readonly bytes: Uint8Array;
}
/** What a stage's program is told by the hub and its neighbours. */
export type StageWord = Exclude<StageInput, { type: 'rows' }> | PackedRows;
/** What it says to them. */
export type StageReply =
  | Exclude<StageOutput, { type: 'rows' }>
  | PackedRows
  /** The weights lie on the device: so many bytes. */
  | { readonly type: 'ready'; readonly bytes: number }
  /** Since it was ready: rows computed, in so many batches and milliseconds of GPU time. Said when nothing is left to do. */
  | { readonly type: 'worked'; readonly rows: number; readonly batches: number; readonly gpuMs: number };

/** How a stage's program, which runs for as long as its volunteer has the stage, hears of others and answers. */
export interface StageChannel {
  /** What came since the last call, in order; nothing where nothing did. */
  take(): readonly StageWord[];
  /** Resolves once something has come, or the unit is to end. */
  waiting(): Promise<void>;
  say(replies: readonly StageReply[]): void;
}

export interface UnitRequest {
  readonly unit: number;
  /** Present for training units. */
  readonly seat?: Seat;
  /** Present for stages of a served model. */
  readonly stage?: { readonly lease: StageLease; readonly channel: StageChannel };
  /** Aborted when the lease is revoked or the volunteer pauses; the program stops at its next await. */
  readonly signal: AbortSignal;
  /** Progress from 0 to 1. */
  readonly progress: (done: number) => void;
  /** Milliseconds of GPU time used so far, which is what a unit's time is counted in; left out, it is not counted. */
  readonly gpuMs?: () => number;
}

export interface OpenProgram {
  /** The result's bytes, as they are hashed, signed and compared. */
  run(request: UnitRequest): Promise<Bytes>;
  /** Frees device memory. */
  close(): void;
}

/**
 * Where a program keeps, from unit to unit and outside the device, what it would need to go on after the device was lost:
 * it is then opened anew with the same memory. Programs whose units stand for themselves keep nothing.
 */
export type ProgramMemory = Map<string, Bytes>;

export type OpenProgramFunction = (
  manifest: Manifest,
  device: Device,
  chunks: Chunks,
  memory?: ProgramMemory,
) => Promise<OpenProgram>;
