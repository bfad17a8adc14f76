/**
 * A volunteer put together: the machine, its link to the hub, chunks and the compute worker. Shells call start, pause,
 * resume and stop and show the view; the machine decides everything else. Manifests are checked here before a unit
 * runs: the job's id must be the digest of the bytes, and the submitter must have signed them.
 */

import type { Bytes } from '../core/bytes.ts';
import { utf8 } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { sha256Text } from '../core/hash.ts';
import type { Digest } from '../core/ids.ts';
import { manifestOfJob } from '../core/ids.ts';
import { heartbeatMs } from '../core/limits.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import { decodeManifest, type Manifest } from '../protocol/manifest.ts';
import type { DeviceDescription, Lease, LeaseKey, Message } from '../protocol/messages.ts';
import type { Chunks, ChunkStore, DigestBytes, Link } from '../protocol/ports.ts';
import { encodeReceipt, type Receipt } from '../protocol/receipt.ts';
import { programSetVersion } from '../protocol/versions.ts';
import {
  createVolunteer,
  type VolunteerEffect,
  type VolunteerInput,
  type VolunteerMachine,
} from '../swarm/volunteer.ts';

import { createChunkExchange } from './chunk-exchange.ts';
import { keepConnected, type Reconnecting } from './reconnect.ts';
import { stoppedView, type CurrentUnit, type VolunteerView } from './volunteer-view.ts';

/** The compute worker as the volunteer sees it. */
export interface Compute {
  readonly device: DeviceDescription;
  run(unit: ComputeUnit): Promise<Bytes>;
  close(): void;
}

export interface ComputeUnit {
  readonly lease: Lease;
  readonly manifest: Manifest;
  readonly chunks: Chunks;
  readonly signal: AbortSignal;
  readonly progress: (done: number) => void;
}

export interface VolunteerParts {
  /** The hub's address as people know it. */
  readonly address: string;
  readonly identity: () => Promise<Identity>;
  readonly openCompute: () => Promise<Compute>;
  readonly openChunks: () => Promise<ChunkStore>;
  /** Takes the right to be this profile's only volunteer; undefined where another tab has it. */
  readonly takeTurn: () => Promise<(() => void) | undefined>;
  readonly dial: (identity: Identity) => Promise<Link>;
  readonly verify: Verify;
  readonly digestOf: DigestBytes;
  readonly clock: Clock;
  readonly changed: (view: VolunteerView) => void;
  /** The hub speaks of programs that this tab does not have. */
  readonly outdated: (reason: string) => void;
}

export interface RunningVolunteer {
  view(): VolunteerView;
  start(): void;
  pause(reason: 'paused' | 'hidden'): void;
  resume(): void;
  stop(): Promise<void>;
}

export function createVolunteerTab(parts: VolunteerParts): RunningVolunteer {
  let view = stoppedView(parts.address);
  let open: OpenVolunteer | undefined;
  let opening: Promise<void> | undefined;

  const publish = (change: Partial<VolunteerView>): void => {
    view = { ...view, ...change };
    parts.changed(view);
  };
  const say = (text: string): void => publish({ log: [{ at: parts.clock.now(), text }, ...view.log].slice(0, 50) });

  const start = async (): Promise<void> => {
    publish({ ...stoppedView(parts.address), phase: 'starting' });
    try {
      open = await openVolunteer(parts, publish, say, () => view);
    } catch (error) {
      publish({ phase: 'failed', problem: error instanceof Error ? error.message : String(error) });
    }
  };

  return {
    view: () => view,
    start: () => {
      if (open !== undefined || opening !== undefined) return;
      opening = start().finally(() => {
        opening = undefined;
      });
    },
    pause: (reason) => {
      publish({ phase: 'paused' });
      say(reason === 'paused' ? 'Paused: units went back to the hub.' : 'Hidden: units went back to the hub.');
      open?.give({ type: 'pause', reason });
    },
    resume: () => {
      publish({ phase: 'running' });
      say('Resumed.');
      open?.give({ type: 'resume' });
    },
    stop: async () => {
      await opening;
      const closing = open;
      open = undefined;
      await closing?.close();
      publish({ phase: 'stopped', hub: { address: parts.address, state: 'offline' }, current: undefined, held: 0 });
    },
  };
}

interface OpenVolunteer {
  give(input: VolunteerInput): void;
  close(): Promise<void>;
}

