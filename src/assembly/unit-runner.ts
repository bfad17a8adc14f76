/**
 * Runs leased units on this tab's compute worker: reads and checks the job's manifest, computes, keeps the bytes until
 * the hub has settled them, and signs receipts. What to run and when is the volunteer machine's to say.
 */

import type { Bytes } from '../core/bytes.ts';
import { utf8 } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { sha256Text } from '../core/hash.ts';
import type { Digest } from '../core/ids.ts';
import { manifestOfJob } from '../core/ids.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import { decodeManifest, type Manifest } from '../protocol/manifest.ts';
import type { DeviceDescription, Lease, LeaseKey, MessageOf } from '../protocol/messages.ts';
import type { Chunks, DigestBytes } from '../protocol/ports.ts';
import { encodeReceipt, type Receipt } from '../protocol/receipt.ts';
import type { VolunteerInput } from '../swarm/volunteer.ts';
import type { StageTraffic } from '../adapters/worker/compute-client.ts';
import type { ChunkExchange } from './chunk-exchange.ts';
import type { StageDesk } from './stage-desk.ts';

/** The compute worker as the volunteer sees it. */
export interface Compute {
  readonly device: DeviceDescription;
  run(unit: ComputeUnit): Promise<Bytes>;
  /** Nothing that nobody asked for runs until the next unit. */
  rest?(): Promise<void>;
  /** Calls back when the device was replaced by one that lends less. */
  onDevice?(listener: (device: DeviceDescription) => void): void;
  /** Resolves with why, once the worker is gone. */
  readonly gone: Promise<string>;
  close(): void;
}

export interface ComputeUnit {
  readonly lease: Lease;
  readonly manifest: Manifest;
  readonly chunks: Chunks;
  readonly signal: AbortSignal;
  readonly progress: (done: number) => void;
  /** For stages of a served model. */
  readonly traffic?: StageTraffic;
}

export interface UnitRunnerParts {
  readonly identity: Identity;
  readonly verify: Verify;
  readonly digestOf: DigestBytes;
  readonly clock: Clock;
  readonly exchange: ChunkExchange;
  readonly compute: Compute;
  readonly openCompute: () => Promise<Compute>;
  /** Where the traffic of stages goes. */
  readonly stages: Pick<StageDesk, 'open' | 'close'>;
  /** What became of a unit, for the machine. */
  readonly give: (input: VolunteerInput) => void;
  /** The unit that runs now has changed. */
  readonly changed: () => void;
  readonly say: (line: string) => void;
  /** The worker died and no other could be started. */
  readonly failed: (reason: string) => void;
}

export interface UnitRunner {
  run(lease: Lease): Promise<void>;
  abort(lease: LeaseKey): void;
  /** The message and the bytes that deliver a result; undefined where its bytes were dropped. */
  delivery(
    lease: Lease,
    digest: Digest,
    seconds: number,
  ): Promise<{ message: MessageOf<'result'>; bytes: Bytes } | undefined>;
  drop(lease: LeaseKey): void;
  /** The volunteer pauses. */
  rest(): void;
  current(): { readonly lease: Lease; readonly manifest: Manifest } | undefined;
  close(): Promise<void>;
}

