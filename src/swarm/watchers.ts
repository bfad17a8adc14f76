/**
 * Who follows a job: submitters get every accepted unit that they lack and the job's state. A huge job does not flood a
 * link: only so many units are under way to a watcher until its link has taken them.
 */

import type { JobId, PeerId } from '../core/ids.ts';
import type { MessageOf } from '../protocol/messages.ts';
import type { Coordinator } from './coordinator.ts';
import type { HubEffect } from './step.ts';

/** Accepted units handed to a link before it said that it took one; with results of 64 MiB that is the link's business. */
const unitsUnderWayMax = 16;

interface Watch {
  readonly peer: PeerId;
  readonly followed: FollowedJob;
  /** Units that it has, as runs [first, end) in rising order that do not touch. */
  readonly have: readonly (readonly [number, number])[];
  /** The next in the job's order of acceptance. */
  cursor: number;
  stateDue: boolean;
}

interface FollowedJob {
  readonly coordinator: Coordinator;
  /** Units in the order in which they were accepted. */
  readonly accepted: number[];
  readonly watches: Map<PeerId, Watch>;
}

export class Watchers {
  private readonly jobs = new Map<JobId, FollowedJob>();
  private readonly underWay = new Map<PeerId, number>();
  private readonly due = new Set<Watch>();

  constructor(effect: (effect: HubEffect) => void) {
    this.effect = effect;
  }

  private readonly effect: (effect: HubEffect) => void;

  addJob(coordinator: Coordinator): void {
    const accepted = coordinator.record.table.units.flatMap((unit, index) =>
      unit && unit.accepted !== 0 ? [index] : [],
    );
    this.jobs.set(coordinator.job, { coordinator, accepted, watches: new Map() });
  }

  watch(peer: PeerId, { job, have }: Pick<MessageOf<'watch'>, 'job' | 'have'>): void {
    const followed = this.jobs.get(job);
    if (followed === undefined) return;
    const watch: Watch = { peer, followed, have: mergeRuns(have), cursor: 0, stateDue: false };
    followed.watches.set(peer, watch);
    // What was reported while this peer was away; rounds that close from now on are sent as they close.
    for (const message of followed.coordinator.past()) this.effect({ type: 'send', to: peer, message });
    this.sendState(watch);
    this.pump(watch);
  }

  lost(peer: PeerId): void {
    this.underWay.delete(peer);
    for (const { watches } of this.jobs.values()) watches.delete(peer);
  }

  unitAccepted(job: JobId, unit: number): void {
    const followed = this.jobs.get(job);
    if (followed === undefined) return;
    followed.accepted.push(unit);
    for (const watch of followed.watches.values()) this.pump(watch);
  }

  stateChanged(job: JobId, urgent: boolean): void {
    for (const watch of this.jobs.get(job)?.watches.values() ?? []) {
      if (urgent) this.sendState(watch);
      else this.due.add(watch);
    }
  }

  delivered(peer: PeerId): void {
    const underWay = this.underWay.get(peer);
    // Its link took the unit and closed.
    if (underWay === undefined) return;
    this.underWay.set(peer, Math.max(0, underWay - 1));
    for (const { watches } of this.jobs.values()) {
      const watch = watches.get(peer);
      if (watch !== undefined) this.pump(watch);
    }
  }

  tick(): void {
    for (const watch of this.due) this.sendState(watch);
  }

  private sendState(watch: Watch): void {
    this.due.delete(watch);
    this.effect({ type: 'send', to: watch.peer, message: watch.followed.coordinator.state() });
  }

  private pump(watch: Watch): void {
    const { peer, followed, have } = watch;
    while (watch.cursor < followed.accepted.length) {
      const underWay = this.underWay.get(peer) ?? 0;
      if (underWay >= unitsUnderWayMax) return;
      const unit = followed.accepted[watch.cursor++] ?? 0;
      if (isWithin(have, unit)) continue;
      const message = acceptedMessage(followed.coordinator, unit);
      if (message === undefined) continue;
      this.underWay.set(peer, underWay + 1);
      this.effect({ type: 'send', to: peer, message, tail: message.digest });
    }
  }
}

/** Runs `[first, length]` as a stranger may send them: in any order, and over one another. */
function mergeRuns(runs: readonly (readonly [number, number])[]): [number, number][] {
  const merged: [number, number][] = [];
  for (const [first, length] of runs.toSorted(([a], [b]) => a - b)) {
    const last = merged.at(-1);
    if (last !== undefined && first <= last[1]) last[1] = Math.max(last[1], first + length);
    else merged.push([first, first + length]);
  }
  return merged;
}

/** By halving: a watcher of a million units may have two thousand runs. */
function isWithin(runs: readonly (readonly [number, number])[], unit: number): boolean {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.[1] ?? 0) <= unit) low = middle + 1;
    else high = middle;
  }
  const run = runs[low];
  return run !== undefined && run[0] <= unit;
}

/** What a submitter is told of an accepted unit; training units have no bytes of their own to hand out. */
export function acceptedMessage(coordinator: Coordinator, unit: number): MessageOf<'unit-accepted'> | undefined {
  const record = coordinator.record.table.units[unit];
  const digest = record?.attempts[record.accepted - 1]?.digest;
  if (!record || digest === undefined || coordinator.manifest.program === 'train') return undefined;
  const by = record.attempts.flatMap(({ state, account, peer, deviceClass, receipt }) =>
    state === 'agreed' && receipt !== undefined ? [{ account, peer, deviceClass, receipt }] : [],
  );
  return { type: 'unit-accepted', job: coordinator.job, unit, digest, by };
}
