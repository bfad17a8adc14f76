/**
 * The coordinator of a served model: a job that lives until it is cancelled or expires, and answers requests. Its units are
 * places: the stages of its pipelines, and their spares; a place is a lease that goes on for as long as its volunteer does.
 * A spare has its stage's weights and waits; when the stage's volunteer goes away it takes over with all that the open
 * requests know, asks the stage before it for its rows and goes on (`inference/pipeline-stage.ts`), and the answers go on
 * with the same tokens. Where there is no spare, requests wait until somebody has the stage.
 *
 * Requests are `serving-requests.ts`; which layers a place has is `serving-places.ts`. Here it is decided who sits where and
 * who is told what. Nothing of it outlives the hub but leases and credit.
 */

import type { AccountId } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import { unitFailuresMax } from '../core/limits.ts';
import type { ManifestOf } from '../protocol/manifest.ts';
import { isDeviceAtFault } from '../protocol/failures.ts';
import type { JobState, LeaseKey, Message, MessageOf } from '../protocol/messages.ts';
import type { ComputedBy, StageLease } from '../protocol/serving-messages.ts';
import {
  applyJobFact,
  Coordinator,
  type JobContext,
  type JobFact,
  type JobRecord,
  type OpenLease,
} from './coordinator.ts';
import type { EndReason } from './attempts.ts';
import { structuredCopy, type Member } from './pool.ts';
import {
  capacityOf,
  needsOf,
  orderOfPlaces,
  placesOfPlan,
  splitLayers,
  stageBytes,
  type LayerRun,
  type Place,
  type StageNeeds,
} from './serving-places.ts';
import { Recall, stageKey } from './serving-recall.ts';
import { inHeaders, rowsOf, ServingRequests, type Group } from './serving-requests.ts';
import { Stalls } from './serving-stalls.ts';

/** A holder that says nothing for this long has lost its place; its link usually tells sooner. */
const silenceMsMax = 30_000;
/** Whoever was replaced because nothing came of their pipeline gets no place for this long. */
const replacedMs = 60_000;
/** Tokens through the whole model that earn one price. */
const tokensPerPrice = 1000;

/** Who sits at a place. */
interface Holder {
  readonly member: Member;
  readonly lease: OpenLease;
  /** Bytes of weights on its device, once they lie there. */
  readyBytes: number | undefined;
  /** Tokens that it computed its layers for. */
  tokens: number;
}

export class ServingCoordinator extends Coordinator {
  readonly record: JobRecord;
  private readonly places: readonly Place[];
  private readonly order: readonly Place[];
  private readonly needs: StageNeeds;
  /** Of each pipeline the layers of its stages, once there were volunteers for all of them. */
  private readonly splits = new Map<number, readonly LayerRun[]>();
  /** Volunteers that wait until there are enough for a pipeline, in the order in which they came. */
  private readonly gathered = new Set<Member>();
  private readonly holders = new Map<Place, Holder>();
  /** Of each stage of each pipeline the place that computes it now. */
  private readonly active = new Map<string, Place>();
  private readonly requests: ServingRequests;
  /** Accounts that failed at a place since tokens last came through it. */
  private readonly failures = new Map<Place, Set<AccountId>>();
  private readonly recall: Recall;
  private readonly stalls = new Stalls();
  private replaced = 0;

  constructor(job: Coordinator['job'], context: JobContext, record: JobRecord, manifest: ManifestOf<'serve'>) {
    super(job, context, manifest);
    this.record = record;
    this.places = placesOfPlan(manifest.serve);
    this.order = orderOfPlaces(this.places);
    this.needs = needsOf(manifest.serve);
    this.recall = new Recall(this.order, {
      isHeld: (place) => this.holders.has(place),
      isActive: (place) => this.active.get(stageKey(place)) === place,
      isUp: (pipeline) => this.isUp(pipeline),
      couldMove: (from, to) => {
        const holder = this.holders.get(from);
        return holder !== undefined && this.fits(holder.member, to);
      },
    });
    this.requests = new ServingRequests(manifest.serve, {
      send: (to, message) => this.context.effect({ type: 'send', to, message }),
      close: (group, streams) => this.closeStreams(group, streams),
      computedBy: (pipeline) => this.computedBy(pipeline),
    });
  }