export function createUnitRunner(parts: UnitRunnerParts): UnitRunner {
  const worker = keepWorker(parts);
  const manifestOf = createManifestReader(parts);
  const running = new Map<string, AbortController>();
  const kept = new Map<string, Bytes>();
  let previousReceipt: Digest | null = null;
  let current: { readonly lease: Lease; readonly manifest: Manifest } | undefined;

  const leave = (lease: LeaseKey): void => {
    running.delete(keyOf(lease));
    parts.stages.close(lease);
    if (current !== undefined && keyOf(current.lease) === keyOf(lease)) current = undefined;
    parts.changed();
  };

  const compute = async (lease: Lease, signal: AbortSignal): Promise<Bytes | undefined> => {
    const manifest = await manifestOf(lease);
    if (signal.aborted) return undefined;
    current = { lease, manifest };
    parts.changed();
    const progress = (done: number): void => {
      if (signal.aborted) return;
      parts.give({ type: 'computing', lease: leaseKey(lease), done });
      parts.changed();
    };
    const open = await worker.open();
    const traffic = parts.stages.open(lease);
    // A training counts its bytes at the hub's link, and its parameters are new in every round.
    const chunks = lease.program === 'train' ? parts.exchange.fromHub : parts.exchange;
    const unit = { lease, manifest, chunks, signal, progress };
    return open.run(traffic === undefined ? unit : { ...unit, traffic });
  };

  const run = async (lease: Lease): Promise<void> => {
    const abort = new AbortController();
    const { signal } = abort;
    running.set(keyOf(lease), abort);
    const since = parts.clock.now();
    try {
      const bytes = await compute(lease, signal);
      if (bytes === undefined || signal.aborted) return;
      const digest = await parts.digestOf(bytes);
      if (signal.aborted) return;
      kept.set(keyOf(lease), bytes);
      parts.give({ type: 'computed', lease: leaseKey(lease), digest, seconds: (parts.clock.now() - since) / 1000 });
    } catch (error) {
      if (signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      parts.say(`Unit ${lease.unit} failed: ${reason}`);
      parts.give({ type: 'compute-failed', lease: leaseKey(lease), reason: reason.slice(0, 2000) });
    } finally {
      leave(lease);
    }
  };

  const sign = async (
    lease: Lease,
    result: Digest,
    seconds: number,
  ): Promise<{ receipt: string; signature: string }> => {
    const receipt: Receipt = {
      ...leaseKey(lease),
      inputs: [manifestOfJob(lease.job), ...(lease.seat?.parameters.chunks ?? [])],
      result,
      volunteer: parts.identity.account,
      deviceClass: parts.compute.device.deviceClass,
      seconds,
      previous: previousReceipt,
    };
    const text = encodeReceipt(receipt);
    previousReceipt = sha256Text(text);
    return { receipt: text, signature: await parts.identity.signAsAccount('receipt', utf8(text)) };
  };

  return {
    run,
    abort: (lease) => {
      running.get(keyOf(lease))?.abort();
      leave(lease);
    },
    delivery: async (lease, digest, seconds) => {
      const bytes = kept.get(keyOf(lease));
      if (bytes === undefined) return undefined;
      const signed = await sign(lease, digest, seconds);
      return { message: { type: 'result', ...leaseKey(lease), digest, seconds, ...signed }, bytes };
    },
    drop: (lease) => {
      kept.delete(keyOf(lease));
    },
    rest: () => {
      void worker
        .open()
        .then((open) => open.rest?.())
        .catch(() => undefined);
    },
    current: () => current,
    close: async () => {
      for (const abort of running.values()) abort.abort();
      await worker.close();
    },
  };
}

/** Each job's manifest, once: the job's id is the digest of its bytes, and the submitter signed them. */
function createManifestReader({ exchange, verify }: UnitRunnerParts): (lease: Lease) => Promise<Manifest> {
  const manifests = new Map<string, Promise<Manifest>>();
  const read = async ({ job, submitter, signature }: Lease): Promise<Manifest> => {
    const bytes = await exchange.chunk(manifestOfJob(job));
    const manifest = decodeManifest(bytes);
    if (!manifest.ok) throw new Error(manifest.error.text);
    if (manifest.value.submitter !== submitter || !(await verify(submitter, 'manifest', bytes, signature))) {
      throw new Error('manifest: its signature is not the submitter’s');
    }
    return manifest.value;
  };
  return (lease) => {
    const known = manifests.get(lease.job);
    if (known !== undefined) return known;
    const manifest = read(lease);
    manifests.set(lease.job, manifest);
    manifest.catch(() => manifests.delete(lease.job));
    return manifest;
  };
}

/** The worker to run on; when it dies another is started, which units wait for. */
function keepWorker({ compute, openCompute, give, say, failed }: UnitRunnerParts) {
  let closed = false;
  let worker = Promise.resolve(compute);
  const watch = (open: Compute): void => {
    open.onDevice?.((device) => give({ type: 'device', device }));
    void open.gone.then((reason) => {
      if (closed) return;
      say(`The compute worker died: ${reason}. Starting another.`);
      worker = openCompute();
      worker.then(watch, (error: Error) => failed(error.message));
    });
  };
  watch(compute);
  return {
    open: () => worker,
    close: async () => {
      closed = true;
      (await worker.catch(() => compute)).close();
    },
  };
}

const keyOf = (lease: LeaseKey): string => `${lease.job}/${lease.unit}/${lease.attempt}`;

const leaseKey = ({ job, unit, attempt }: LeaseKey): LeaseKey => ({ job, unit, attempt });
