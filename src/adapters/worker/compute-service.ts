/**
 * The compute worker without the worker: one device, a few open programs, units one after another. A unit whose device was
 * lost runs again on a new one (`device-keeper.ts`), from what its program had kept after the unit before. What a program
 * computes is the program's matter, and where bytes come from the host's.
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { JobId } from '../../core/ids.ts';
import { DeviceError, type Device } from '../../kernels/device.ts';
import type { Inspection, InspectionProgress } from '../../kernels/inspection.ts';
import type { ProgramName } from '../../protocol/manifest.ts';
import type { DeviceDescription } from '../../protocol/messages.ts';
import type { Chunks } from '../../protocol/ports.ts';
import type { OpenProgram, OpenProgramFunction, ProgramMemory, StageReply } from '../../programs/program.ts';
import { UnitAbortedError } from '../../programs/shader.ts';
import { createDeviceKeeper } from './device-keeper.ts';
import type { ComputeApi, ComputeHost, ComputeOptions, UnitCall } from './compute-api.ts';
import { createSpareTime } from './spare-time.ts';
import { createStageInbox, type StageInbox } from './stage-inbox.ts';

/** The part of an opened device that the service needs. */
export interface ServiceDevice {
  readonly device: Device;
  readonly description: DeviceDescription;
  setDuty(fraction: number): void;
  busyMs(): number;
  readonly lost: Promise<string>;
  isLost(): boolean;
  close(): void;
  /** Looks for faster variants of kernels that were asked for; false once there is nothing to do. */
  tuneNext?(gpuMsMax: number): Promise<boolean>;
  inspect?(progress: (step: InspectionProgress) => void): Promise<Inspection>;
}

export interface ServiceOptions extends ComputeOptions {
  /** The share of its limits that the device shall use. */
  readonly workScale: number;
}

export interface ServiceParts {
  /** `warn` takes one line for people. */
  readonly openDevice: (options: ServiceOptions, warn: (line: string) => void) => Promise<ServiceDevice>;
  readonly programs: Readonly<Partial<Record<ProgramName, OpenProgramFunction>>>;
  readonly clock: Clock;
  /** Present in builds that may lie. */
  readonly lie?: (result: Bytes) => Bytes;
}

/** Jobs whose programs stay open: their buffers hold GPU memory, opening them again costs a compile and uploads. */
const openProgramsMax = 4;
/** A host shows progress to people; more often would only cost messages. */
const progressMsMin = 100;

interface OpenJob {
  readonly program: OpenProgram;
  readonly name: ProgramName;
  /** The program reads chunks through this, so that each unit's reads carry its own call. */
  readonly reads: { call: number };
}

