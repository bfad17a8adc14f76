/**
 * The real hub machine with a simulated driver: facts are committed in groups before their effects leave, comparing
 * and aggregating take time, and a crash loses all that was not committed.
 */

import type { AccountId, Digest, PeerId } from '../core/ids.ts';
import { createRandom } from '../core/prng.ts';
import { heartbeatMs } from '../core/limits.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Message, Role } from '../protocol/messages.ts';
import { jobOfManifest } from '../core/ids.ts';
import { createHub, restoreHub, type HubMachine, type HubOptions } from '../swarm/hub.ts';
import type { HubEffect, HubInput, HubStep, FactRecord } from '../swarm/step.ts';
import type { PoolFact } from '../swarm/pool.ts';
import type { UnitsFact } from '../swarm/units-record.ts';
import { traceLine } from './trace.ts';
import { Invariants, type InvariantOptions } from './invariants.ts';
import { Replay } from './replay.ts';
import { SimStore } from './store.ts';
import { nameOf, type Truth } from './truth.ts';
import type { SimLink } from './network.ts';
import type { World } from './world.ts';

export interface HubPeer {
  readonly peer: PeerId;
  readonly account: AccountId;
  readonly role: Role;
  readonly block: string;
}

export class SimHub {
  readonly invariants: Invariants;
  readonly store = new SimStore();
  machine: HubMachine;
  isUp = true;
  crashes = 0;
  /** Called with the facts of each step before anything else sees them: faults for proving the checkers. */
  tamper: ((record: FactRecord) => FactRecord) | undefined;
  private readonly world: World;
  private readonly truth: Truth;
  private readonly commitMs: number;
  private readonly options: HubOptions;
  private readonly links = new Map<PeerId, SimLink>();
  private readonly manifests = new Map<string, Manifest>();
  private readonly replay = new Replay();
  private pending: HubStep[] = [];
  private committing = false;
  private life = 0;
  private checkedAt = 0;
  private artifacts = 0;

  constructor(world: World, truth: Truth, commitMs: number, invariants: InvariantOptions) {
    this.world = world;
    this.truth = truth;
    this.commitMs = commitMs;
    this.options = { random: createRandom(world.random.u32(), 1) };
    this.invariants = new Invariants(invariants);
    this.machine = createHub(this.options);
    this.scheduleTick();
  }

  offer(manifest: Manifest, digest: Digest): void {
    this.manifests.set(digest, manifest);
  }

  connect(peer: HubPeer, link: SimLink): void {
    const { account, role, block } = peer;
    this.links.set(peer.peer, link);
    this.input({ type: 'connected', peer: peer.peer, account, role, addressBlock: block });
  }

  /** The link's own end reports; a newer link of the same peer stays. */
  disconnect(peer: PeerId, link: SimLink): void {
    if (this.links.get(peer) !== link) return;
    this.links.delete(peer);
    this.input({ type: 'lost', peer });
  }

  receive(from: PeerId, link: SimLink, message: Message): void {
    if (this.links.get(from) !== link) return;
    if (message.type === 'submit') {
      this.say('protocol/messages', 'submit arrives as a frame, is parsed, its signature checked');
      const manifest = this.manifests.get(message.job);
      const found = manifest === undefined ? {} : { manifest };
      const { job, signature } = message;
      return this.input({ type: 'submitted', from, job, signature, ...found, missing: [], unixSeconds: 0 });
    }
    this.input({ type: 'message', from, message });
  }