  get hasWork(): boolean {
    return this.isActive && this.holders.size < this.places.length;
  }

  override state(): JobState {
    const ready = [...this.holders.values()].filter(({ readyBytes }) => readyBytes !== undefined).length;
    const up = this.pipelines().filter((pipeline) => this.isUp(pipeline)).length;
    const serving = { up, waiting: this.requests.waiting, running: this.requests.running, ...this.lacking() };
    return { ...super.state(), accepted: ready, serving };
  }

  /** How much is missing, for who waits. */
  private lacking(): Pick<NonNullable<JobState['serving']>, 'missing' | 'bytes'> {
    const { stages } = this.serveManifest.serve;
    const largest = stageBytes(this.needs, 0, stages, Math.ceil(this.needs.layers / stages));
    const missing = this.pipelines().some((pipeline) => this.isUp(pipeline))
      ? 0
      : stages - this.activeOf(0).length - this.gathered.size;
    return { missing: Math.max(0, missing), bytes: Math.round(largest) };
  }

  rebuild(restarted: boolean): void {
    const isOut = this.record.table.units.some((unit) => unit?.attempts.some(({ state }) => state === 'open'));
    if (this.isActive && restarted && isOut) this.note({ type: 'restarted' });
  }

  // Who sits where

  deal(member: Member, now: number): number {
    if (!this.hasWork || member.slots === 0 || !this.canServe(member)) return 0;
    if (member.seatOf !== undefined) return 0;
    const vacant = this.order.find((one) => !this.holders.has(one) && this.fits(member, one));
    if (vacant !== undefined) {
      this.seat(member, vacant, now);
      return 1;
    }
    const pipeline = this.pipelines().find((one) => !this.splits.has(one));
    if (pipeline === undefined) return 0;
    this.gathered.add(member);
    this.begin(pipeline, now);
    return this.gathered.has(member) ? 0 : 1;
  }

  private seat(member: Member, place: Place, now: number): void {
    const stage = this.stageOf(place);
    if (stage === undefined) return;
    this.lend(member, [place.unit], now, () => ({ stage }));
    const lease = [...member.leases].find((one) => one.coordinator === this && one.unit === place.unit);
    if (lease === undefined) return;
    this.gathered.delete(member);
    this.holders.set(place, { member, lease, readyBytes: undefined, tokens: 0 });
    member.seatOf = this;
  }

  /** Cuts the model for those who wait, if they are enough and their memory holds it. */
  private begin(pipeline: number, now: number): void {
    const { stages } = this.serveManifest.serve;
    const waiting = [...this.gathered].filter((member) => {
      const isFree = member.slots > 0 && member.seatOf === undefined && this.context.member(member.peer) === member;
      if (!isFree) this.gathered.delete(member);
      return isFree;
    });
    const roomiest = waiting.toSorted((a, b) => (capacityOf(b).bytes ?? Infinity) - (capacityOf(a).bytes ?? Infinity));
    for (const some of [waiting, roomiest]) {
      const chosen = some.slice(0, stages);
      const split = chosen.length < stages ? undefined : splitLayers(this.needs, chosen.map(capacityOf));
      if (split === undefined) continue;
      this.splits.set(pipeline, split);
      const places = this.order.filter((place) => place.pipeline === pipeline && place.spare === 0);
      for (const [stage, place] of places.entries()) {
        const member = chosen[stage];
        if (member !== undefined) this.seat(member, place, now);
      }
      return;
    }
  }

  private mendStall(pipeline: number, now: number): void {
    const groups = this.isUp(pipeline) ? this.requests.groupsOf(pipeline) : [];
    const remedy = this.stalls.look(pipeline, rowsOf(groups), now);
    const active = remedy === undefined ? [] : this.activeOf(pipeline);
    if (remedy === 'ask') for (const place of active) this.wire(place);
    const place = active[this.replaced % active.length];
    const holder = place === undefined ? undefined : this.holders.get(place);
    if (remedy !== 'replace' || holder === undefined) return;
    this.replaced++;
    holder.member.backoffUntil = now + replacedMs;
    this.revoke([holder.lease]);
    this.end(holder.lease, 'expired', now);
  }

