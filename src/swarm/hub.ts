/**
 * The hub's machine: one pool of volunteers and one coordinator per job, behind one synchronous door. It decides and
 * records; it never touches a socket, a clock or a disk. `assembly` drives it: input in, facts committed, effects done.
 * A step's facts are durable before its effects leave, so a hub that dies at any moment can be rebuilt by `restoreHub`
 * from its streams and no peer was ever told something that the log does not know.
 *
 * Its parts: `members.ts` (who is connected), `dealing.ts` (who is offered work), `standings.ts` (accounts, credit),
 * `holdings.ts` (bytes needed), `holders.ts` (who passes them on), `watchers.ts` (who follows a job), `intake.ts` (how jobs come in), `hub-view.ts`.
 */

import { present } from '../core/assert.ts';
import { sha256Text } from '../core/hash.ts';
import { isJobId, manifestOfJob, type AccountId, type Digest, type JobId, type PeerId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { Random } from '../core/prng.ts';
import { digestsPerMessageMax } from '../protocol/artifact.ts';
import { artifactsOf } from '../protocol/manifest.ts';
import type { LeaseKey, Message, MessageOf } from '../protocol/messages.ts';
import { programSetVersion } from '../protocol/versions.ts';
import { Heap } from './collections.ts';
import type { Coordinator, JobContext, OpenLease } from './coordinator.ts';
import { Dealing } from './dealing.ts';
import { Holders } from './holders.ts';
import { Holdings } from './holdings.ts';
import { listJobs, viewHub, type HubView } from './hub-view.ts';
import { newCoordinator, objectionTo, restoreCoordinator } from './intake.ts';
import { Members, newMember } from './members.ts';
import { newPoolState, poolSnapshot, poolStream, restorePool, type Member, type PoolState } from './pool.ts';
import { ServingCoordinator } from './serving.ts';
import { Standings } from './standings.ts';
import type { FactRecord, HubEffect, HubInput, HubStep } from './step.ts';
import { Watchers } from './watchers.ts';

export type { AccountView, HubView, VolunteerView } from './hub-view.ts';

export interface HubOptions {
  readonly random: Random;
  /** What leases ask for: `programSetVersion` unless a test says otherwise. */
  readonly programVersion?: number;
  /** Seconds since 1970 at `now` = 0; jobs that nobody finished by their expiry fail. Absent: they never expire. */
  readonly unixSecondsAtZero?: number;
}

export interface HubMachine {
  receive(input: HubInput, now: number): HubStep;
  /** To be called about every `heartbeatMs`; does what time alone brings about. */
  tick(now: number): HubStep;
  /** Whether this attempt's result would be taken from this peer now; others are given in without bytes stored. */
  wants(from: PeerId, attempt: LeaseKey): boolean;
  /** Whether these two hold stages of one pipeline of this job, so that the hub may carry what they say to each other. */
  mayRelay(from: PeerId, to: PeerId, job: JobId): boolean;
  /** Whether a job needs these bytes now. */
  needs(digest: Digest): boolean;
  /** A stream's durable state (`pool` or a job's id), equal to the fold of its facts; for `Store.snapshot`. */
  snapshot(stream: string): Json;
  /** The live state behind `snapshot`, to look at and not to change. */
  state(stream: string): object;
  streams(): readonly string[];
  /** What a dashboard, the CLI and metrics show. */
  view(): HubView;
}

/** One stream as `Store.load` returns it. */
export interface LoadedStream {
  readonly stream: string;
  readonly snapshot: Json | undefined;
  readonly facts: readonly Json[];
}

export function createHub(options: HubOptions): HubMachine {
  return new Hub(options, newPoolState());
}

/**
 * The hub that these streams describe. Leases that were open are void and their units are dealt again, yet a volunteer
 * that comes back with the result of such an attempt has it taken while the unit still needs it. The returned step's
 * records and effects (pending comparisons, inspections, aggregations) are to be handled like any other.
 */
export function restoreHub(
  options: HubOptions,
  streams: readonly LoadedStream[],
  now: number,
): { readonly hub: HubMachine; readonly step: HubStep } {
  const pool = streams.find(({ stream }) => stream === poolStream);
  const hub = new Hub(options, restorePool(pool?.snapshot, pool?.facts ?? []));
  return { hub, step: hub.restore(streams, now) };
}

class Hub implements HubMachine {
  private readonly options: HubOptions;
  private readonly coordinators = new Map<JobId, Coordinator>();
  private readonly members = new Members();
  private readonly dealing = new Dealing((account) => !this.draining && !this.standings.isExcluded(account));
  private readonly standings: Standings;
  private readonly holdings = new Holdings();
  private readonly holders: Holders;
  private readonly watchers = new Watchers((effect) => this.effects.push(effect));
  private readonly deadlines = new Heap<OpenLease>();
  private readonly context: JobContext;
  private draining = false;
  private records: FactRecord[] = [];
  private effects: HubEffect[] = [];

  constructor(options: HubOptions, pool: PoolState) {
    this.options = options;
    this.standings = new Standings(pool, (record) => this.records.push(record));
    this.context = this.createContext();
    this.holders = new Holders(this.needs, options.random);
  }

  receive(input: HubInput, now: number): HubStep {
    this.handle(input, now);
    return this.endStep(now);
  }

  tick(now: number): HubStep {
    this.expireLeases(now);
    for (const coordinator of this.dealing.activeJobs()) {
      if (this.isExpired(coordinator, now)) coordinator.finish('failed', 'the job expired before it was done', now);
      else coordinator.tick(now);
    }
    this.dealing.offerToAll(now);
    this.watchers.tick();
    for (const account of this.standings.takeChanged()) this.sendStanding(account);
    return this.endStep(now);
  }

  readonly wants: HubMachine['wants'] = (from, attempt) => {
    const member = this.members.get(from);
    if (member === undefined || this.standings.isExcluded(member.account)) return false;
    return this.coordinators.get(attempt.job)?.wants(member, attempt) ?? false;
  };

  readonly mayRelay: HubMachine['mayRelay'] = (from, to, job) => {
    const [sender, receiver] = [this.members.get(from), this.members.get(to)];
    if (sender === undefined || receiver === undefined) return false;
    return this.serving(job)?.mayRelay(sender, receiver) ?? false;
  };

  readonly needs: HubMachine['needs'] = (digest) => this.holdings.has(digest);

  snapshot(stream: string): Json {
    if (stream === poolStream) return poolSnapshot(this.standings.pool);
    const coordinator = isJobId(stream) ? this.coordinators.get(stream) : undefined;
    return present(coordinator, `no stream ${stream}`).snapshot();
  }

  state(stream: string): object {
    if (stream === poolStream) return this.standings.pool;
    const coordinator = isJobId(stream) ? this.coordinators.get(stream) : undefined;
    return present(coordinator, `no stream ${stream}`).record;
  }

  streams(): readonly string[] {
    return [poolStream, ...this.coordinators.keys()];
  }

  view(): HubView {
    return viewHub(this.members.all(), [...this.coordinators.values()], this.standings.pool, this.draining);
  }

  restore(streams: readonly LoadedStream[], now: number): HubStep {
    for (const { stream, snapshot, facts } of streams) {
      if (!isJobId(stream) || (snapshot === undefined && facts.length === 0)) continue;
      const coordinator = restoreCoordinator(stream, this.context, snapshot, facts);
      this.addJob(coordinator);
      coordinator.rebuild(true, now);
    }
    return this.endStep(now);
  }

  // Inputs

  private handle(input: HubInput, now: number): void {
    switch (input.type) {
      case 'connected':
        return this.connect(input, now);
      case 'lost':
        return this.lose(input.peer, now);
      case 'message': {
        const member = this.members.get(input.from);
        return member === undefined ? undefined : this.handleMessage(member, input.message, now);
      }
      case 'submitted':
        return this.takeSubmission(input, now);
      case 'chunk-given':
        return this.holders.given(input.peer, input.digest, input.stage, now);
      case 'delivered':
        return this.watchers.delivered(input.peer);
      case 'compared':
        return this.coordinators.get(input.job)?.compared(input.unit, input.a, input.b, input.agree);
      case 'initialised':
        return this.coordinators.get(input.job)?.initialised(input.parameters, now);
      case 'inspected': {
        const report = 'report' in input ? input.report : input.problem;
        return this.coordinators.get(input.job)?.inspected(input.unit, input.attempt, report, now);
      }
      case 'aggregated':
        return this.coordinators.get(input.job)?.aggregated(input.round, input.seat, input.parameters, now);
      case 'job-problem':
        return this.coordinators.get(input.job)?.finish('failed', input.reason, now);
      case 'shutdown':
        this.draining = true;
    }
  }

  private handleMessage(member: Member, message: Message, now: number): void {
    switch (message.type) {
      case 'ready':
        member.device = message.device;
        member.speeds = message.speeds;
        return this.sendStanding(member.account);
      case 'pull':
        member.slots = message.slots;
        return this.dealing.offer(member, now);
      case 'progress':
        return this.takeProgress(member, message.leases, now);
      case 'result':
        return this.takeResult(member, message, now);
      case 'failed': {
        const { job, unit, attempt, reason } = message;
        return this.coordinators.get(job)?.takeFailure(member, unit, attempt, reason, now);
      }
      case 'release':
        // Who pauses or closes has no demand until it pulls again.
        if (message.reason !== 'refused') member.slots = 0;
        for (const key of message.leases) this.coordinators.get(key.job)?.releaseLease(member, key, now);
        return;
      case 'watch':
        if (this.coordinators.has(message.job)) return this.watchers.watch(member.peer, message);
        return this.refuse(member, 'watch', `the hub knows no job ${message.job}`);
      case 'cancel':
        return this.cancel(member, message.job, now);
      case 'stage-ready':
        return this.serving(message.job)?.stageReady(member, message);
      case 'stage-tokens':
        return this.serving(message.job)?.takeTokens(member, message);
      case 'ask':
        return this.ask(member, message);
      case 'ask-stop':
        for (const coordinator of this.dealing.activeJobs()) {
          if (coordinator instanceof ServingCoordinator) coordinator.stopAsking(member, message);
        }
        return;
      case 'chunks-held':
        for (const told of this.holders.announce(member.peer, message)) this.effects.push({ type: 'send', ...told });
        return;
      case 'chunks-sought':
        return this.send(member, this.holders.seek(member.peer, message, now));
      case 'list-jobs': {
        return this.send(member, { type: 'jobs', jobs: listJobs([...this.coordinators.values()]) });
      }
      default:
        return this.refuse(member, message.type, 'a hub does not take this message');
    }
  }

  private connect(input: Extract<HubInput, { type: 'connected' }>, now: number): void {
    // A tab that comes back before its old link was missed.
    this.lose(input.peer, now);
    this.members.add(newMember(input, now));
  }

  private lose(peer: PeerId, now: number): void {
    const member = this.members.get(peer);
    if (member === undefined) return;
    this.members.remove(member);
    this.dealing.leave(member);
    this.watchers.lost(peer);
    this.holders.lost(peer);
    member.slots = 0;
    for (const coordinator of this.dealing.activeJobs()) coordinator.memberGone(member, now);
  }

  private takeResult(member: Member, message: MessageOf<'result'>, now: number): void {
    const coordinator = this.coordinators.get(message.job);
    if (coordinator !== undefined && !this.standings.isExcluded(member.account)) {
      return coordinator.takeResult(member, message, sha256Text(message.receipt), now);
    }
    const { job, unit, attempt } = message;
    this.send(member, { type: 'settled', job, unit, attempt, agreed: false, credit: 0 });
  }

  private takeProgress(member: Member, leases: readonly (LeaseKey & { done: number })[], now: number): void {
    let deadline = 0;
    for (const key of leases) {
      const coordinator = this.coordinators.get(key.job);
      if (coordinator !== undefined) deadline = coordinator.takeProgress(member, key, key.done, deadline, now);
      else this.send(member, { type: 'revoke', leases: [{ job: key.job, unit: key.unit, attempt: key.attempt }] });
    }
  }

  private takeSubmission(input: Extract<HubInput, { type: 'submitted' }>, now: number): void {
    const member = this.members.get(input.from);
    if (member === undefined) return;
    const { job, manifest, missing } = input;
    if (this.coordinators.has(job)) return this.watchers.watch(member.peer, { job, have: [] });
    const objection =
      manifest === undefined ? undefined : objectionTo(manifest, member.account, input.unixSeconds, this.draining);
    if (objection !== undefined) return this.refuse(member, `submit ${job}`, objection);
    if (manifest === undefined || missing.length > 0) {
      const digests = missing.length > 0 ? missing : [manifestOfJob(job)];
      for (let start = 0; start < digests.length; start += digestsPerMessageMax) {
        this.send(member, { type: 'chunks-wanted', job, digests: digests.slice(start, start + digestsPerMessageMax) });
      }
      return;
    }
    this.records.push({ stream: job, fact: { type: 'submitted', manifest, signature: input.signature } as Json });
    const coordinator = newCoordinator(job, this.context, manifest, input.signature);
    this.addJob(coordinator);
    coordinator.rebuild(false, now);
    this.watchers.watch(member.peer, { job, have: [] });
    this.dealing.offerToAll(now);
  }

  private ask(member: Member, message: MessageOf<'ask'>): void {
    const serving = this.serving(message.job);
    if (serving?.isActive === true && !this.draining) return serving.ask(member, message);
    const reason = this.draining ? 'the hub is shutting down' : `the hub offers no model of job ${message.job}`;
    const kind = this.draining ? 'failed' : 'unknown-model';
    this.send(member, { type: 'ask-refused', id: message.id, kind, reason });
  }

  private serving(job: JobId): ServingCoordinator | undefined {
    const coordinator = this.coordinators.get(job);
    return coordinator instanceof ServingCoordinator ? coordinator : undefined;
  }

  private cancel(member: Member, job: JobId, now: number): void {
    const coordinator = this.coordinators.get(job);
    if (coordinator === undefined) return this.refuse(member, 'cancel', `the hub knows no job ${job}`);
    if (coordinator.manifest.submitter !== member.account) {
      return this.refuse(member, 'cancel', 'only the account that submitted a job may cancel it');
    }
    coordinator.finish('cancelled', 'cancelled by its submitter', now);
  }

  // Time, and what a step leaves to do

  private expireLeases(now: number): void {
    while (this.deadlines.nextKey <= now) {
      const lease = this.deadlines.pop();
      if (lease === undefined || !lease.member.leases.has(lease)) continue;
      if (lease.deadline > now) this.deadlines.push(lease.deadline, lease);
      else lease.coordinator.expire(lease, now);
    }
  }

  private endStep(now: number): HubStep {
    for (let excluded = this.standings.takeExcluded(); excluded.length > 0; excluded = this.standings.takeExcluded()) {
      for (const account of excluded) this.exclude(account, now);
    }
    this.dealing.endStep(now);
    const step = { records: this.records, effects: this.effects };
    this.records = [];
    this.effects = [];
    return step;
  }

  private exclude(account: AccountId, now: number): void {
    for (const coordinator of this.dealing.activeJobs()) coordinator.dropAccount(account, now);
    for (const member of this.members.ofAccount(account)) {
      this.dealing.leave(member);
      for (const coordinator of this.dealing.activeJobs()) coordinator.memberGone(member, now);
    }
    this.sendStanding(account);
  }

  // Helpers

  private addJob(coordinator: Coordinator): void {
    this.coordinators.set(coordinator.job, coordinator);
    this.watchers.addJob(coordinator);
    this.context.hold(manifestOfJob(coordinator.job));
    for (const [, artifact] of artifactsOf(coordinator.manifest))
      for (const chunk of artifact.chunks) this.context.hold(chunk);
    this.dealing.addJob(coordinator);
  }

  private isExpired({ manifest }: Coordinator, now: number): boolean {
    const { unixSecondsAtZero } = this.options;
    return unixSecondsAtZero !== undefined && unixSecondsAtZero + now / 1000 > manifest.expires;
  }

  private send(member: Member, message: Message): void {
    this.effects.push({ type: 'send', to: member.peer, message });
  }

  private refuse(member: Member, what: string, reason: string): void {
    this.send(member, { type: 'refused', what, reason });
  }

  private sendStanding(account: AccountId): void {
    const message = this.standings.messageTo(account);
    for (const member of this.members.ofAccount(account)) if (member.role === 'volunteer') this.send(member, message);
  }

  private createContext(): JobContext {
    return {
      random: this.options.random,
      programVersion: this.options.programVersion ?? programSetVersion,
      member: (peer) => this.members.get(peer),
      isExcluded: (account) => this.standings.isExcluded(account),
      record: (job, fact) => this.records.push({ stream: job, fact }),
      effect: (effect) => this.effects.push(effect),
      watchDeadline: (lease) => this.deadlines.push(lease.deadline, lease),
      judge: (agreed, disagreed) => this.standings.judge(agreed, disagreed),
      credit: (earning) => this.standings.credit(earning),
      hold: (digest) => this.holdings.hold(digest),
      release: (job, digest) => {
        if (!this.holdings.release(digest)) return;
        this.holders.forget(digest);
        this.effects.push({ type: 'forget', job, digest });
      },
      workAppeared: () => this.dealing.workAppeared(),
      unitAccepted: (coordinator, unit) => this.watchers.unitAccepted(coordinator.job, unit),
      stateChanged: (coordinator, urgent) => {
        if (!coordinator.isActive) this.dealing.jobEnded();
        this.watchers.stateChanged(coordinator.job, urgent);
      },
      idleMembers: () => this.dealing.waiting(),
      members: () => this.members.all(),
    };
  }
}
