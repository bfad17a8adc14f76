/**
 * A volunteer put together: the machine, its link to the hub, chunks and the compute worker. Shells call start, pause,
 * resume and stop and show the view; the machine decides everything else.
 */

import type { Clock } from '../core/clock.ts';
import type { PeerId } from '../core/ids.ts';
import { createRandom } from '../core/prng.ts';
import { heartbeatMs } from '../core/limits.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Lease, Message } from '../protocol/messages.ts';
import type { ChunkStore, DigestBytes } from '../protocol/ports.ts';
import { programSetVersion } from '../protocol/versions.ts';
import { createEffectLoop } from '../swarm/drive.ts';
import {
  createVolunteer,
  type VolunteerEffect,
  type VolunteerInput,
  type VolunteerMachine,
} from '../swarm/volunteer.ts';
import { createChunkExchange, type ChunkExchange } from './chunk-exchange.ts';
import type { PeerTransport } from './peer-door.ts';
import { createPeerLinks, type PeerLinks } from './peer-links.ts';
import { keepConnected, type Dialled, type Reconnecting } from './reconnect.ts';
import { createStageDesk, type StageDesk } from './stage-desk.ts';
import { createUnitRunner, type Compute, type UnitRunner } from './unit-runner.ts';
import { stoppedView, type CurrentUnit, type VolunteerView } from './volunteer-view.ts';

export interface VolunteerParts {
  /** The hub's address as people know it. */
  readonly address: string;
  readonly identity: () => Promise<Identity>;
  readonly openCompute: () => Promise<Compute>;
  readonly openChunks: () => Promise<ChunkStore>;
  /** Takes the right to be this profile's only volunteer; undefined where another tab has it. */
  readonly takeTurn: () => Promise<(() => void) | undefined>;
  readonly dial: (identity: Identity) => Promise<Dialled>;
  /** How other volunteers are reached, for weights and for models that several tabs hold; absent where they are not. */
  readonly peers?: (identity: Identity) => PeerTransport;
  /** What is passed on to other volunteers, at most; no cap where it is left out. */
  readonly uploadBytesPerSecond?: number;
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
      open = await openVolunteer(parts, { publish, say, view: () => view });
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

/** How the open volunteer changes what the page shows. */
interface Show {
  readonly publish: (change: Partial<VolunteerView>) => void;
  readonly say: (text: string) => void;
  readonly view: () => VolunteerView;
}

interface Opened {
  readonly identity: Identity;
  readonly compute: Compute;
  readonly store: ChunkStore;
  readonly giveTurnBack: () => void;
}

async function openVolunteer(parts: VolunteerParts, show: Show): Promise<OpenVolunteer> {
  const giveTurnBack = await parts.takeTurn();
  if (giveTurnBack === undefined) {
    throw new Error('A tab of this browser is already running for this account. Use that one, or stop it first.');
  }
  let compute: Compute | undefined;
  try {
    const identity = await parts.identity();
    const store = await parts.openChunks();
    compute = await parts.openCompute();
    return runVolunteer(parts, show, { identity, compute, store, giveTurnBack });
  } catch (error) {
    compute?.close();
    giveTurnBack();
    throw error;
  }
}

/** Machine, runner and link put together: inputs in, effects performed. */
function runVolunteer(parts: VolunteerParts, { publish, say, view }: Show, opened: Opened): OpenVolunteer {
  const { identity, compute, store } = opened;
  const machine = createVolunteer({ device: compute.device, programVersion: programSetVersion });
  const transport = parts.peers?.(identity);
  const links = transport === undefined ? undefined : createPeerLinks({ ...parts, identity, transport });
  const exchange = openExchange(parts, { peer: identity.peer, store, links, say, changed: () => changed() });
  const finishedAt: number[] = [];

  const give = (input: VolunteerInput): void => {
    if (input.type === 'computed') finishedAt.push(parts.clock.now());
    if (input.type === 'pause') runner.rest();
    perform(machine.receive(input, parts.clock.now()));
  };
  const changed = (): void =>
    publish({
      ...shownOf(machine.view(), runner.current(), exchange.fetched(), perMinute(finishedAt, parts.clock.now())),
      weights: exchange.counts(),
      stage: stages.view(),
    });
  const stages = createStageDesk({
    toHub: (message, tails) => send(message, tails),
    peers: links?.allowed === true ? links : undefined,
    changed: () => changed(),
  });
  links?.onMessage((peer, message, tails) => void stages.receive(peer, message, tails));
  links?.onLost((peer) => stages.lost(peer));
  const runner = createUnitRunner({
    ...parts,
    stages,
    identity,
    exchange,
    compute,
    give,
    changed: () => changed(),
    say,
    failed: (problem) => publish({ phase: 'failed', problem }),
  });

  let link: Reconnecting | undefined;
  // A link that closes meanwhile is told to the machine by `unlinked`.
  const send = (message: Message, tails: readonly Uint8Array[] = []): void => {
    link
      ?.session()
      ?.send(message, tails)
      .catch(() => {});
  };
  const deliver = async ({ lease, digest, seconds }: Extract<VolunteerEffect, { type: 'deliver' }>): Promise<void> => {
    const delivery = await runner.delivery(lease, digest, seconds);
    if (delivery === undefined) return;
    send(delivery.message, [delivery.bytes]);
    publish({ sent: view().sent + 1 });
  };
  const perform = createEffectLoop<VolunteerEffect>((effect) => {
    switch (effect.type) {
      case 'send':
        return send(effect.message);
      case 'compute':
        void runner.run(effect.lease);
        return;
      case 'abort':
        return runner.abort(effect.lease);
      case 'deliver':
        deliver(effect).catch((error: Error) => say(`Unit ${effect.lease.unit} was not delivered: ${error.message}`));
        return;
      case 'drop':
        return runner.drop(effect.lease);
      case 'outdated':
        return parts.outdated(effect.reason);
      case 'changed':
        return changed();
    }
  });

  publish({ phase: 'running', account: identity.account, device: compute.device });
  give({ type: 'start' });
  link = keepLinked(parts, identity, { exchange, links, stages, publish, say, give });

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
      link?.close(stopReason);
      await runner.close();
      exchange.close(stopReason);
      await links?.close(stopReason);
      await store.close();
      opened.giveTurnBack();
    },
  };
}