export function createComputeService({ openDevice, programs, clock, lie }: ServiceParts): ComputeApi {
  let host: ComputeHost | undefined;
  let options: ComputeOptions = {};
  /** Least recently used first. */
  const jobs = new Map<JobId, OpenJob>();
  /** What programs keep from unit to unit, in case their device is lost. */
  const memories = new Map<JobId, ProgramMemory>();
  const warn = (line: string): void => void host?.warn(line).catch(() => undefined);
  const keeper = createDeviceKeeper<ServiceDevice>(
    {
      open: (workScale) => openDevice({ ...options, workScale }, warn),
      // Their buffers went with the device.
      forget: () => jobs.clear(),
      changed: (description) => void host?.deviceChanged(description).catch(() => undefined),
      warn,
    },
    1,
  );
  const aborts = new Map<number, AbortController>();
  const inboxes = new Map<number, StageInbox>();
  let turn: Promise<unknown> = Promise.resolve();

  const says = (call: number, replies: readonly StageReply[]): void =>
    void host?.stageSays(call, replies).catch(() => undefined);
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const result = turn.then(task);
    turn = result.catch(() => undefined);
    return result;
  };
  const spare = createSpareTime(clock, (gpuMsMax) =>
    inTurn(async () => {
      const device = keeper.current();
      // A software adapter compiles the variants meant for GPUs for many seconds, and units would wait for it.
      if (device === undefined || device.description.fallback) return false;
      return (await device.tuneNext?.(gpuMsMax)) ?? false;
    }),
  );
  const closeJob = (job: JobId): void => {
    jobs.get(job)?.program.close();
    jobs.delete(job);
    memories.delete(job);
  };
  /** The program to give up first: a training seat's optimiser state lives in its program, so that one goes last. */
  const evictable = (): JobId | undefined => {
    const all = [...jobs];
    return (all.find(([, { name }]) => name !== 'train') ?? all[0])?.[0];
  };
  const evictOne = (): boolean => {
    const job = evictable();
    if (job !== undefined) closeJob(job);
    return job !== undefined;
  };

  const openJob = async (unit: UnitCall, device: Device): Promise<OpenJob> => {
    const found = jobs.get(unit.job);
    if (found !== undefined) {
      jobs.delete(unit.job);
      jobs.set(unit.job, found);
      return found;
    }
    const name = unit.manifest.program;
    const open = programs[name];
    if (open === undefined) throw new Error(`this volunteer has no program ${name}; reload the page for a newer one`);
    while (jobs.size >= openProgramsMax) evictOne();
    const reads = { call: unit.call };
    const chunks = chunksOf(reads);
    const memory = memories.get(unit.job) ?? new Map();
    memories.set(unit.job, memory);
    for (;;) {
      try {
        const job = { program: await open(unit.manifest, device, chunks, memory), name, reads };
        jobs.set(unit.job, job);
        return job;
      } catch (error) {
        // It may fit once another job's buffers are gone.
        if (!(error instanceof DeviceError) || keeper.current()?.device !== device || !evictOne()) throw error;
      }
    }
  };
  const chunksOf = (reads: { readonly call: number }): Chunks => {
    const readRange: Chunks['readRange'] = (artifact, start, end) => {
      if (host === undefined) throw new Error('the compute worker was not opened');
      return host.readRange(reads.call, artifact, start, end);
    };
    return { readRange, read: (artifact) => readRange(artifact, 0, artifact.bytes) };
  };
  const progressOf = (call: number): ((done: number) => void) => {
    const tell = atMostEvery(clock, progressMsMin, (done: number) => host?.progress(call, done));
    return (done) => tell(done, done >= 1);
  };

  const run = async (unit: UnitCall, signal: AbortSignal): Promise<Bytes> => {
    for (;;) {
      if (signal.aborted) throw new UnitAbortedError(`unit ${unit.unit} was aborted`);
      const device = await keeper.ready();
      try {
        const result = await runOn(device, unit, signal);
        keeper.finished();
        return options.lie === true && lie !== undefined ? lie(result) : result;
      } catch (error) {
        // Nobody would tell a stage again what it heard before its device was lost: another volunteer takes it over.
        if (signal.aborted || unit.stage !== undefined || !keeper.mayRunAgain(device, error)) throw error;
        warn(`unit ${unit.unit} runs again, as the GPU device was lost under it`);
      }
    }
  };
  const runOn = async ({ device, busyMs }: ServiceDevice, unit: UnitCall, signal: AbortSignal): Promise<Bytes> => {
    const job = await openJob(unit, device);
    job.reads.call = unit.call;
    const { seat, stage } = unit;
    const channel = inboxes.get(unit.call)?.channel;
    const request = {
      unit: unit.unit,
      signal,
      progress: progressOf(unit.call),
      gpuMs: () => busyMs(),
      ...(seat === undefined ? {} : { seat }),
      ...(stage === undefined || channel === undefined ? {} : { stage: { lease: stage, channel } }),
    };
    return job.program.run(request);
  };

  return {
    async open(newHost, newOptions) {
      if (newOptions.lie === true && lie === undefined) throw new Error('this build cannot lie');
      host = newHost;
      options = newOptions;
      keeper.setDuty(newOptions.duty ?? 1);
      return (await keeper.ready()).description;
    },
    async runUnit(unit) {
      const abort = new AbortController();
      aborts.set(unit.call, abort);
      if (unit.stage !== undefined)
        inboxes.set(
          unit.call,
          createStageInbox(abort.signal, (said) => says(unit.call, said)),
        );
      spare.begin();
      try {
        return await inTurn(() => run(unit, abort.signal));
      } finally {
        aborts.delete(unit.call);
        inboxes.delete(unit.call);
        spare.end();
      }
    },
    async abort(call) {
      aborts.get(call)?.abort();
    },
    async tellStage(call, words) {
      inboxes.get(call)?.tell(words);
    },
    rest: async () => spare.rest(),
    inspect: () =>
      inTurn(async () => {
        const { inspect } = await keeper.ready();
        if (inspect === undefined) throw new Error('this device cannot be inspected');
        const tell = atMostEvery(clock, progressMsMin, (step: InspectionProgress) => host?.inspecting(step));
        return inspect((step) => tell(step, false));
      }),
    closeJob: (job) => inTurn(async () => closeJob(job)),
    setDuty: async (fraction) => keeper.setDuty(fraction),
    async usage() {
      const opened = keeper.current();
      const { buffers, bytes } = opened?.device.usage() ?? { buffers: 0, bytes: 0 };
      return { openPrograms: jobs.size, buffers, bytes, busyMs: opened?.busyMs() ?? 0, devices: keeper.openings() };
    },
  };
}

/** Calls at most once in `ms`, unless a call is important; nobody waits for what it promises. */
function atMostEvery<T>(
  clock: Clock,
  ms: number,
  call: (value: T) => Promise<void> | undefined,
): (value: T, isImportant: boolean) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value, isImportant) => {
    if (clock.now() - last < ms && !isImportant) return;
    last = clock.now();
    call(value)?.catch(() => undefined);
  };
}