  /** The process dies: memory, links and everything uncommitted are gone. */
  crash(downMs: number): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.crashes++;
    this.life++;
    this.pending = [];
    this.committing = false;
    this.world.trace?.(traceLine(this.world.now, 'sim', 'the hub dies'));
    for (const link of this.links.values()) link.break();
    this.links.clear();
    this.world.after(downMs, () => this.restart());
  }

  /** Compaction: possible whenever the log has caught up with the machine. */
  compact(): void {
    if (!this.isUp || this.pending.length > 0 || this.committing) return;
    for (const stream of this.machine.streams()) this.store.snapshot(stream, this.machine.snapshot(stream));
  }

  /** At the end: the log alone, read back as text, gives the state; so does the fold that ran along. */
  checkReplay(): void {
    this.compareReplay();
    if (!this.isUp || this.pending.length > 0 || this.committing) return;
    const fold = new Replay();
    fold.reload(this.store.load());
    this.fail(fold.difference(this.machine));
  }

  private restart(): void {
    this.isUp = true;
    this.world.trace?.(traceLine(this.world.now, 'swarm/hub.restoreHub', 'the hub is back, rebuilt from its log'));
    const streams = this.store.load();
    this.replay.reload(streams);
    const { hub, step } = restoreHub(this.options, streams, this.world.now);
    this.machine = hub;
    this.take(step);
    this.scheduleTick();
  }

  private scheduleTick(): void {
    const { life } = this;
    this.world.after(heartbeatMs, () => {
      if (life !== this.life) return;
      this.take(this.machine.tick(this.world.now));
      this.scheduleTick();
    });
  }

  private input(input: HubInput): void {
    if (this.isUp) this.take(this.machine.receive(input, this.world.now));
  }

  private take(step: HubStep): void {
    for (const [index, record] of step.records.entries()) {
      const seen = this.tamper === undefined ? record : this.tamper(record);
      if (this.tamper !== undefined) (step.records as FactRecord[])[index] = seen;
      this.replay.observe(seen);
    }
    if (step.records.length + step.effects.length === 0) return;
    if (this.world.events - this.checkedAt >= replayEvery) this.compareReplay();
    this.pending.push(step);
    this.commitSoon();
  }

  /** Group commit: whatever came while the last commit was under way goes with the next. */
  private commitSoon(): void {
    if (this.committing || this.pending.length === 0) return;
    const group = this.pending;
    this.pending = [];
    if (group.every(({ records }) => records.length === 0)) return this.performAll(group);
    this.committing = true;
    const { life } = this;
    this.world.after(this.commitMs, () => {
      if (life !== this.life) return;
      this.committing = false;
      for (const { records } of group) {
        this.store.append(records);
        for (const record of records) {
          this.invariants.observe(record);
          if (this.world.trace !== undefined) this.tell(record);
        }
      }
      this.performAll(group);
      this.commitSoon();
    });
  }

  private performAll(group: readonly HubStep[]): void {
    for (const { effects } of group) for (const effect of effects) this.perform(effect);
  }

  private perform(effect: HubEffect): void {
    switch (effect.type) {
      case 'send': {
        const link = this.links.get(effect.to);
        link?.toPeer(effect.message);
        if (effect.message.type === 'unit-accepted') this.later(1, { type: 'delivered', peer: effect.to });
        return;
      }
      case 'compare': {
        const { job, unit, a, b } = effect;
        const agree = this.truth.agree(a.digest, b.digest);
        return this.later(2, { type: 'compared', job, unit, a: a.attempt, b: b.attempt, agree });
      }
      case 'initialise':
        return this.later(20, { type: 'initialised', job: effect.job, parameters: this.newArtifact() });
      case 'inspect':
        return this.later(5, this.inspect(effect));
      case 'aggregate': {
        const { job, round, seat } = effect;
        return this.later(50, { type: 'aggregated', job, round, seat, parameters: this.newArtifact() });
      }
      case 'forget':
    }
  }

  /** Facts as steps of a unit's life. */
  private tell({ fact }: FactRecord): void {
    const told = storyOf(fact as UnitsFact | PoolFact);
    for (const [where, what] of told) this.say(where, what);
  }

  private say(where: string, what: string): void {
    this.world.trace?.(traceLine(this.world.now, where, what));
  }

  private inspect({ job, unit, attempt, digest }: Extract<HubEffect, { type: 'inspect' }>): HubInput {
    if (!this.truth.isRight(digest)) return { type: 'inspected', job, unit, attempt, problem: 'not a training result' };
    const manifest = this.manifests.get(job);
    const workers = manifest?.program === 'train' ? manifest.train.method.workers : 1;
    const seat = unit % workers;
    const loss = 5 / (1 + Math.floor(unit / workers));
    const report = {
      trainLoss: loss,
      validationLoss: seat === 0 ? loss : null,
      steps: 10,
      tokens: 1000,
      parametersSha256: digest,
      bytesSent: 100,
      bytesReceived: 400,
    };
    return { type: 'inspected', job, unit, attempt, report };
  }

  private later(ms: number, input: HubInput): void {
    const { life } = this;
    this.world.after(ms, () => {
      if (life === this.life) this.input(input);
    });
  }

  private newArtifact(): Artifact {
    return { bytes: 4, chunks: [nameOf('a', this.artifacts++)] };
  }

  private compareReplay(): void {
    this.checkedAt = this.world.events;
    if (this.isUp) this.fail(this.replay.difference(this.machine));
  }

  private fail(text: string | undefined): void {
    if (text !== undefined) this.invariants.violation ??= text;
  }
}

/** Which places in the code a fact comes from, and what they did. */
function storyOf(fact: UnitsFact | PoolFact): [string, string][] {
  switch (fact.type) {
    case 'submitted':
      return [['swarm/coordinator', `a coordinator takes the job of ${fact.manifest.units} units`]];
    case 'leased': {
      const units = fact.units.map(([unit, attempt]) => `unit ${unit}, attempt ${attempt}`).join('; ');
      return [['swarm/scheduler', `plans ${units} for ${fact.peer.slice(-4)}`]];
    }
    case 'result':
      return [['swarm/coordinator', `receives the result of unit ${fact.unit}, attempt ${fact.attempt}`]];
    case 'accepted':
      return [
        ['swarm/quorum', `unit ${fact.unit}: attempts ${fact.honest.join(' and ')} agree, ${fact.attempt} is accepted`],
      ];
    case 'credited':
      return [['swarm/credit', `ledger entry ${fact.entry.seq}: ${fact.entry.credit} for unit ${fact.entry.unit}`]];
    case 'finished':
      return [['swarm/coordinator', `the job is ${fact.phase}`]];
    case 'judged':
      return [['swarm/reputation', `${fact.agreed.length} agreed, ${fact.disagreed.length} did not`]];
    case 'ended':
      return [['swarm/coordinator', `unit ${fact.unit}, attempt ${fact.attempt} is over: ${fact.why}`]];
    default:
      return [];
  }
}

/** Events between two comparisons of the fold with the state. */
const replayEvery = 10_000;

/** A manifest's name in this world. */
export const jobNamed = (index: number) => jobOfManifest(nameOf('b', index));
