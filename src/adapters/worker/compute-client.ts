/**
 * The near end of the compute worker, a browser's or Node's: hands units over and passes on what it asks for. Comlink never
 * settles the calls of a worker that is gone, so every call here is bound to the worker's life. Starting the worker is
 * `spawn.ts` in browsers and `src/node/native-compute.ts` in Node.
 */

import { proxy, transfer, wrap, type Endpoint, type Remote } from 'comlink';
import type { Bytes } from '../../core/bytes.ts';
import type { JobId } from '../../core/ids.ts';
import type { Inspection, InspectionProgress } from '../../kernels/inspection.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { StageReply, StageWord } from '../../programs/program.ts';
import type { DeviceDescription, Seat } from '../../protocol/messages.ts';
import type { Chunks } from '../../protocol/ports.ts';
import type { StageLease } from '../../protocol/serving-messages.ts';
import type { ComputeApi, ComputeHost, ComputeOptions, ComputeUsage } from './compute-api.ts';

/** Both ways between a stage's program and whoever holds its links. */
export interface StageTraffic {
  /** Called when the unit runs: words for its program go there. */
  begin(tell: (words: readonly StageWord[]) => void): void;
  said(replies: readonly StageReply[]): void;
}

export interface SpawnedUnit {
  readonly lease: {
    readonly job: JobId;
    readonly unit: number;
    readonly seat?: Seat | undefined;
    readonly stage?: StageLease | undefined;
  };
  readonly manifest: Manifest;
  readonly chunks: Chunks;
  readonly signal: AbortSignal;
  readonly progress: (done: number) => void;
  /** For stages of a served model. */
  readonly traffic?: StageTraffic;
}

export interface SpawnedCompute {
  readonly device: DeviceDescription;
  /** The unit's result; rejects with the program's error, or with `WorkerGoneError`. */
  run(unit: SpawnedUnit): Promise<Bytes>;
  closeJob(job: JobId): Promise<void>;
  setDuty(fraction: number): Promise<void>;
  /** The volunteer pauses: nothing runs that nobody asked for until the next unit. */
  rest(): Promise<void>;
  /** Examines the device between two units: seconds to a minute. */
  inspect(progress: (step: InspectionProgress) => void): Promise<Inspection>;
  usage(): Promise<ComputeUsage>;
  /** Calls back whenever the device was replaced by one that lends less. */
  onDevice(listener: (device: DeviceDescription) => void): void;
  /** Resolves with the reason once the worker is gone, closed or died. */
  readonly gone: Promise<string>;
  /** Ends the worker at once, whatever it does. */
  close(): void;
}

export class WorkerGoneError extends Error {
  override readonly name = 'WorkerGoneError';
}

/** A browser's `Worker`, or Node's made to look like one: an `error` event with a message says that it died. */
export interface ComputeWorker extends Endpoint {
  terminate(): void;
}

/** Opens the device of a worker that was just started; rejects with one line where it has no usable GPU. */
export async function openCompute(worker: ComputeWorker, options: ComputeOptions = {}): Promise<SpawnedCompute> {
  const life = lifeOf(worker);
  const api = wrap<ComputeApi>(worker);
  const calls = new Map<number, SpawnedUnit>();
  const inspections = new Set<(step: InspectionProgress) => void>();
  const deviceListeners = new Set<(device: DeviceDescription) => void>();
  try {
    const host = hostOf(calls, inspections, deviceListeners);
    const device = await life.during(api.open(proxy(host), options));
    return {
      device,
      run: (unit) => runUnit(api, life, calls, unit),
      closeJob: (job) => life.during(api.closeJob(job)),
      setDuty: (fraction) => life.during(api.setDuty(fraction)),
      rest: () => life.during(api.rest()),
      inspect: async (progress) => {
        inspections.add(progress);
        return life.during(api.inspect()).finally(() => inspections.delete(progress));
      },
      usage: () => life.during(api.usage()),
      onDevice: (listener) => void deviceListeners.add(listener),
      gone: life.gone,
      close: () => life.end('the compute worker was closed'),
    };
  } catch (error) {
    life.end('the compute worker did not open');
    throw error;
  }
}