type Publish = (change: Partial<VolunteerView>) => void;

async function openVolunteer(
  parts: VolunteerParts,
  publish: Publish,
  say: (text: string) => void,
  view: () => VolunteerView,
): Promise<OpenVolunteer> {
  const giveTurnBack = await parts.takeTurn();
  if (giveTurnBack === undefined) {
    throw new Error('A tab of this browser is already running for this account. Use that one, or stop it first.');
  }
  let identity: Identity;
  let compute: Compute;
  let store: ChunkStore;
  try {
    identity = await parts.identity();
    compute = await parts.openCompute();
    store = await parts.openChunks();
  } catch (error) {
    giveTurnBack();
    throw error;
  }
  const machine = createVolunteer({ device: compute.device, programVersion: programSetVersion });
  const exchange = createChunkExchange(store);
  const manifests = new Map<string, Promise<Manifest>>();
  const running = new Map<string, { readonly abort: AbortController; readonly since: number }>();
  const kept = new Map<string, Bytes>();
  const finishedAt: number[] = [];
  let previousReceipt: Digest | null = null;
  let current: CurrentUnit | undefined;
  let link: Reconnecting | undefined;

  const give = (input: VolunteerInput): void => perform(machine.receive(input, parts.clock.now()));

  const perform = (effects: readonly VolunteerEffect[]): void => {
    for (const effect of effects) performOne(effect);
  };

  const performOne = (effect: VolunteerEffect): void => {
    switch (effect.type) {
      case 'send':
        return send(effect.message);
      case 'compute':
        void computeUnit(effect.lease);
        return;
      case 'abort':
        running.get(keyOf(effect.lease))?.abort.abort();
        leaveUnit(effect.lease);
        return;
      case 'deliver':
        void deliver(effect);
        return;
      case 'drop':
        kept.delete(keyOf(effect.lease));
        return;
      case 'outdated':
        return parts.outdated(effect.reason);
      case 'changed':
        return show(machine);
    }
  };

  // A link that closes meanwhile is told to the machine by `unlinked`.
  const send = (message: Message, tails: readonly Uint8Array[] = []): void =>
    void link
      ?.session()
      ?.send(message, tails)
      .catch(() => {});

  const manifestOf = (lease: Lease): Promise<Manifest> => {
    const known = manifests.get(lease.job);
    if (known !== undefined) return known;
    const read = readManifest(lease);
    manifests.set(lease.job, read);
    read.catch(() => manifests.delete(lease.job));
    return read;
  };

  const readManifest = async (lease: Lease): Promise<Manifest> => {
    const bytes = await exchange.chunk(manifestOfJob(lease.job));
    const manifest = decodeManifest(bytes);
    if (!manifest.ok) throw new Error(manifest.error.text);
    const { submitter } = manifest.value;
    if (submitter !== lease.submitter || !(await parts.verify(submitter, 'manifest', bytes, lease.signature))) {
      throw new Error('manifest: its signature is not the submitter’s');
    }
    return manifest.value;
  };

  const computeUnit = async (lease: Lease): Promise<void> => {
    const key = keyOf(lease);
    const abort = new AbortController();
    const since = parts.clock.now();
    running.set(key, { abort, since });
    try {
      const manifest = await manifestOf(lease);
      if (abort.signal.aborted) return;
      current = currentOf(lease, manifest, 0);
      show(machine);
      const bytes = await compute.run({
        lease,
        manifest,
        chunks: exchange,
        signal: abort.signal,
        progress: (done) => {
          if (!abort.signal.aborted) give({ type: 'computing', lease: leaseKey(lease), done });
        },
      });
      if (abort.signal.aborted) return;
      const digest = await parts.digestOf(bytes);
      if (abort.signal.aborted) return;
      kept.set(key, bytes);
      finishedAt.push(parts.clock.now());
      give({ type: 'computed', lease: leaseKey(lease), digest, seconds: (parts.clock.now() - since) / 1000 });
    } catch (error) {
      if (abort.signal.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      say(`Unit ${lease.unit} failed: ${reason}`);
      give({ type: 'compute-failed', lease: leaseKey(lease), reason: reason.slice(0, 2000) });
    } finally {
      running.delete(key);
      leaveUnit(lease);
      show(machine);
    }
  };

  const leaveUnit = ({ job, unit }: LeaseKey): void => {
    if (current?.job === job && current.unit === unit) current = undefined;
  };

  const deliver = async (effect: Extract<VolunteerEffect, { type: 'deliver' }>): Promise<void> => {
    const { lease, digest, seconds } = effect;
    const bytes = kept.get(keyOf(lease));
    if (bytes === undefined) return;
    const receipt: Receipt = {
      ...leaseKey(lease),
      inputs: [manifestOfJob(lease.job), ...(lease.seat?.parameters.chunks ?? [])],
      result: digest,
      volunteer: identity.account,
      deviceClass: compute.device.deviceClass,
      seconds,
      previous: previousReceipt,
    };
    const text = encodeReceipt(receipt);
    previousReceipt = sha256Text(text);
    const signature = await identity.signAsAccount('receipt', utf8(text));
    send({ type: 'result', ...leaseKey(lease), digest, seconds, receipt: text, signature }, [bytes]);
    publish({ sent: view().sent + 1 });
  };

  const show = (from: VolunteerMachine): void => {
    const shown = from.view();
    if (current !== undefined) current = { ...current, done: shown.done };
    publish({
      current,
      held: shown.queued + (current === undefined ? 0 : 1),
      verified: shown.standing?.agreed ?? shown.agreed,
      wrong: shown.standing?.disagreed ?? shown.disagreed,
      credit: shown.standing?.credit ?? shown.credit,
      excluded: shown.state === 'excluded',
      unitsPerMinute: perMinute(finishedAt, parts.clock.now()),
      fetchedBytes: exchange.fetched(),
    });
  };

  publish({
    phase: 'running',
    account: identity.account,
    device: compute.device,
    hub: { address: parts.address, state: 'connecting' },
  });
  give({ type: 'start' });
  link = keepConnected({
    dial: () => parts.dial(identity),
    identity,
    role: 'volunteer',
    verify: parts.verify,
    clock: parts.clock,
    linked: (session) => {
      exchange.attach(session);
      publish({ hub: { address: parts.address, state: 'connected' } });
      say('Connected to the hub.');
      // After this turn, so that the reconnecting loop knows the session that the machine's messages go to.
      queueMicrotask(() => give({ type: 'linked' }));
    },
    unlinked: (reason) => {
      exchange.detach();
      publish({ hub: { address: parts.address, state: 'connecting' } });
      say(`The link to the hub closed: ${reason}. Trying again.`);
      give({ type: 'unlinked' });
    },
    message: (message, tails) => {
      if (exchange.receive(message, tails)) return;
      if (message.type === 'refused') say(`The hub refused ${message.what}: ${message.reason}`);
      give({ type: 'message', message });
    },
    failed: (error, attempts) => {
      if (attempts === 1 || attempts % 10 === 0) say(`The hub cannot be reached: ${error.message}`);
    },
  });

  let cancelTick = (): void => {};
  const tick = (): void => {
    cancelTick = parts.clock.after(heartbeatMs, tick);
    perform(machine.tick(parts.clock.now()));
  };
  tick();

  return {
    give,
    close: async () => {
      give({ type: 'stop' });
      cancelTick();
      // One turn for the last `release` to leave before its link closes.
      await new Promise<void>((resolve) => parts.clock.after(20, resolve));
      link?.close('the volunteer stopped');
      for (const { abort } of running.values()) abort.abort();
      compute.close();
      exchange.close('the volunteer stopped');
      await store.close();
      giveTurnBack();
    },
  };
}

const keyOf = (lease: LeaseKey): string => `${lease.job}/${lease.unit}/${lease.attempt}`;

const leaseKey = ({ job, unit, attempt }: LeaseKey): LeaseKey => ({ job, unit, attempt });

const currentOf = (lease: Lease, manifest: Manifest, done: number): CurrentUnit => ({
  job: lease.job,
  jobName: manifest.name,
  program: manifest.program,
  submitter: manifest.submitter,
  unit: lease.unit,
  done,
});

/** Units a minute over the last two minutes of work; forgets what is older. */
function perMinute(finishedAt: number[], now: number): number {
  const windowMs = 120_000;
  while (finishedAt.length > 0 && (finishedAt[0] ?? now) < now - windowMs) finishedAt.shift();
  const first = finishedAt[0];
  if (first === undefined || finishedAt.length < 2) return 0;
  return ((finishedAt.length - 1) / Math.max(1000, now - first)) * 60_000;
}
