/**
 * A hub put together: the machine, its drive, the store, chunks, and sessions with peers. The same composition runs in
 * Node and in a tab; what differs is handed in. Decisions are the machine's: here bytes are checked before they reach
 * it, and its effects are performed.
 */

import type { Clock } from '../core/clock.ts';
import type { JobId, PeerId } from '../core/ids.ts';
import { manifestOfJob } from '../core/ids.ts';
import { heartbeatMs } from '../core/limits.ts';
import { assert, present } from '../core/assert.ts';
import { utf8 } from '../core/bytes.ts';
import type { Random } from '../core/prng.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import { decodeManifest, type Manifest } from '../protocol/manifest.ts';
import type { Message, MessageOf } from '../protocol/messages.ts';
import type { ChunkStore, DigestBytes, Link, Listener, Store } from '../protocol/ports.ts';
import { decodeReceipt } from '../protocol/receipt.ts';
import { createDrive } from '../swarm/drive.ts';
import { restoreHub, type HubView } from '../swarm/hub.ts';
import { compareOutputs } from '../swarm/quorum.ts';
import type { HubEffect, HubInput } from '../swarm/step.ts';

import { createOutbox, type Outbox } from './outbox.ts';
import { openSession, type Session } from './session.ts';
import { createSubmitDesk } from './submit-desk.ts';
import { createTrainingDesk } from './training-desk.ts';

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
}

