/**
 * The hub's machine: one pool of volunteers and one coordinator per job, behind one synchronous door. It decides and
 * records; it never touches a socket, a clock or a disk. `assembly` drives it: input in, facts committed, effects done.
 * A step's facts are durable before its effects leave, so a hub that dies at any moment can be rebuilt by `restoreHub`
 * from its streams and no peer was ever told something that the log does not know.
 */

import { present } from '../core/assert.ts';
import { utf8 } from '../core/bytes.ts';
import { sha256Text } from '../core/hash.ts';
import { isJobId, manifestOfJob, type AccountId, type Digest, type JobId, type PeerId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import { headerBytesMax } from '../core/limits.ts';
import type { Random } from '../core/prng.ts';
import { artifactsOf, type Manifest } from '../protocol/manifest.ts';
import { digestsPerMessageMax } from '../protocol/artifact.ts';
import type { DeviceDescription, JobState, LeaseKey, Message, MessageOf, Role } from '../protocol/messages.ts';
import { programSetVersion } from '../protocol/versions.ts';
import { Heap } from './collections.ts';
import { type Coordinator, type JobContext, type OpenLease } from './coordinator.ts';
import { creditKey, type LedgerEntry } from './credit.ts';
import {
  accountOf,
  applyPoolFact,
  newPoolState,
  nextEntry,
  poolSnapshot,
  poolStream,
  restorePool,
  type Member,
  type PoolFact,
  type PoolState,
} from './pool.ts';
import type { FactRecord, HubEffect, HubInput, HubStep } from './step.ts';
import { checkTraining, newTrainRecord, restoreTrainRecord, TrainingCoordinator } from './training.ts';
import { newUnitsRecord, restoreUnitsRecord, UnitsCoordinator } from './units.ts';
import { Watchers } from './watchers.ts';

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
  /** Whether a job needs these bytes now. */
  needs(digest: Digest): boolean;
  /** A stream's durable state (`pool` or a job's id), equal to the fold of its facts; for `Store.snapshot`. */
  snapshot(stream: string): Json;
  /** The live state behind `snapshot`, to look at and not to change. */
  state(stream: string): object;
  streams(): readonly string[];
  view(): HubView;
}

/** What a dashboard, the CLI and metrics show. */
export interface HubView {
  readonly volunteers: readonly VolunteerView[];
  readonly jobs: readonly JobState[];
  readonly accounts: readonly AccountView[];
  readonly ledger: readonly LedgerEntry[];
  readonly draining: boolean;
}

export interface VolunteerView {
  readonly peer: PeerId;
  readonly account: AccountId;
  readonly role: Role;
  readonly addressBlock: string;
  readonly device: DeviceDescription | undefined;
  readonly leases: number;
  readonly job: JobId | undefined;
}

export interface AccountView {
  readonly account: AccountId;
  readonly agreed: number;
  readonly disagreed: number;
  readonly excluded: boolean;
  readonly units: number;
  readonly credit: number;
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

/** Waiting volunteers that are offered work when a little of it turns up; a tick asks all of them. */
const offersPerStepMax = 16;
/** Jobs in one answer to `list-jobs`, and the bytes of a header that they may take. */
const jobsListedMax = 100;
const jobsListedBytesMax = headerBytesMax - 1024;

class Hub implements HubMachine {
  private readonly options: HubOptions;
  private readonly pool: PoolState;
  private readonly members = new Map<PeerId, Member>();
  private readonly membersByAccount = new Map<AccountId, Set<Member>>();
  private readonly coordinators = new Map<JobId, Coordinator>();
  /** Active jobs by submitter; whose turn is next stands first. */
  private readonly turns = new Map<AccountId, Coordinator[]>();
  private readonly waiting = new Set<Member>();
  private readonly deadlines = new Heap<OpenLease>();
  private readonly needed = new Map<string, number>();
  private readonly watchers = new Watchers((effect) => this.effects.push(effect));
  private readonly context: JobContext;
  private readonly standingDue = new Set<AccountId>();
  private excludedNow: AccountId[] = [];
  private workAppeared = false;
  private draining = false;
  private records: FactRecord[] = [];
  private effects: HubEffect[] = [];