  /** Calls somebody who stands by elsewhere to a stage that nobody has. */
  private callSpare(now: number): void {
    const move = this.recall.next(now);
    const holder = move === undefined ? undefined : this.holders.get(move.from);
    if (move === undefined || holder === undefined) return;
    this.revoke([holder.lease]);
    this.end(holder.lease, 'revoked', now);
    this.seat(holder.member, move.to, now);
  }

  private fits(member: Member, { pipeline, stage }: Place): boolean {
    const run = this.splits.get(pipeline)?.[stage];
    if (run === undefined) return false;
    return (
      stageBytes(this.needs, stage, this.serveManifest.serve.stages, run.layers) <=
      (capacityOf(member).bytes ?? Infinity)
    );
  }

  private stageOf({ pipeline, stage }: Place): StageLease | undefined {
    const { stages } = this.serveManifest.serve;
    const run = this.splits.get(pipeline)?.[stage];
    return run && { pipeline, stage, stages, ...run };
  }

  /** The place's weights lie on its volunteer's device. */
  stageReady(member: Member, message: MessageOf<'stage-ready'>): void {
    const place = this.placeOf(member, message);
    const holder = place === undefined ? undefined : this.holders.get(place);
    if (place === undefined || holder === undefined) return;
    holder.readyBytes = message.bytes;
    if (!this.active.has(stageKey(place))) this.activate(place);
    this.context.stateChanged(this, false);
  }

  override takeProgress(member: Member, key: LeaseKey, done: number, queueDeadline: number, now: number): number {
    const place = this.placeOf(member, key);
    const lease = place === undefined ? undefined : this.holders.get(place)?.lease;
    // Whoever comes back after its link was lost has lost its place too, and is dealt another.
    if (lease === undefined) return super.takeProgress(member, key, done, queueDeadline, now);
    const wasLonger = lease.deadline > now + silenceMsMax;
    lease.deadline = now + silenceMsMax;
    // The first deadline had time for a unit in it.
    if (wasLonger) this.context.watchDeadline(lease);
    return lease.deadline;
  }

  tick(now: number): void {
    if (!this.isActive) return;
    this.callSpare(now);
    for (const pipeline of this.pipelines()) this.mendStall(pipeline, now);
    this.dealToAll();
  }

  memberGone(member: Member, now: number): void {
    this.forgetSpeed(member);
    this.gathered.delete(member);
    for (const lease of [...member.leases]) if (lease.coordinator === this) this.end(lease, 'lost', now);
    // Who is only excluded from computing may go on asking.
    if (this.context.member(member.peer) === member) return;
    this.requests.lost(member.peer);
    this.dealToAll();
  }

  dropAccount(account: AccountId, now: number): void {
    const leases = [...this.open.values()].filter(({ member }) => member.account === account);
    this.revoke(leases);
    for (const lease of leases) this.end(lease, 'revoked', now);
  }

  protected leaseGone(unit: number, _why: EndReason): void {
    const place = this.places[unit];
    if (place !== undefined) this.vacate(place);
    this.context.workAppeared();
    this.context.stateChanged(this, false);
  }

  protected finishing(): void {
    this.requests.refuseAll('the model is no longer offered');
    // Nobody takes over any more.
    this.active.clear();
    for (const place of this.places) this.vacate(place);
  }

  private vacate(place: Place): void {
    const holder = this.holders.get(place);
    if (holder === undefined) return;
    this.holders.delete(place);
    if (holder.member.seatOf === this) holder.member.seatOf = undefined;
    this.payFor(place, holder);
    // A pipeline that nobody holds any part of is cut anew, for those who come then.
    if (![...this.holders.keys()].some(({ pipeline }) => pipeline === place.pipeline))
      this.splits.delete(place.pipeline);
    if (this.active.get(stageKey(place)) !== place) return;
    this.active.delete(stageKey(place));
    const spare = this.recall.stageOf(place).find((one) => this.holders.get(one)?.readyBytes !== undefined);
    if (spare === undefined) this.wireNeighbours(place);
    else this.activate(spare);
  }

