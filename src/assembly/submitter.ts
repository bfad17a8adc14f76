/**
 * A submitter put together: the machine, its link and the chunks it offers. Jobs survive a lost link and a restarted
 * hub: the machine watches again and collects each accepted unit exactly once.
 */

import type { Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import type { Digest, JobId } from '../core/ids.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { Identity, Verify } from '../protocol/identity.ts';
import type { JobState, MessageOf } from '../protocol/messages.ts';
import { LinkClosedError, type ChunkStore, type DigestBytes } from '../protocol/ports.ts';
import { createEffectLoop } from '../swarm/drive.ts';
import { createSubmitter, type SubmittedJob, type SubmitterEffect, type SubmitterInput } from '../swarm/submitter.ts';
import type { Answering } from './answering.ts';
import { createAsker } from './asker.ts';
import { createChunkExchange } from './chunk-exchange.ts';
import { keepConnected, type Dialled } from './reconnect.ts';
import type { Session } from './session.ts';

export interface SubmitterParts {
  readonly identity: Identity;
  readonly verify: Verify;
  readonly digestOf: DigestBytes;
  readonly clock: Clock;
  readonly dial: () => Promise<Dialled>;
  /** Where chunks that are fetched (checkpoints, receipts) are kept. */
  readonly chunks: ChunkStore;
  /** The first connection must stand at the first try and within this time; later ones are retried for as long as it takes. */
  readonly connectMsMax: number;
}

export interface AcceptedUnit {
  readonly unit: number;
  readonly bytes: Bytes;
  readonly digest: Digest;
  /** Whose results agree with this one; `receipt` names a signed receipt among the hub's chunks. */
  readonly by: MessageOf<'unit-accepted'>['by'];
}

/** The hub would not take the job, or not cancel it. */
export class JobRefusedError extends Error {
  override readonly name = 'JobRefusedError';
}

/** A job under way: iterate it for units as they are accepted, in the order of acceptance. */
export interface SubmittedHandle extends AsyncIterable<AcceptedUnit> {
  readonly job: JobId;
  /** Resolves when the job is done, failed or cancelled and all accepted units arrived; rejects where the hub refuses it. */
  readonly finished: Promise<JobState>;
  state(): SubmittedJob | undefined;
  onChange(changed: () => void): void;
  cancel(): void;
}

/** A prepared job of any program (`assembly/job`). */
export interface JobOffer {
  readonly job: JobId;
  readonly manifest: { readonly units: number };
  readonly manifestBytes: Bytes;
  readonly chunks: ChunkSupply;
}

/** Where a job's chunks come from when the hub asks: a map, or a file that is read then. */
export interface ChunkSupply {
  get(digest: Digest): Bytes | Promise<Bytes> | undefined;
}

export interface RunningSubmitter {
  submit(offer: JobOffer, signal?: AbortSignal): Promise<SubmittedHandle>;
  /** Follows a job that was submitted before. */
  watch(job: JobId, units: number, have?: readonly number[]): SubmittedHandle;
  list(): Promise<MessageOf<'jobs'>['jobs']>;
  cancel(job: JobId): void;
  read(artifact: Artifact): Promise<Bytes>;
  /** Asks the models that the hub serves. */
  readonly answering: Answering;
  readonly account: string;
  close(): void;
}

export async function connectSubmitter(parts: SubmitterParts): Promise<RunningSubmitter> {
  const machine = createSubmitter();
  const exchange = createChunkExchange(parts.chunks);
  const handles = new Map<JobId, HandleState>();
  const offered = new Map<JobId, ChunkSupply>();
  const listers: ((jobs: MessageOf<'jobs'>['jobs']) => void)[] = [];
  /** Jobs that nobody wants any more, until the hub has said that they ended: it may be away, or not have them yet. */
  const cancelling = new Set<JobId>();
  /** Jobs of this submitter's own: a hub that refuses to cancel one of them does not have it yet. */
  const own = new Set<JobId>();
  let tail: Uint8Array | undefined;

  const give = (input: SubmitterInput): void => {
    perform(machine.receive(input, parts.clock.now()));
  };

  const send = (...message: Parameters<Session['send']>): void =>
    void link
      .session()
      ?.send(...message)
      .catch(() => {});

  const perform = createEffectLoop<SubmitterEffect>((effect) => {
    switch (effect.type) {
      case 'send':
        return send(effect.message);
      case 'provide':
        providing = providing.then(() => provide(effect));
        return;
      case 'collect':
        return collect(effect.accepted, tail ?? new Uint8Array(0));
      case 'listed':
        for (const lister of listers.splice(0)) lister(effect.jobs);
        return;
      case 'changed':
        if (effect.finished) cancelling.delete(effect.job);
        else if (cancelling.has(effect.job)) give({ type: 'cancel', job: effect.job });
        return handles.get(effect.job)?.changed(machine.job(effect.job), effect.finished);
      case 'refused':
        return handles.get(effect.job)?.failed(new JobRefusedError(effect.reason));
    }
  });

  /** One after another, as fast as the link takes them: weights are larger than memory. */
  let providing = Promise.resolve();
  const provide = async ({ job, digests }: Extract<SubmitterEffect, { type: 'provide' }>): Promise<void> => {
    try {
      for (const digest of digests) {
        const bytes = await offered.get(job)?.get(digest);
        // After a lost link the hub asks anew.
        if (bytes !== undefined) await link.session()?.send({ type: 'chunk', digest }, [bytes]);
      }
    } catch (error) {
      if (!(error instanceof LinkClosedError)) handles.get(job)?.failed(errorOf(error));
    }
  };

  const collect = (accepted: MessageOf<'unit-accepted'>, bytes: Uint8Array): void => {
    const { job, unit, digest, by } = accepted;
    handles.get(job)?.accepted({ unit, digest, by, bytes: new Uint8Array(bytes) });
  };

  const cancelRefused = (reason: string): void => {
    const job = [...cancelling].find((one) => !own.has(one));
    if (job === undefined) return;
    cancelling.delete(job);
    handles.get(job)?.failed(new JobRefusedError(reason));
  };

  const receive = (message: Parameters<Parameters<Session['onMessage']>[0]>[0], tails: readonly Uint8Array[]): void => {
    if (exchange.receive(message, tails) || asker.receive(message)) return;
    if (message.type === 'refused' && message.what === 'cancel') return cancelRefused(message.reason);
    if (message.type !== 'unit-accepted') return give({ type: 'message', message });
    // Results are hashed before anyone sees them: the hub may be a stranger too.
    const bytes = tails[0] ?? new Uint8Array(0);
    parts.digestOf(bytes).then(
      (digest) => {
        if (digest !== message.digest)
          return handles
            .get(message.job)
            ?.failed(new Error(`unit ${message.unit}: its bytes do not have the digest that the hub names`));
        tail = bytes;
        give({ type: 'message', message });
        tail = undefined;
      },
      (error: Error) => handles.get(message.job)?.failed(error),
    );
  };

  const list = (): Promise<MessageOf<'jobs'>['jobs']> =>
    new Promise((resolve) => {
      listers.push(resolve);
      give({ type: 'list' });
    });
  const asker = createAsker({
    send: async (message) => {
      const session = link.session();
      if (session === undefined) throw new LinkClosedError('no link stands');
      await session.send(message);
    },
    list,
    chunk: (digest) => exchange.chunk(digest),
  });

  let markConnected = (): void => {};
  let markFailed: (error: Error) => void = () => {};
  const connected = new Promise<void>((resolve, reject) => {
    markConnected = resolve;
    markFailed = reject;
  });
  const link = keepConnected({
    ...parts,
    role: 'submitter',
    linked: (session) => {
      exchange.attach(session);
      markConnected();
      queueMicrotask(() => {
        give({ type: 'linked' });
        for (const job of cancelling) give({ type: 'cancel', job });
        if (listers.length > 0) give({ type: 'list' });
      });
    },
    unlinked: () => {
      exchange.detach();
      asker.unlinked();
      give({ type: 'unlinked' });
    },
    message: receive,
    // Counts until the first connection stands; a settled promise ignores the rest.
    failed: (error) => markFailed(error),
  });
  const close = (): void => {
    link.close('the submitter closed');
    exchange.close('the submitter closed');
    for (const handle of handles.values()) handle.failed(new LinkClosedError('the submitter closed'));
  };
  try {
    await withinTime(connected, parts.clock, parts.connectMsMax);
  } catch (error) {
    close();
    throw error;
  }

  const cancel = (job: JobId): void => {
    cancelling.add(job);
    give({ type: 'cancel', job });
  };

  const follow = (job: JobId): HandleState => {
    const handle = createHandle(
      job,
      () => machine.job(job),
      () => cancel(job),
    );
    handles.set(job, handle);
    return handle;
  };

  return {
    account: parts.identity.account,
    submit: async (offer, signal) => {
      signal?.throwIfAborted();
      const { job, manifest, manifestBytes, chunks } = offer;
      offered.set(job, chunks);
      const signature = await parts.identity.signAsAccount('manifest', manifestBytes);
      signal?.throwIfAborted();
      own.add(job);
      const handle = follow(job);
      give({ type: 'submit', job, signature, units: manifest.units });
      signal?.addEventListener('abort', () => handle.handle.cancel(), { once: true });
      const release = (): void => {
        offered.delete(job);
        own.delete(job);
        cancelling.delete(job);
      };
      handle.handle.finished.then(release, release);
      return handle.handle;
    },
    watch: (job, units, have) => {
      const handle = follow(job);
      give({ type: 'watch', job, units, ...(have === undefined ? {} : { have }) });
      return handle.handle;
    },
    list,
    answering: asker,
    cancel,
    read: (artifact) => exchange.read(artifact),
    close,
  };
}

interface HandleState {
  readonly handle: SubmittedHandle;
  accepted(unit: AcceptedUnit): void;
  changed(state: SubmittedJob | undefined, finished: boolean): void;
  failed(error: Error): void;
}

function createHandle(job: JobId, state: () => SubmittedJob | undefined, cancel: () => void): HandleState {
  const units: AcceptedUnit[] = [];
  const listeners: (() => void)[] = [];
  let wake: (() => void)[] = [];
  let ended: { readonly error?: Error } | undefined;
  let resolve: (state: JobState) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const finished = new Promise<JobState>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever only iterates hears of the failure there.
  finished.catch(() => {});
  const wakeAll = (): void => {
    const woken = wake;
    wake = [];
    for (const one of woken) one();
    for (const listener of listeners) listener();
  };
  const iterate = async function* (): AsyncGenerator<AcceptedUnit> {
    for (let next = 0; ; next++) {
      while (next >= units.length) {
        if (ended?.error !== undefined) throw ended.error;
        if (ended !== undefined) return;
        await new Promise<void>((resume) => wake.push(resume));
      }
      const unit = units[next];
      if (unit !== undefined) yield unit;
    }
  };
  return {
    handle: {
      job,
      finished,
      state,
      onChange: (changed) => void listeners.push(changed),
      cancel,
      [Symbol.asyncIterator]: iterate,
    },
    accepted: (unit) => {
      units.push(unit);
      wakeAll();
    },
    changed: (now, isFinished) => {
      if (isFinished && ended === undefined && now?.state !== undefined) {
        ended = {};
        resolve(now.state);
      }
      wakeAll();
    },
    failed: (error) => {
      if (ended !== undefined) return;
      ended = { error };
      reject(error);
      wakeAll();
    },
  };
}

const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

function withinTime(done: Promise<void>, clock: Clock, msMax: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(msMax, () =>
      reject(new LinkClosedError(`the hub did not answer within ${msMax / 1000} s`)),
    );
    done.then(resolve, reject).finally(cancel);
  });
}