  constructor(options: HubOptions, pool: PoolState) {
    this.options = options;
    this.pool = pool;
    this.context = this.createContext();
  }

  receive(input: HubInput, now: number): HubStep {
    this.handle(input, now);
    return this.endStep(now);
  }

  tick(now: number): HubStep {
    this.expireLeases(now);
    for (const coordinator of this.activeJobs()) {
      if (this.isExpired(coordinator, now)) coordinator.finish('failed', 'the job expired before it was done', now);
      else coordinator.tick(now);
    }
    this.offerToAll(now);
    this.watchers.tick();
    for (const account of this.standingDue) this.sendStanding(account);
    this.standingDue.clear();
    return this.endStep(now);
  }

  readonly wants: HubMachine['wants'] = (from, attempt) => {
    const member = this.members.get(from);
    if (member === undefined || this.isExcluded(member.account)) return false;
    return this.coordinators.get(attempt.job)?.wants(member, attempt) ?? false;
  };

  readonly needs: HubMachine['needs'] = (digest) => this.needed.has(digest);

  snapshot(stream: string): Json {
    if (stream === poolStream) return poolSnapshot(this.pool);
    const coordinator = isJobId(stream) ? this.coordinators.get(stream) : undefined;
    return present(coordinator, `no stream ${stream}`).snapshot();
  }

  state(stream: string): object {
    if (stream === poolStream) return this.pool;
    const coordinator = isJobId(stream) ? this.coordinators.get(stream) : undefined;
    return present(coordinator, `no stream ${stream}`).record;
  }

  streams(): readonly string[] {
    return [poolStream, ...this.coordinators.keys()];
  }

  view(): HubView {
    return {
      volunteers: [...this.members.values()]
        .filter(({ role }) => role === 'volunteer')
        .map(({ peer, account, role, block, device, leases, lastJob }) => ({
          peer,
          account,
          role,
          addressBlock: block,
          device,
          leases: leases.size,
          job: leases.size > 0 ? lastJob : undefined,
        })),
      jobs: [...this.coordinators.values()].map((coordinator) => coordinator.state()),
      accounts: [...this.pool.accounts].map(([account, record]) => ({ account, ...record })),
      ledger: this.pool.ledger,
      draining: this.draining,
    };
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
        return this.offer(member, now);
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
      case 'list-jobs': {
        return this.send(member, { type: 'jobs', jobs: listJobs([...this.coordinators.values()]) });
      }
      default:
        return this.refuse(member, message.type, 'a hub does not take this message');
    }
  }

  private connect(input: Extract<HubInput, { type: 'connected' }>, now: number): void {
    const { peer, account, role, addressBlock } = input;
    // A tab that comes back before its old link was missed.
    if (this.members.has(peer)) this.lose(peer, now);
    const member: Member = {
      peer,
      account,
      role,
      block: addressBlock,
      since: now,
      device: undefined,
      speeds: {},
      slots: 0,
      leases: new Set(),
      seatOf: undefined,
      lastJob: undefined,
      lastReturn: now,
      recentMs: Infinity,
      failuresInARow: 0,
      backoffUntil: 0,
    };
    this.members.set(peer, member);
    const tabs = this.membersByAccount.get(account) ?? new Set();
    this.membersByAccount.set(account, tabs.add(member));
  }

  private lose(peer: PeerId, now: number): void {
    const member = this.members.get(peer);
    if (member === undefined) return;
    this.members.delete(peer);
    this.waiting.delete(member);
    this.watchers.lost(peer);
    const tabs = this.membersByAccount.get(member.account);
    tabs?.delete(member);
    if (tabs?.size === 0) this.membersByAccount.delete(member.account);
    member.slots = 0;
    for (const coordinator of this.activeJobs()) coordinator.memberGone(member, now);
  }

