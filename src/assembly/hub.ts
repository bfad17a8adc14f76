/**
 * A hub put together: the machine, its drive, the store, chunks, and sessions with peers. The same composition runs in
 * Node and in a tab; what differs is handed in. Decisions are the machine's: here bytes are checked before they reach
 * it, and its effects are performed.
 */

import type { Clock } from '../core/clock.ts';
import type { Digest, JobId, PeerId } from '../core/ids.ts';
import { manifestOfJob } from '../core/ids.ts';
import { frameBytesMax, heartbeatMs } from '../core/limits.ts';
import { assert } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import { decodeManifest, type Manifest } from '../protocol/manifest.ts';
import { refusal, type Message } from '../protocol/messages.ts';
import type { stageTraffic } from '../protocol/serving-messages.ts';
import type { ChunkStore, DigestBytes, Link, Listener, Store } from '../protocol/ports.ts';
import { createDrive } from '../swarm/drive.ts';
import { restoreHub, type HubView } from '../swarm/hub.ts';
import { compareOutputs } from '../swarm/quorum.ts';
import type { HubEffect, HubInput } from '../swarm/step.ts';

import { openHubLog } from './hub-log.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { createResultDesk } from './result-desk.ts';
import { createRateLimit } from './rate-limit.ts';
import { openSession, type Session } from './session.ts';
import { createSubmitDesk } from './submit-desk.ts';
import { createTrainingDesk, isTrainingStream } from './training-desk.ts';

export interface HubParts {
  readonly identity: Identity;
  readonly verify: Verify;
  readonly digestOf: DigestBytes;
  readonly store: Store;
  readonly chunks: ChunkStore;
  readonly listeners: readonly Listener[];
  readonly clock: Clock;
  readonly random: Random;
  readonly unixSeconds: () => number;
  /** Chunks go out no faster than this, all peers together; no cap where it is left out. */
  readonly uploadBytesPerSecond?: number;
  /** One line about something that went wrong outside. */
  readonly report: (line: string) => void;
  readonly changed?: () => void;
}

export interface RunningHub {
  view(): HubView;
  /** No new leases; resolves when no lease is open any more, or after `msMax`. */
  drain(msMax: number): Promise<void>;
  close(): Promise<void>;
  /** Rejects when the log cannot be written: the process should end and start again. */
  readonly broken: Promise<never>;
}

interface Connected {
  readonly session: Session;
  readonly outbox: Outbox;
  /** Chunks that it asked for and that its link has not taken yet. */
  chunksAsked: number;
}

/** Chunks under way to one peer; ours ask for eight at once. */
const chunksAskedMax = 64;
/** What a peer may have sent that was not dealt with yet; a submitter that goes on faster than the disk starts again. */
const unhandledMessagesMax = 10_000;
const unhandledBytesMax = 6 * frameBytesMax;