export async function startHub(parts: HubParts): Promise<RunningHub> {
  const epochs = new Map<string, number>();
  const streams = await parts.store.streams();
  const loaded = [];
  for (const stream of streams.filter((name) => !name.startsWith(trainingStreamPrefix))) {
    epochs.set(stream, await parts.store.claim(stream));
    loaded.push({ stream, ...(await parts.store.load(stream)) });
  }
  const { hub, step } = restoreHub({ random: parts.random }, loaded, parts.clock.now());

  const peers = new Map<PeerId, Connected>();
  const manifests = new Map<JobId, Promise<Manifest>>();
  /** Who delivered an attempt, until its training report was read. */
  const deliveredBy = new Map<string, PeerId>();
  let markBroken: (error: Error) => void = () => {};
  const broken = new Promise<never>((_, reject) => {
    markBroken = reject;
  });
  // Whoever started the hub decides what a broken log means; nobody listening is not a second failure.
  broken.catch(() => {});

  const commit = async (records: Parameters<Parameters<typeof createDrive>[0]['commit']>[0]): Promise<void> => {
    for (const { stream } of records) if (!epochs.has(stream)) epochs.set(stream, await parts.store.claim(stream));
    await parts.store.append(
      records.map((record) => ({ ...record, epoch: present(epochs.get(record.stream), 'a claimed stream') })),
    );
  };

  const drive = createDrive<HubEffect>({
    commit,
    perform: (effect) => {
      perform(effect).catch((error: unknown) => parts.report(`${effect.type}: ${textOf(error)}`));
    },
    failed: (error) => markBroken(error),
  });

  const give = (input: HubInput): void => {
    drive.take(hub.receive(input, parts.clock.now()));
    parts.changed?.();
  };

  const manifestOf = (job: JobId): Promise<Manifest> => {
    const known = manifests.get(job);
    if (known !== undefined) return known;
    const read = (async () => {
      const bytes = await parts.chunks.get(manifestOfJob(job));
      assert(bytes !== undefined, `the manifest of job ${job} is missing from the store`);
      const manifest = decodeManifest(bytes);
      assert(manifest.ok, `the manifest of job ${job} cannot be read`);
      return manifest.value;
    })();
    manifests.set(job, read);
    return read;
  };

  const training = createTrainingDesk({ ...parts, manifestOf });
  const desk = createSubmitDesk({
    ...parts,
    submitted: give,
    refuse: (peer, what, reason) => void peers.get(peer)?.outbox.put({ type: 'refused', what, reason }),
  });

  const perform = async (effect: HubEffect): Promise<void> => {
    switch (effect.type) {
      case 'send':
        return sendTo(effect);
      case 'compare': {
        const manifest = await manifestOf(effect.job);
        const [a, b] = await Promise.all([parts.chunks.get(effect.a.digest), parts.chunks.get(effect.b.digest)]);
        const agree = a !== undefined && b !== undefined && compareOutputs(manifest, a, b);
        return give({
          type: 'compared',
          job: effect.job,
          unit: effect.unit,
          a: effect.a.attempt,
          b: effect.b.attempt,
          agree,
        });
      }
      case 'forget':
        return parts.chunks.delete(effect.digest);
      case 'initialise':
        return give(await training.initialise(effect.job));
      case 'aggregate':
        return give(await training.aggregate(effect));
      case 'inspect': {
        const key = attemptKey(effect);
        const from = deliveredBy.get(key);
        deliveredBy.delete(key);
        return give(
          await training.inspect(effect, from, from === undefined ? undefined : peers.get(from)?.session.link.counted),
        );
      }
      case 'close':
        return peers.get(effect.peer)?.session.close(effect.reason);
    }
  };

  const sendTo = async (effect: Extract<HubEffect, { type: 'send' }>): Promise<void> => {
    const { to, message } = effect;
    if (message.type === 'chunks-wanted') desk.asked(to, message.job, message.digests);
    const peer = peers.get(to);
    if (peer === undefined) return;
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
    const connected: Connected = { session, outbox: createOutbox(session, parts.chunks) };
    peers.set(peer, connected);
    session.onClose(() => {
      if (peers.get(peer) !== connected) return;
      peers.delete(peer);
      desk.lost(peer);
      give({ type: 'lost', peer });
    });
    give({ type: 'connected', peer, account, role, addressBlock: link.addressBlock });
    // One after another: a stranger's flood queues in its own session and not in the hub's memory of open promises.
    let queue = Promise.resolve();
    session.onMessage((message, tails) => {
      queue = queue
        .then(() => receive(connected, message, tails))
        .catch((error: unknown) => refuse(connected, message, error));
    });
  };

  const refuse = (from: Connected, message: Message, error: unknown): void => {
    void from.outbox.put({ type: 'refused', what: message.type, reason: textOf(error).slice(0, 500) });
  };

  const receive = async (from: Connected, message: Message, tails: readonly Uint8Array[]): Promise<void> => {
    const { peer, account } = from.session;
    switch (message.type) {
      case 'submit':
        return desk.offer(peer, account, message.job, message.signature);
      case 'chunk':
        return desk.chunk(peer, message.digest, tails[0] ?? new Uint8Array(0));
      case 'chunk-get': {
        const held = await parts.chunks.has(message.digest);
        void (held
          ? from.outbox.put({ type: 'chunk', digest: message.digest }, message.digest)
          : from.outbox.put({ type: 'chunk-missing', digest: message.digest }));
        return;
      }
      case 'result':
        return receiveResult(from, message, tails[0] ?? new Uint8Array(0));
      default:
        return give({ type: 'message', from: peer, message });
    }
  };

  const receiveResult = async (from: Connected, message: MessageOf<'result'>, bytes: Uint8Array): Promise<void> => {
    const { peer, account } = from.session;
    const receipt = decodeReceipt(message.receipt);
    if (!receipt.ok) throw new Error(receipt.error.text);
    const { job, unit, attempt, result, volunteer } = receipt.value;
    const same =
      job === message.job && unit === message.unit && attempt === message.attempt && result === message.digest;
    if (!same || volunteer !== account) throw new Error('receipt: speaks of another result than the one it came with');
    if (!(await parts.verify(account, 'receipt', utf8(message.receipt), message.signature))) {
      throw new Error('receipt: its signature is not the volunteer’s');
    }
    if ((await parts.digestOf(bytes)) !== message.digest)
      throw new Error('result: its bytes do not have the digest that was signed');
    await parts.chunks.put(message.digest, bytes);
    deliveredBy.set(attemptKey(message), peer);
    // What is kept and named from here on is the signed statement: exact text, a line break, the signature.
    const signed = `${message.receipt}\n${message.signature}`;
    const signedBytes = utf8(signed);
    await parts.chunks.put(await parts.digestOf(signedBytes), signedBytes);
    give({ type: 'message', from: peer, message: { ...message, receipt: signed } });
  };

  for (const listener of parts.listeners) {
    listener.onLink((link) => {
      accept(link).catch((error: unknown) => parts.report(`${link.remote}: ${textOf(error)}`));
    });
  }
  drive.take(step);

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

/** Streams that the training desk keeps for itself: the outer optimiser's state of each round. */
export const trainingStreamPrefix = 'outer-';

const attemptKey = (key: { job: JobId; unit: number; attempt: number }): string =>
  `${key.job}/${key.unit}/${key.attempt}`;

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