  private takeResult(member: Member, message: MessageOf<'result'>, now: number): void {
    const coordinator = this.coordinators.get(message.job);
    if (coordinator !== undefined && !this.isExcluded(member.account)) {
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
    const coordinator =
      manifest.program === 'train'
        ? new TrainingCoordinator(job, this.context, newTrainRecord(manifest, input.signature))
        : new UnitsCoordinator(job, this.context, newUnitsRecord(manifest, input.signature));
    this.addJob(coordinator);
    coordinator.rebuild(false, now);
    this.watchers.watch(member.peer, { job, have: [] });
    this.offerToAll(now);
  }

  private cancel(member: Member, job: JobId, now: number): void {
    const coordinator = this.coordinators.get(job);
    if (coordinator === undefined) return this.refuse(member, 'cancel', `the hub knows no job ${job}`);
    if (coordinator.manifest.submitter !== member.account) {
      return this.refuse(member, 'cancel', 'only the account that submitted a job may cancel it');
    }
    coordinator.finish('cancelled', 'cancelled by its submitter', now);
  }

  // Dealing

  /** Gives a volunteer work, or lets it wait for some. */
  private offer(member: Member, now: number): void {
    if (member.slots > 0) this.dealTo(member, now);
    if (member.slots > 0) this.waiting.add(member);
    else this.waiting.delete(member);
  }

  /** Jobs take turns by submitter; of one submitter's jobs the oldest comes first. */
  private dealTo(member: Member, now: number): void {
    if (this.draining || now < member.backoffUntil || this.isExcluded(member.account)) return;
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

  private offerToAll(now: number): void {
    this.workAppeared = false;
    const fastestFirst = [...this.waiting].toSorted((a, b) => (a.recentMs < b.recentMs ? -1 : 1));
    for (const member of fastestFirst) this.offer(member, now);
  }

  /** A few of those that wait, each in turn. */
  private offerToSome(now: number): void {
    this.workAppeared = false;
    let offers = 0;
    for (const member of this.waiting) {
      if (offers++ === offersPerStepMax) return;
      this.waiting.delete(member);
      this.offer(member, now);
    }
  }

  private expireLeases(now: number): void {
    while (this.deadlines.nextKey <= now) {
      const lease = this.deadlines.pop();
      if (lease === undefined || !lease.member.leases.has(lease)) continue;
      if (lease.deadline > now) this.deadlines.push(lease.deadline, lease);
      else lease.coordinator.expire(lease, now);
    }
  }

  private endStep(now: number): HubStep {
    while (this.excludedNow.length > 0) {
      const excluded = this.excludedNow;
      this.excludedNow = [];
      for (const account of excluded) this.exclude(account, now);
    }
    if (this.workAppeared) this.offerToSome(now);
    this.retireJobs();
    const step = { records: this.records, effects: this.effects };
    this.records = [];
    this.effects = [];
    return step;
  }

  private exclude(account: AccountId, now: number): void {
    for (const coordinator of this.activeJobs()) coordinator.dropAccount(account, now);
    for (const member of this.membersByAccount.get(account) ?? []) {
      this.waiting.delete(member);
      for (const coordinator of this.activeJobs()) coordinator.memberGone(member, now);
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
    if (!coordinator.isActive) return;
    const own = this.turns.get(coordinator.manifest.submitter) ?? [];
    this.turns.set(coordinator.manifest.submitter, [...own, coordinator]);
    this.hasRetired = false;
  }

  private hasRetired = false;

  /** Finished jobs no longer take turns. */
  private retireJobs(): void {
    if (!this.hasRetired) return;
    this.hasRetired = false;
    for (const [submitter, coordinators] of this.turns) {
      const active = coordinators.filter(({ isActive }) => isActive);
      if (active.length === 0) this.turns.delete(submitter);
      else if (active.length < coordinators.length) this.turns.set(submitter, active);
    }
  }

  private activeJobs(): Coordinator[] {
    return [...this.turns.values()].flat().filter(({ isActive }) => isActive);
  }

  private isExcluded(account: AccountId): boolean {
    return this.pool.accounts.get(account)?.excluded === true;
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
    const tabs = this.membersByAccount.get(account);
    if (tabs === undefined) return;
    const { agreed, disagreed, credit, excluded } = this.pool.accounts.get(account) ?? {
      agreed: 0,
      disagreed: 0,
      credit: 0,
      excluded: false,
    };
    for (const member of tabs) {
      if (member.role === 'volunteer') this.send(member, { type: 'standing', agreed, disagreed, credit, excluded });
    }
  }

  private recordPool(fact: PoolFact, unique?: string): void {
    applyPoolFact(this.pool, fact);
    this.records.push({ stream: poolStream, fact: fact as Json, ...(unique === undefined ? {} : { unique }) });
  }

  private createContext(): JobContext {
    return {
      random: this.options.random,
      programVersion: this.options.programVersion ?? programSetVersion,
      member: (peer) => this.members.get(peer),
      isExcluded: (account) => this.isExcluded(account),
      record: (job, fact) => this.records.push({ stream: job, fact }),
      effect: (effect) => this.effects.push(effect),
      watchDeadline: (lease) => this.deadlines.push(lease.deadline, lease),
      judge: (agreed, disagreed) => {
        const before = disagreed.filter((account) => !this.isExcluded(account));
        this.recordPool({ type: 'judged', agreed, disagreed });
        for (const account of agreed) this.standingDue.add(account);
        for (const account of disagreed) this.standingDue.add(account);
        this.excludedNow.push(...before.filter((account) => this.isExcluded(account)));
      },
      credit: (account, job, unit, attempt, credit) => {
        accountOf(this.pool, account);
        const entry = nextEntry(this.pool, { account, job, unit, attempt, credit });
        this.recordPool({ type: 'credited', entry }, creditKey(entry));
        this.standingDue.add(account);
      },
      hold: (digest) => this.needed.set(digest, (this.needed.get(digest) ?? 0) + 1),
      release: (job, digest) => this.release(job, digest),
      workAppeared: () => {
        this.workAppeared = true;
      },
      unitAccepted: (coordinator, unit) => this.watchers.unitAccepted(coordinator.job, unit),
      stateChanged: (coordinator, urgent) => {
        if (!coordinator.isActive) this.hasRetired = true;
        this.watchers.stateChanged(coordinator.job, urgent);
      },
      idleMembers: () => this.waiting,
    };
  }

  private release(job: JobId, digest: Digest): void {
    const left = (this.needed.get(digest) ?? 1) - 1;
    if (left > 0) {
      this.needed.set(digest, left);
      return;
    }
    this.needed.delete(digest);
    this.effects.push({ type: 'forget', job, digest });
  }
}

/** The newest jobs, as many as fit one message, the newest last. */
function listJobs(coordinators: readonly Coordinator[]): MessageOf<'jobs'>['jobs'] {
  const jobs: MessageOf<'jobs'>['jobs'] = [];
  let bytes = 0;
  for (const coordinator of coordinators.slice(-jobsListedMax).toReversed()) {
    const { type: _type, round: _round, report: _report, ...state } = coordinator.state();
    bytes += utf8(JSON.stringify(state)).byteLength + 1;
    if (bytes > jobsListedBytesMax) break;
    jobs.push(state);
  }
  return jobs.toReversed();
}

function restoreCoordinator(
  job: JobId,
  context: JobContext,
  snapshot: Json | undefined,
  facts: readonly Json[],
): Coordinator {
  const first = (snapshot ?? facts[0]) as { readonly manifest?: Manifest } | undefined;
  return first?.manifest?.program === 'train'
    ? new TrainingCoordinator(job, context, restoreTrainRecord(snapshot, facts))
    : new UnitsCoordinator(job, context, restoreUnitsRecord(snapshot, facts));
}

/** Why this job is not taken, or undefined. */
function objectionTo(
  manifest: Manifest,
  account: AccountId,
  unixSeconds: number,
  draining: boolean,
): string | undefined {
  if (draining) return 'the hub is shutting down; submit again in a moment';
  if (manifest.submitter !== account) return 'a job is submitted by the account that its manifest names';
  if (manifest.expires <= unixSeconds) return 'the manifest has expired; sign a new one';
  if (manifest.program === 'train') return checkTraining(manifest);
  return undefined;
}