  /** A place's volunteer earns by the tokens that went through its layers. */
  private payFor(place: Place, { member, lease, tokens }: Holder): void {
    const { price, serve } = this.serveManifest;
    const share = (this.stageOf(place)?.layers ?? 0) / serve.model.layers;
    const credit = (price * tokens * share) / tokensPerPrice;
    const { account } = member;
    if (credit > 0)
      this.context.credit({ account, job: this.job, unit: place.unit, attempt: lease.attempt, credit, tokens });
  }

  // Who is told what

  /** From here on this place computes its stage. */
  private activate(place: Place): void {
    this.active.set(stageKey(place), place);
    this.stalls.moved(place.pipeline);
    this.wire(place);
    this.wireNeighbours(place);
    // Before its pipeline was up nothing ran on it; now this stage takes over all that runs.
    for (const group of this.requests.groupsOf(place.pipeline)) this.openAt(place, group);
    this.dealRequests(place.pipeline);
  }

  private wireNeighbours({ pipeline, stage: index }: Place): void {
    const { stages } = this.serveManifest.serve;
    const near = new Set([(index + stages - 1) % stages, (index + 1) % stages]);
    near.delete(index);
    for (const neighbour of near) {
      const place = this.active.get(`${pipeline}/${neighbour}`);
      if (place !== undefined) this.wire(place);
    }
  }

  private wire(place: Place): void {
    const { pipeline, stage: index } = place;
    const { stages } = this.serveManifest.serve;
    const peerAt = (of: number) => {
      const near = this.active.get(`${pipeline}/${(of + stages) % stages}`);
      return near === undefined || near === place ? undefined : this.holders.get(near)?.member.peer;
    };
    const previous = peerAt(index - 1);
    const next = peerAt(index + 1);
    this.tell(place, {
      type: 'stage-wire',
      ...this.leaseKeyOf(place),
      ...(previous === undefined ? {} : { previous }),
      ...(next === undefined ? {} : { next }),
    });
  }

  private openAt(place: Place, { prompt, promptTokens, samples, sampling }: Group): void {
    const open = [...samples.values()].map(({ stream, sample, tokens }) => ({ stream, sample, tokens: [...tokens] }));
    for (const some of inHeaders(promptTokens.length, open)) {
      const request = { prompt, promptTokens: [...promptTokens], count: open.length, samples: some, sampling };
      this.tell(place, { type: 'stage-open', ...this.leaseKeyOf(place), ...request });
    }
  }

  private closeStreams({ pipeline }: Group, streams: readonly number[]): void {
    for (const place of this.activeOf(pipeline)) {
      this.tell(place, { type: 'stage-close', ...this.leaseKeyOf(place), streams: [...streams] });
    }
  }

  private tell(place: Place, message: Message): void {
    const holder = this.holders.get(place);
    if (holder !== undefined) this.context.effect({ type: 'send', to: holder.member.peer, message });
  }

  private leaseKeyOf(place: Place): LeaseKey {
    return { job: this.job, unit: place.unit, attempt: this.holders.get(place)?.lease.attempt ?? 1 };
  }

  // Requests

  ask(member: Member, message: MessageOf<'ask'>): void {
    this.requests.ask(member.peer, message);
    this.dealToAll();
  }

  stopAsking(member: Member, message: MessageOf<'ask-stop'>): void {
    this.requests.stop(member.peer, message);
    this.dealToAll();
  }

  /** Tokens count where they come from: the place that is the first stage now. */
  takeTokens(member: Member, message: MessageOf<'stage-tokens'>): void {
    const place = this.placeOf(member, message);
    if (place === undefined || place.stage !== 0 || this.active.get(stageKey(place)) !== place) return;
    const taken = this.requests.take(place.pipeline, message.tokens);
    if (taken > 0) this.worked(place.pipeline, taken);
    this.dealRequests(place.pipeline);
  }

