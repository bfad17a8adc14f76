/**
 * Who sits where in a training job. Before the first round volunteers gather; then each seat has at most one holder, an
 * account has at most one seat, and whoever had a seat before gets it back, with the optimiser state that they still have.
 * What a holder is lent and when a round closes is decided in `training.ts`.
 */

import type { AccountId } from '../core/ids.ts';
import { reconnectMsMax } from '../core/limits.ts';
import type { Coordinator } from './coordinator.ts';
import type { Member } from './pool.ts';
import { isLastRound, seatAt, unitOf, type TrainRecord } from './training-record.ts';

/** With fewer volunteers than seats the first round waits this long for more. */
const startWaitMs = 3_000;
/** A tab whose link broke is back within this, still at its unit; until then its seat is not given up. */
const rejoinMs = reconnectMsMax + 1_000;

export class Seats {
  private readonly record: TrainRecord;
  private readonly owner: Coordinator;
  private readonly needsMore: (unit: number) => boolean;
  private readonly holders: (Member | undefined)[];
  /** Who wants a seat before the first round, since when; in the order in which they came. */
  private readonly candidates = new Map<Member, number>();
  /** When a seat was last left, or the hub came back to empty seats. */
  private vacatedAt = 0;

  constructor(record: TrainRecord, owner: Coordinator, needsMore: (unit: number) => boolean) {
    this.record = record;
    this.owner = owner;
    this.needsMore = needsMore;
    this.holders = record.seats.map(() => undefined);
  }

  holder(seat: number): Member | undefined {
    return this.holders[seat];
  }

  /** Everybody who has a seat, in the order of the seats. */
  seated(): Member[] {
    return this.holders.filter((holder) => holder !== undefined);
  }

  sit(seat: number, member: Member): void {
    this.holders[seat] = member;
    member.seatOf = this.owner;
  }

  vacate(member: Member, now: number): void {
    for (let seat = 0; seat < this.holders.length; seat++) {
      if (this.holders[seat] !== member) continue;
      this.holders[seat] = undefined;
      this.vacatedAt = now;
    }
    if (member.seatOf === this.owner) member.seatOf = undefined;
  }

  /** The hub is back; nobody sits yet. */
  restarted(now: number): void {
    this.vacatedAt = now;
  }

  /** Whether those who left their seats had the time to come back. */
  isGivenUp(now: number): boolean {
    return now >= this.vacatedAt + rejoinMs;
  }

  /** The seat that this volunteer works in now, its own first; undefined when there is none for it. */
  seatFor(member: Member): number | undefined {
    const own = this.holders.indexOf(member);
    if (own >= 0 && this.isOpen(own)) return own;
    if (own >= 0) {
      // The end needs seat 0: whoever is done with a seat of their own may take it.
      return isLastRound(this.record) && this.holders[0] === undefined && this.isOpen(0) ? 0 : undefined;
    }
    if (this.holders.some((holder) => holder?.account === member.account)) return undefined;
    let free: number | undefined;
    for (let seat = 0; seat < this.holders.length; seat++) {
      if (this.holders[seat] !== undefined || !this.isOpen(seat)) continue;
      if (seatAt(this.record, seat).peer === member.peer) return seat;
      free ??= seat;
    }
    return free;
  }

  // Before the first round

  gather(member: Member, now: number): void {
    if (!this.candidates.has(member)) this.candidates.set(member, now);
  }

  /** Whether every seat has a candidate, or the first of them has waited long enough. */
  isReady(now: number): boolean {
    const accounts = new Set<AccountId>();
    let first = now;
    for (const [{ account }, since] of this.candidates) {
      accounts.add(account);
      first = Math.min(first, since);
    }
    return accounts.size >= this.holders.length || (accounts.size > 0 && now - first >= startWaitMs);
  }

  gathered(): Iterable<Member> {
    return this.candidates.keys();
  }

  withdraw(member: Member): void {
    this.candidates.delete(member);
  }

  dismiss(): void {
    this.candidates.clear();
  }

  private isOpen(seat: number): boolean {
    return this.needsMore(unitOf(this.record, seat));
  }
}