interface ExchangeParts extends Pick<Show, 'say'> {
  readonly peer: PeerId;
  readonly store: ChunkStore;
  readonly links: PeerLinks | undefined;
  readonly changed: () => void;
}

/** Chunks from the hub, and from other volunteers where links to them are open. */
function openExchange(parts: VolunteerParts, { peer, store, links, say, changed }: ExchangeParts): ChunkExchange {
  if (links === undefined) return createChunkExchange(store);
  const { clock, uploadBytesPerSecond = Infinity } = parts;
  // Volunteers of one moment shall not all want the same chunk first.
  const random = createRandom(parseInt(peer.slice(0, 12), 16));
  return createChunkExchange(store, { links, clock, random, uploadBytesPerSecond, say, changed });
}

const stopReason = 'the volunteer stopped';

interface Linked extends Pick<Show, 'publish' | 'say'> {
  readonly exchange: ChunkExchange;
  readonly links: PeerLinks | undefined;
  readonly stages: StageDesk;
  readonly give: (input: VolunteerInput) => void;
}

function keepLinked(
  parts: VolunteerParts,
  identity: Identity,
  { exchange, links, stages, publish, say, give }: Linked,
): Reconnecting {
  const hub = (state: VolunteerView['hub']['state']): void => publish({ hub: { address: parts.address, state } });
  hub('connecting');
  return keepConnected({
    dial: () => parts.dial(identity),
    identity,
    role: 'volunteer',
    verify: parts.verify,
    clock: parts.clock,
    linked: (session) => {
      exchange.attach(session);
      links?.listen();
      hub('connected');
      say('Connected to the hub.');
      // After this turn, so that the reconnecting loop knows the session that the machine's messages go to.
      queueMicrotask(() => give({ type: 'linked' }));
    },
    unlinked: (reason) => {
      exchange.detach();
      hub('connecting');
      say(reason === stopReason ? 'Stopped.' : `The link to the hub closed: ${reason}. Trying again.`);
      give({ type: 'unlinked' });
    },
    message: (message, tails) => {
      if (exchange.receive(message, tails) || stages.receive('hub', message, tails)) return;
      if (message.type === 'refused') say(`The hub refused ${message.what}: ${message.reason}`);
      give({ type: 'message', message });
    },
    failed: (error, attempts) => {
      if (attempts === 1 || attempts % 10 === 0) say(`The hub cannot be reached: ${error.message}`);
    },
  });
}

/** The page's part of what machine and runner know. */
function shownOf(
  machine: ReturnType<VolunteerMachine['view']>,
  running: ReturnType<UnitRunner['current']>,
  fetchedBytes: number,
  unitsPerMinute: number,
): Partial<VolunteerView> {
  return {
    current: running === undefined ? undefined : currentOf(running.lease, running.manifest, machine.done),
    held: machine.queued + (running === undefined ? 0 : 1),
    verified: machine.standing?.agreed ?? machine.agreed,
    wrong: machine.standing?.disagreed ?? machine.disagreed,
    credit: machine.standing?.credit ?? machine.credit,
    excluded: machine.state === 'excluded',
    unitsPerMinute,
    fetchedBytes,
  };
}

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
