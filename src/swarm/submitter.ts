/**
 * The submitter's machine: offers jobs, provides the chunks that the hub lacks, and collects each accepted unit exactly
 * once, over as many links as it takes. The driver owns chunks, signatures and the link.
 */

import type { Digest, JobId } from '../core/ids.ts';
import type { JobState, Message, MessageOf } from '../protocol/messages.ts';

export type SubmitterInput =
  /** The manifest's bytes are chunk `job`; `units` is its number of units. */
  | { readonly type: 'submit'; readonly job: JobId; readonly signature: string; readonly units: number }
  /** Follow a job that was submitted before, having these units already. */
  | { readonly type: 'watch'; readonly job: JobId; readonly units: number; readonly have?: readonly number[] }
  | { readonly type: 'cancel'; readonly job: JobId }
  | { readonly type: 'list' }
  | { readonly type: 'linked' }
  | { readonly type: 'unlinked' }
  | { readonly type: 'message'; readonly message: Message };

export type SubmitterEffect =
  | { readonly type: 'send'; readonly message: Message }
  /** Send these chunks of the job (the manifest's own bytes among them) as `chunk` messages. */
  | { readonly type: 'provide'; readonly job: JobId; readonly digests: readonly Digest[] }
  /** An accepted unit, for the first time; its bytes are the message's tail. */
  | { readonly type: 'collect'; readonly accepted: MessageOf<'unit-accepted'> }
  | { readonly type: 'listed'; readonly jobs: MessageOf<'jobs'>['jobs'] }
  /** The job's state changed; `finished` when it will not change again and all its accepted units were collected. */
  | { readonly type: 'changed'; readonly job: JobId; readonly finished: boolean }
  /** The hub would not take the job. */
  | { readonly type: 'refused'; readonly job: JobId; readonly reason: string };

export interface SubmittedJob {
  readonly job: JobId;
  readonly phase: 'offering' | 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'refused';
  readonly state: JobState | undefined;
  readonly collected: number;
  readonly finished: boolean;
}

export interface SubmitterMachine {
  receive(input: SubmitterInput, now: number): readonly SubmitterEffect[];
  job(job: JobId): SubmittedJob | undefined;
}

export function createSubmitter(): SubmitterMachine {
  return new Submitter();
}

/** Runs in one `watch` message; what does not fit is sent to us again and ignored. */
const runsMax = 2_000;

interface Followed {
  readonly job: JobId;
  /** Known while the hub has not taken the job yet. */
  readonly signature: string | undefined;
  readonly units: number;
  readonly have: Set<number>;
  taken: boolean;
  refused: boolean;
  /** Kept, because the hub may be away, or may not have taken the job yet and would know nothing of it. */
  cancelling: boolean;
  state: JobState | undefined;
}

class Submitter implements SubmitterMachine {
  private readonly jobs = new Map<JobId, Followed>();
  private linked = false;
  private effects: SubmitterEffect[] = [];

  receive(input: SubmitterInput): readonly SubmitterEffect[] {
    this.handle(input);
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  job(job: JobId): SubmittedJob | undefined {
    const followed = this.jobs.get(job);
    if (followed === undefined) return undefined;
    const { state, have, refused, taken } = followed;
    const phase = refused ? 'refused' : taken ? (state?.state ?? 'waiting') : 'offering';
    return { job, phase, state, collected: have.size, finished: isFinished(followed) };
  }

  private handle(input: SubmitterInput): void {
    switch (input.type) {
      case 'submit': {
        const { job, signature, units } = input;
        return this.follow({
          job,
          signature,
          units,
          have: new Set(),
          taken: false,
          refused: false,
          cancelling: false,
          state: undefined,
        });
      }
      case 'watch': {
        const { job, units, have = [] } = input;
        const base = {
          job,
          signature: undefined,
          units,
          taken: true,
          refused: false,
          cancelling: false,
          state: undefined,
        };
        return this.follow({ ...base, have: new Set(have) });
      }
      case 'cancel': {
        const followed = this.jobs.get(input.job);
        if (followed !== undefined) followed.cancelling = true;
        return this.send({ type: 'cancel', job: input.job });
      }
      case 'list':
        return this.send({ type: 'list-jobs' });
      case 'linked':
        this.linked = true;
        for (const followed of this.jobs.values()) this.introduce(followed);
        return;
      case 'unlinked':
        this.linked = false;
        return;
      case 'message':
        return this.handleMessage(input.message);
    }
  }

  private handleMessage(message: Message): void {
    switch (message.type) {
      case 'chunks-wanted':
        if (this.jobs.has(message.job))
          this.effects.push({ type: 'provide', job: message.job, digests: message.digests });
        return;
      case 'job-state': {
        const followed = this.jobs.get(message.job);
        if (followed === undefined) return;
        if (!followed.taken && followed.cancelling) this.send({ type: 'cancel', job: followed.job });
        followed.taken = true;
        followed.state = message;
        return this.changed(followed);
      }
      case 'unit-accepted':
        return this.collect(message);
      case 'jobs':
        this.effects.push({ type: 'listed', jobs: message.jobs });
        return;
      case 'refused':
        return this.refuse(message);
      default:
    }
  }

  private follow(followed: Followed): void {
    this.jobs.set(followed.job, followed);
    if (this.linked) this.introduce(followed);
  }

  /** Offers a job that the hub may not have; of others asks for what is missing. */
  private introduce(followed: Followed): void {
    const { job, signature, taken } = followed;
    if (followed.refused || isFinished(followed)) return;
    if (!taken && signature !== undefined) this.send({ type: 'submit', job, signature });
    else this.send({ type: 'watch', job, have: runsOf(followed.have) });
    if (taken && followed.cancelling) this.send({ type: 'cancel', job });
  }

  private collect(accepted: MessageOf<'unit-accepted'>): void {
    const followed = this.jobs.get(accepted.job);
    if (followed === undefined || followed.have.has(accepted.unit)) return;
    followed.have.add(accepted.unit);
    this.effects.push({ type: 'collect', accepted });
    this.changed(followed);
  }

  /** `what` may name the job; where it does not, offers are made one by one, and only one is not taken yet. */
  private refuse({ what, reason }: MessageOf<'refused'>): void {
    const [kind, job] = what.split(' ');
    if (kind !== 'submit' && kind !== 'watch') return;
    for (const followed of this.jobs.values()) {
      if (followed.refused || followed.state !== undefined) continue;
      if (job !== undefined && job !== followed.job) continue;
      followed.refused = true;
      this.effects.push({ type: 'refused', job: followed.job, reason });
      return;
    }
  }

  private changed(followed: Followed): void {
    this.effects.push({ type: 'changed', job: followed.job, finished: isFinished(followed) });
  }

  private send(message: Message): void {
    if (this.linked) this.effects.push({ type: 'send', message });
  }
}

/** Done with all units here; failed and cancelled jobs bring no more. */
function isFinished({ state, have }: Followed): boolean {
  if (state === undefined) return false;
  if (state.state === 'failed' || state.state === 'cancelled') return true;
  return state.state === 'done' && (state.program === 'train' || have.size >= state.units);
}

/** Numbers as runs `[first, length]` in rising order. */
export function runsOf(units: Iterable<number>): [number, number][] {
  const runs: [number, number][] = [];
  for (const unit of [...units].toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === unit) last[1]++;
    else if (runs.length === runsMax) break;
    else runs.push([unit, 1]);
  }
  return runs;
}