export async function startHub(parts: HubParts): Promise<RunningHub> {
  const log = await openHubLog(parts.store, (stream) => !isTrainingStream(stream));
  const unixSecondsAtZero = parts.unixSeconds() - parts.clock.now() / 1000;
  const { hub, step } = restoreHub({ random: parts.random, unixSecondsAtZero }, log.loaded, parts.clock.now());
  await log.commit(step.records);
  await log.compact((stream) => hub.snapshot(stream));

  const peers = new Map<PeerId, Connected>();
  let markBroken: (error: Error) => void = () => {};
  const broken = new Promise<never>((_, reject) => {
    markBroken = reject;
  });
  // Whoever started the hub decides what a broken log means; nobody listening is not a second failure.
  broken.catch(() => {});

  const uploads = createRateLimit(parts.clock, parts.uploadBytesPerSecond ?? Infinity);
  const drive = createDrive<HubEffect>({
    commit: log.commit,
    perform: (effect) => {
      perform(effect).catch((error: unknown) => {
        parts.report(`${effect.type}: ${textOf(error)}`);
        // Without its answer the unit would wait for ever.
        if (effect.type === 'compare') give({ type: 'job-problem', job: effect.job, reason: textOf(error) });
      });
    },
    failed: (error) => markBroken(error),
  });

  const give = (input: HubInput): void => {
    drive.take(hub.receive(input, parts.clock.now()));
    parts.changed?.();
  };

  const manifestOf = createManifestShelf(parts.chunks);
  const results = createResultDesk({
    ...parts,
    wants: hub.wants,
    needs: hub.needs,
    deliver: (from, message) => give({ type: 'message', from, message }),
  });
  const training = createTrainingDesk({ ...parts, manifestOf });
  const desk = createSubmitDesk({
    ...parts,
    submitted: give,
    needs: hub.needs,
    refuse: (peer, what, reason) => void peers.get(peer)?.outbox.put(refusal(what, reason)),
  });

  const perform = async (effect: HubEffect): Promise<void> => {
    switch (effect.type) {
      case 'send':
        return sendTo(effect);
      case 'compare':
        return compare(effect);
      case 'forget':
        return results.forget(effect.digest);
      case 'initialise':
        return give(await training.initialise(effect.job));
      case 'aggregate':
        return give(await training.aggregate(effect));
      case 'inspect': {
        const counted = peers.get(effect.from)?.session.link.counted;
        return give(await training.inspect(effect, counted));
      }
    }
  };

  const compare = async ({ job, unit, a, b }: Extract<HubEffect, { type: 'compare' }>): Promise<void> => {
    const manifest = await manifestOf(job);
    const outputs = [];
    for (const { digest } of [a, b]) {
      const bytes = await parts.chunks.get(digest);
      if (bytes !== undefined) outputs.push(bytes);
      // A unit that was decided meanwhile no longer needs them.
      else if (hub.needs(digest)) throw new Error(`unit ${unit}: result ${digest} is missing from the hub's store`);
    }
    const [first, second] = outputs;
    if (first === undefined || second === undefined) return;
    const agree = compareOutputs(manifest, first, second);
    give({ type: 'compared', job, unit, a: a.attempt, b: b.attempt, agree });
  };

  const sendTo = async (effect: Extract<HubEffect, { type: 'send' }>): Promise<void> => {
    const { to, message } = effect;
    if (message.type === 'chunks-wanted') desk.asked(to, message.job, message.digests);
    const peer = peers.get(to);
    if (peer === undefined) return;
    if (message.type === 'lease') {
      for (const { job, program } of message.leases)
        if (program === 'train') training.lent(job, to, peer.session.link.counted);
    }
    const taken = await peer.outbox.put(message, effect.tail);
    if (taken && message.type === 'unit-accepted') give({ type: 'delivered', peer: to });
  };

  const accept = async (link: Link): Promise<void> => {
    const session = await openSession(link, {
      identity: parts.identity,
      role: 'hub',
      verify: parts.verify,
      clock: parts.clock,
    });
    const { peer, account, role } = session;
    peers.get(peer)?.session.close('the same peer connected again');
    const outbox = createOutbox(session, parts.chunks, (line) => parts.report(`${link.remote}: ${line}`));
    const connected: Connected = { session, outbox, chunksAsked: 0 };
    peers.set(peer, connected);
    give({ type: 'connected', peer, account, role, addressBlock: link.addressBlock });
    // After `connected`: a link that closed during the handshake calls back at once.
    session.onClose(() => {
      if (peers.get(peer) !== connected) return;
      peers.delete(peer);
      desk.lost(peer);
      give({ type: 'lost', peer });
    });
    receiveInOrder(connected);
  };

  /** One message after another, and only so many waiting: a stranger's flood ends its own session. */
  const receiveInOrder = (from: Connected): void => {
    let queue = Promise.resolve();
    let messages = 0;
    let bytes = 0;
    from.session.onMessage((message, tails) => {
      const size = tails.reduce((sum, tail) => sum + tail.byteLength, 0);
      messages += 1;
      bytes += size;
      if (messages > unhandledMessagesMax || bytes > unhandledBytesMax) {
        return from.session.close('more came than this hub can take in; connect again and go on');
      }
      queue = queue
        .then(() => receive(from, message, tails))
        .catch((error: unknown) => refuse(from, message, error))
        .then(() => {
          messages -= 1;
          bytes -= size;
        });
    });
  };

  const refuse = (from: Connected, message: Message, error: unknown): void => {
    void from.outbox.put(refusal(message.type, textOf(error)));
  };

  const receive = async (from: Connected, message: Message, tails: readonly Uint8Array[]): Promise<void> => {
    const { peer, account } = from.session;
    switch (message.type) {
      case 'submit':
        return desk.offer(peer, account, message.job, message.signature);
      case 'chunk':
        return desk.chunk(peer, message.digest, tails[0] ?? new Uint8Array(0));
      case 'chunk-get':
        return sendChunk(from, message.digest);
      case 'result':
        return results.take(message, tails[0] ?? new Uint8Array(0), from.session);
      case 'stage-rows':
      case 'stage-want':
      case 'stage-tokens':
        if (message.to === undefined) return give({ type: 'message', from: peer, message });
        return relay(from, message.to, message, tails);
      default:
        return give({ type: 'message', from: peer, message });
    }
  };

  /** Carries what one stage of a model says to the next where no link stands between them. */
  const relay = async (
    { session: { peer } }: Connected,
    to: PeerId,
    { to: _to, ...message }: Extract<Message, { type: (typeof stageTraffic)[number] }>,
    tails: readonly Uint8Array[],
  ): Promise<void> => {
    const receiver = peers.get(to);
    // Who has just lost its place is told so by other means.
    if (receiver === undefined || !hub.mayRelay(peer, to, message.job)) return;
    await receiver.session.send({ ...message, from: peer }, tails).catch(() => undefined);
  };

  const sendChunk = async (to: Connected, digest: Digest): Promise<void> => {
    if (to.chunksAsked >= chunksAskedMax) throw new Error(`at most ${chunksAskedMax} chunks may be asked for at once`);
    const held = await parts.chunks.has(digest);
    if (!held) return void to.outbox.put({ type: 'chunk-missing', digest });
    to.chunksAsked += 1;
    const { peer } = to.session;
    give({ type: 'chunk-given', peer, digest, stage: 'asked' });
    // The queue is left at once, so that what else this peer says is not held up by the cap.
    void uploads
      .run(async () => {
        let bytes = 0;
        if (peers.get(peer) === to) await to.outbox.put({ type: 'chunk', digest }, digest, (sent) => (bytes = sent));
        return bytes;
      })
      .then(() => {
        to.chunksAsked -= 1;
        if (peers.get(peer) === to) give({ type: 'chunk-given', peer, digest, stage: 'sent' });
      });
  };

  for (const listener of parts.listeners) {
    listener.onLink((link) => {
      accept(link).catch((error: unknown) => parts.report(`${link.remote}: ${textOf(error)}`));
    });
  }
  drive.take({ effects: step.effects });

  let cancelTick = (): void => {};
  const tick = (): void => {
    cancelTick = parts.clock.after(heartbeatMs, tick);
    drive.take(hub.tick(parts.clock.now()));
    parts.changed?.();
  };
  tick();

  const openLeases = (): number => hub.view().volunteers.reduce((sum, volunteer) => sum + volunteer.leases, 0);

  const close = async (): Promise<void> => {
    cancelTick();
    for (const listener of parts.listeners) await listener.close();
    for (const { session } of peers.values()) session.close('the hub is closing');
    await drive.settled();
  };

  return {
    view: () => hub.view(),
    broken,
    drain: async (msMax) => {
      give({ type: 'shutdown' });
      const end = parts.clock.now() + msMax;
      while (openLeases() > 0 && parts.clock.now() < end) {
        await new Promise<void>((resolve) => parts.clock.after(50, resolve));
      }
    },
    close,
  };
}

/** Manifests by job; each is read from the store once. */
function createManifestShelf(chunks: ChunkStore): (job: JobId) => Promise<Manifest> {
  const manifests = new Map<JobId, Promise<Manifest>>();
  const read = async (job: JobId): Promise<Manifest> => {
    const bytes = await chunks.get(manifestOfJob(job));
    assert(bytes !== undefined, `the manifest of job ${job} is missing from the store`);
    const manifest = decodeManifest(bytes);
    assert(manifest.ok, `the manifest of job ${job} cannot be read`);
    return manifest.value;
  };
  return (job) => {
    const known = manifests.get(job);
    if (known !== undefined) return known;
    const manifest = read(job);
    manifests.set(job, manifest);
    manifest.catch(() => manifests.delete(job));
    return manifest;
  };
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
