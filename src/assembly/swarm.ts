/**
 * The SDK's `connect`: a submitter with jobs in and typed arrays out. The CLI, the console page and programs of other
 * people all come through here; what differs between Node and a browser is handed in by `sdk/`.
 */

import type { Bytes } from '../core/bytes.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { JobId } from '../core/ids.ts';
import { parseJobFile, type ShaderJobInput } from '../protocol/job-file.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import type { JobState, MessageOf } from '../protocol/messages.ts';
import type { ChunkStore, DigestBytes } from '../protocol/ports.ts';
import {
  prepareShaderJob,
  readOutputs,
  readReduceFile,
  type CheckShader,
  type PreparedJob,
  type PrepareOptions,
  type ReadFile,
  type UnitOutput,
} from './job.ts';
import type { Dialled } from './reconnect.ts';
import { runReduceTree } from './reduce-tree.ts';
import { connectSubmitter, type AcceptedUnit, type RunningSubmitter, type SubmittedHandle } from './submitter.ts';

export interface SwarmParts {
  readonly identity: Identity;
  readonly verify: Verify;
  readonly digestOf: DigestBytes;
  readonly clock: Clock;
  readonly dial: () => Promise<Dialled>;
  readonly chunks: ChunkStore;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly unixSeconds: () => number;
  readonly check?: CheckShader;
}

export interface SubmitOptions {
  /** Files that the job names: texts or bytes by name, or a function that reads them. */
  readonly files?: Readonly<Record<string, string | Uint8Array>> | ReadFile;
  /** Aborting cancels the job. */
  readonly signal?: AbortSignal;
  /** Begins error lines; the job file's name. */
  readonly where?: string;
  /** Credit for each accepted attempt. */
  readonly price?: number;
}

export interface UnitResult extends AcceptedUnit {
  /** The output buffers in binding order. */
  readonly outputs: readonly UnitOutput[];
}

/** A shader job under way; iterate it for results as they are accepted. */
export interface SwarmJob extends AsyncIterable<UnitResult> {
  readonly id: JobId;
  readonly prepared: PreparedJob<'shader'>;
  /** How it ended; rejects where the hub refuses the job. */
  readonly finished: Promise<JobState>;
  /** The one output that a job with `reduce` comes down to; undefined for a job without, or one that did not get done. */
  readonly reduced: Promise<Bytes | undefined>;
  readonly state: () => JobState | undefined;
  onChange(changed: () => void): void;
  cancel(): void;
}

export type MapJob = Omit<ShaderJobInput, 'version' | 'program' | 'units' | 'reduce'>;

export interface MapResult {
  /** Which value it came from. */
  readonly index: number;
  readonly outputs: readonly UnitOutput[];
}

export interface Swarm {
  submit(job: ShaderJobInput, options?: SubmitOptions): Promise<SwarmJob>;
  /** The same for a job file's parsed JSON, which people wrote: every field is checked. */
  submitFile(value: unknown, options?: SubmitOptions): Promise<SwarmJob>;
  /** Runs the shader once for each value (the job's only `each` buffer), yielding results as they are accepted. */
  map(job: MapJob, values: Iterable<ArrayBufferView>, options?: SubmitOptions): AsyncIterable<MapResult>;
  /** Jobs that the hub knows, newest first. */
  jobs(): Promise<MessageOf<'jobs'>['jobs']>;
  cancel(job: JobId): void;
  /** For jobs prepared by `assembly/job`: training and generation. */
  readonly submitter: RunningSubmitter;
  prepareOptions(options?: Pick<SubmitOptions, 'where' | 'price'>): PrepareOptions;
  close(): void;
}

const connectMsMax = 10_000;

export async function openSwarm(parts: SwarmParts): Promise<Swarm> {
  const submitter = await connectSubmitter({ ...parts, connectMsMax });

  const prepareOptions: Swarm['prepareOptions'] = ({ where, price } = {}) => ({
    submitter: parts.identity.account,
    nonce: toHex(parts.randomBytes(16)),
    now: parts.unixSeconds(),
    digest: parts.digestOf,
    ...(where === undefined ? {} : { where }),
    ...(price === undefined ? {} : { price }),
  });

  const submitFile = async (value: unknown, options: SubmitOptions = {}): Promise<SwarmJob> => {
    const where = options.where ?? 'job';
    const file = expectInput(parseJobFile(value, where));
    if (file.program !== 'shader') throw new InputError(`${where}: program: not a shader job`);
    const read = readerOf(options.files);
    const prepare = prepareOptions(options);
    const prepared = await prepareShaderJob(file, read, prepare, parts.check);
    const reduce = await readReduceFile(file, prepared.manifest.units, read, where);
    const handle = await submitter.submit(prepared, options.signal);
    const job = swarmJob(prepared, handle);
    if (reduce === undefined) return job;
    const reduced = runReduceTree({
      handle,
      ...reduce,
      read,
      submitter,
      prepareOptions: () => prepareOptions(options),
      ...(parts.check === undefined ? {} : { check: parts.check }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    // Whoever does not ask for it hears of the failure by `finished`.
    reduced.catch(() => {});
    return { ...job, reduced };
  };

  const submit = (job: ShaderJobInput, options?: SubmitOptions): Promise<SwarmJob> => submitFile(job, options);

  return {
    submit,
    submitFile,
    map: (job, values, options) => mapValues(job, values, options, submit),
    // Hubs say the newest last.
    jobs: async () => (await submitter.list()).toReversed(),
    cancel: (job) => submitter.cancel(job),
    submitter,
    prepareOptions,
    close: () => submitter.close(),
  };
}

function swarmJob(prepared: PreparedJob<'shader'>, handle: SubmittedHandle): SwarmJob {
  const results = async function* (): AsyncGenerator<UnitResult> {
    for await (const unit of handle) yield { ...unit, outputs: readOutputs(prepared.manifest, unit.bytes) };
  };
  return {
    id: handle.job,
    prepared,
    finished: handle.finished,
    reduced: Promise.resolve(undefined),
    state: () => handle.state()?.state,
    onChange: (changed) => handle.onChange(changed),
    cancel: () => handle.cancel(),
    [Symbol.asyncIterator]: results,
  };
}

async function* mapValues(
  job: MapJob,
  values: Iterable<ArrayBufferView>,
  options: SubmitOptions | undefined,
  submit: Swarm['submit'],
): AsyncGenerator<MapResult> {
  const each = job.buffers.filter((buffer) => buffer.kind === 'each');
  const [only] = each;
  if (only?.kind !== 'each' || each.length !== 1) {
    throw new InputError(`map: buffers: ${each.length} of kind each, map takes exactly one, which gets the values`);
  }
  const list = [...values];
  const running = await submit(
    { ...job, version: 1, program: 'shader', units: { each: { [only.name]: list } } },
    options,
  );
  let ended = false;
  try {
    for await (const { unit, outputs } of running) yield { index: unit, outputs };
    ended = true;
  } finally {
    // The caller left the loop early: nobody wants the rest.
    if (!ended) running.cancel();
  }
  const state = await running.finished;
  if (state.state !== 'done')
    throw new Error(`map: the job ${state.state}${state.reason === null ? '' : `: ${state.reason}`}`);
}

function readerOf(files: SubmitOptions['files']): ReadFile {
  if (typeof files === 'function') return files;
  return async (path) => {
    const file = files?.[path];
    if (file === undefined) throw new InputError(`file "${path}": not given; pass it in options.files`);
    return typeof file === 'string' ? new TextEncoder().encode(file) : file;
  };
}