let nextCall = 1;

async function runUnit(
  api: Remote<ComputeApi>,
  life: WorkerLife,
  calls: Map<number, SpawnedUnit>,
  unit: SpawnedUnit,
): Promise<Bytes> {
  const call = nextCall++;
  const { lease, manifest, signal } = unit;
  const abort = (): void => void api.abort(call);
  calls.set(call, unit);
  signal.addEventListener('abort', abort);
  try {
    const running = api.runUnit({
      call,
      job: lease.job,
      unit: lease.unit,
      manifest,
      ...(lease.seat === undefined ? {} : { seat: lease.seat }),
      ...(lease.stage === undefined ? {} : { stage: lease.stage }),
    });
    // The running unit's calls come first in the worker's queue; words that reach it later than its end are lost.
    unit.traffic?.begin((words) => void life.during(api.tellStage(call, handedOver(words))).catch(() => undefined));
    if (signal.aborted) abort();
    return await life.during(running);
  } finally {
    signal.removeEventListener('abort', abort);
    calls.delete(call);
  }
}

function hostOf(
  calls: ReadonlyMap<number, SpawnedUnit>,
  inspections: ReadonlySet<(step: InspectionProgress) => void>,
  deviceListeners: ReadonlySet<(device: DeviceDescription) => void>,
): ComputeHost {
  return {
    async readRange(call, artifact, start, end) {
      const unit = calls.get(call);
      if (unit === undefined) throw new Error('the unit has ended');
      // The chunks may be a cache's own memory, so a copy travels; a view would drag its whole buffer along.
      const bytes = (await unit.chunks.readRange(artifact, start, end)).slice();
      return transfer(bytes, [bytes.buffer]);
    },
    async progress(call, done) {
      calls.get(call)?.progress(done);
    },
    async stageSays(call, replies) {
      calls.get(call)?.traffic?.said(replies);
    },
    async inspecting(step) {
      for (const progress of inspections) progress(step);
    },
    async deviceChanged(description) {
      for (const listener of deviceListeners) listener(description);
    },
    async warn(line) {
      console.warn(`tabswarm: ${line}`);
    },
  };
}

/** Rows of activations are moved, not copied, when they have memory of their own. */
function handedOver(words: readonly StageWord[]): readonly StageWord[] {
  const buffers = words.flatMap((word) => {
    if (word.type !== 'rows' || !(word.bytes.buffer instanceof ArrayBuffer)) return [];
    return word.bytes.byteLength === word.bytes.buffer.byteLength ? [word.bytes.buffer] : [];
  });
  return buffers.length === 0 ? words : transfer(words, buffers);
}

interface WorkerLife {
  /** What the worker promised, or a rejection as soon as it is gone. */
  during<T>(promise: Promise<T>): Promise<T>;
  end(reason: string): void;
  readonly gone: Promise<string>;
}

function lifeOf(worker: ComputeWorker): WorkerLife {
  const waiting = new Set<(error: Error) => void>();
  let goneReason: string | undefined;
  let tellGone: (reason: string) => void = () => undefined;
  const gone = new Promise<string>((resolve) => {
    tellGone = resolve;
  });
  const end = (reason: string): void => {
    if (goneReason !== undefined) return;
    goneReason = reason;
    worker.terminate();
    for (const reject of waiting) reject(new WorkerGoneError(reason));
    waiting.clear();
    tellGone(reason);
  };
  worker.addEventListener('error', (event: Event) => {
    const message = 'message' in event ? String(event.message) : '';
    end(`the compute worker failed: ${message || 'its script did not load'}`);
  });
  worker.addEventListener('messageerror', () => end('the compute worker sent what could not be read'));
  return {
    end,
    gone,
    during: (promise) =>
      new Promise((resolve, reject) => {
        if (goneReason !== undefined) {
          reject(new WorkerGoneError(goneReason));
          return;
        }
        waiting.add(reject);
        promise.then(resolve, reject).finally(() => waiting.delete(reject));
      }),
  };
}
