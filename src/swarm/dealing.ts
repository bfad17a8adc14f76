/**
 * Who is offered work when, and of which job: volunteers with room wait in a row, active jobs take turns by submitter, so
 * that nobody gains by cutting work into many jobs. How many units a volunteer is then lent is each coordinator's plan.
 */

import type { AccountId } from '../core/ids.ts';
import type { Coordinator } from './coordinator.ts';
import type { Member } from './pool.ts';

/** Waiting volunteers that are offered work when a little of it turns up; a tick asks all of them. */
const offersPerStepMax = 16;

export class Dealing {
  /** Active jobs by submitter; whose turn is next stands first. */
  private readonly turns = new Map<AccountId, readonly Coordinator[]>();
  private readonly row = new Set<Member>();
  private readonly mayServe: (account: AccountId) => boolean;
  private hasWorkAppeared = false;
  private hasJobEnded = false;

  constructor(mayServe: (account: AccountId) => boolean) {
    this.mayServe = mayServe;
  }

  /** Gives a volunteer work, or lets it wait for some. */
  offer(member: Member, now: number): void {
    if (member.slots > 0) this.dealTo(member, now);
    if (member.slots > 0) this.row.add(member);
    else this.row.delete(member);
  }

  offerToAll(now: number): void {
    this.hasWorkAppeared = false;
    const fastestFirst = [...this.row].toSorted((a, b) => (a.recentMs < b.recentMs ? -1 : 1));
    for (const member of fastestFirst) this.offer(member, now);
  }

  /** What a step brought: work that turned up is offered, finished jobs no longer take turns. */
  endStep(now: number): void {
    if (this.hasWorkAppeared) this.offerToSome(now);
    if (this.hasJobEnded) this.retireJobs();
  }

  addJob(coordinator: Coordinator): void {
    if (!coordinator.isActive) return;
    const { submitter } = coordinator.manifest;
    this.turns.set(submitter, [...(this.turns.get(submitter) ?? []), coordinator]);
    this.hasJobEnded = false;
  }

  jobEnded(): void {
    this.hasJobEnded = true;
  }

  workAppeared(): void {
    this.hasWorkAppeared = true;
  }

  activeJobs(): Coordinator[] {
    return [...this.turns.values()].flat().filter(({ isActive }) => isActive);
  }

  /** Volunteers that wait for work. */
  waiting(): Iterable<Member> {
    return this.row;
  }

  leave(member: Member): void {
    this.row.delete(member);
  }

  /** Jobs take turns by submitter; of one submitter's jobs the oldest comes first. */
  private dealTo(member: Member, now: number): void {
    if (now < member.backoffUntil || !this.mayServe(member.account)) return;
    if (member.seatOf !== undefined) {
      member.seatOf.deal(member, now);
      return;
    }
    for (const [submitter, coordinators] of this.turns) {
      for (const coordinator of coordinators) {
        if (!coordinator.hasWork || coordinator.deal(member, now) === 0) continue;
        this.turns.delete(submitter);
        this.turns.set(submitter, coordinators);
        return;
      }
    }
  }

  /** A few of those that wait, each in turn. */
  private offerToSome(now: number): void {
    this.hasWorkAppeared = false;
    let offers = 0;
    for (const member of this.row) {
      if (offers++ === offersPerStepMax) return;
      this.row.delete(member);
      this.offer(member, now);
    }
  }

  private retireJobs(): void {
    this.hasJobEnded = false;
    for (const [submitter, coordinators] of this.turns) {
      const active = coordinators.filter(({ isActive }) => isActive);
      if (active.length === 0) this.turns.delete(submitter);
      else if (active.length < coordinators.length) this.turns.set(submitter, active);
    }
  }
}