  /** So many tokens that were asked for went through this pipeline. */
  private worked(pipeline: number, tokens: number): void {
    this.stalls.moved(pipeline);
    for (const place of this.activeOf(pipeline)) {
      this.failures.delete(place);
      const holder = this.holders.get(place);
      if (holder === undefined) continue;
      holder.tokens += tokens;
      holder.member.failuresInARow = 0;
    }
  }

  override takeFailure(member: Member, unit: number, attempt: number, reason: string, now: number): void {
    const place = this.placeOf(member, { unit, attempt });
    if (place !== undefined && !isDeviceAtFault(reason)) {
      this.failures.set(place, (this.failures.get(place) ?? new Set()).add(member.account));
    }
    super.takeFailure(member, unit, attempt, reason, now);
  }

  /** A model lives long: only what failed at a place since tokens last came through it speaks against the job. */
  protected override isHopeless(unit: number): boolean {
    const place = this.places[unit];
    return place !== undefined && (this.failures.get(place)?.size ?? 0) >= unitFailuresMax;
  }

  /** Whether both hold places of one pipeline, so that the hub may carry what they say to each other. */
  mayRelay(from: Member, to: Member): boolean {
    const pipelinesOf = ({ leases }: Member): (number | undefined)[] =>
      [...leases].flatMap((lease) => (lease.coordinator === this ? [this.places[lease.unit]?.pipeline] : []));
    const others = pipelinesOf(to);
    return pipelinesOf(from).some((pipeline) => others.includes(pipeline));
  }

  private dealToAll(): void {
    for (const pipeline of this.pipelines()) this.dealRequests(pipeline);
  }

  private dealRequests(pipeline: number): void {
    if (!this.isUp(pipeline)) return;
    for (const group of this.requests.dealTo(pipeline)) {
      for (const place of this.activeOf(pipeline)) this.openAt(place, group);
    }
  }

  private computedBy(pipeline: number): ComputedBy[] {
    return this.activeOf(pipeline).flatMap((place) => {
      const holder = this.holders.get(place);
      const run = this.stageOf(place);
      if (holder === undefined || run === undefined) return [];
      const { account, peer, device } = holder.member;
      const { firstLayer, layers, stage } = run;
      return [{ pipeline, stage, firstLayer, layers, account, peer, deviceClass: device?.deviceClass ?? '' }];
    });
  }

  // Helpers

  private get serveManifest(): ManifestOf<'serve'> {
    return this.record.manifest as ManifestOf<'serve'>;
  }

  private pipelines(): number[] {
    return Array.from({ length: this.serveManifest.serve.pipelines }, (_, pipeline) => pipeline);
  }

  private isUp(pipeline: number): boolean {
    return this.activeOf(pipeline).length === this.serveManifest.serve.stages;
  }

  /** The places that compute this pipeline now, in the order of its stages. */
  private activeOf(pipeline: number): Place[] {
    return Array.from({ length: this.serveManifest.serve.stages }, (_, stage) =>
      this.active.get(`${pipeline}/${stage}`),
    ).filter((place) => place !== undefined);
  }

  /** The place that this volunteer holds by this lease. */
  private placeOf(member: Member, { unit, attempt }: Omit<LeaseKey, 'job'>): Place | undefined {
    const place = this.places[unit];
    const holder = place === undefined ? undefined : this.holders.get(place);
    return holder?.member === member && holder.lease.attempt === attempt ? place : undefined;
  }

  snapshot(): Json {
    return structuredCopy(this.record) as Json;
  }

  protected override note(fact: JobFact): void {
    applyJobFact(this.record, fact);
    this.context.record(this.job, fact as Json);
  }

  // A place has no result, whoever says that there is one.

  override wants(): boolean {
    return false;
  }

  protected isUseful(): boolean {
    return false;
  }

  protected needsMore(): boolean {
    return false;
  }

  protected resultCame(): void {}
  protected resumed(): void {}
  inspected(): void {}
  aggregated(): void {}
  initialised(): void {}
  compared(): void {}
}
