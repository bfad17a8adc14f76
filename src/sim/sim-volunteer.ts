/**
 * The real volunteer machine on a simulated tab: it computes at its own speed, may lie, fail, hang, hide, lose its link
 * or be closed, and dials again when the hub cannot be reached.
 */

import { heartbeatMs, reconnectMsMax, reconnectMsMin } from '../core/limits.ts';
import type { Digest } from '../core/ids.ts';
import type { Lease, LeaseKey, Message } from '../protocol/messages.ts';
import { programSetVersion } from '../protocol/versions.ts';
import {
  createVolunteer,
  type VolunteerEffect,
  type VolunteerInput,
  type VolunteerMachine,
} from '../swarm/volunteer.ts';
import { SimLink } from './network.ts';
import type { HubPeer, SimHub } from './sim-hub.ts';
import { traceLine } from './trace.ts';
import type { Truth } from './truth.ts';
import type { World } from './world.ts';

export interface Character {
  /** Work per second; a unit of usual size is 1 of work times the scenario's `unitSeconds`. */
  readonly speed: number;
  /** Chance that a result is a lie, that a unit fails, that it never ends. */
  readonly lies: number;
  readonly fails: number;
  readonly hangs: number;
  /** Largest rounding difference of its device. */
  readonly rounding: number;
}

const device = {
  deviceClass: 'simulated',
  fallback: false,
  features: [],
  bindingBytesMax: 2 ** 27,
  bufferBytesMax: 2 ** 28,
};

export class SimVolunteer {
  readonly self: HubPeer;
  readonly character: Character;
  readonly machine: VolunteerMachine;
  link: SimLink | undefined;
  /** Virtual milliseconds of presence and of computing. */
  presentMs = 0;
  busyMs = 0;
  private readonly world: World;
  private readonly hub: SimHub;
  private readonly truth: Truth;
  private readonly workMsOf: (lease: LeaseKey) => number;
  private readonly latencyMs: number;
  private presentSince: number | undefined;
  private gone = false;
  private redialMs = reconnectMsMin;
  private run = 0;
  private running:
    { readonly lease: Lease; readonly start: number; readonly ms: number; readonly hangs: boolean } | undefined;

  constructor(
    world: World,
    hub: SimHub,
    truth: Truth,
    self: HubPeer,
    character: Character,
    latencyMs: number,
    workMsOf: (lease: LeaseKey) => number,
  ) {
    this.world = world;
    this.hub = hub;
    this.truth = truth;
    this.self = self;
    this.character = character;
    this.latencyMs = latencyMs;
    this.workMsOf = workMsOf;
    this.machine = createVolunteer({ device, programVersion: programSetVersion });
  }

  open(): void {
    this.presentSince = this.world.now;
    this.give({ type: 'start' });
    this.dial();
    this.tickLater();
  }

  /** The tab is closed: politely, or without a word so that only silence tells. */
  vanish(silently: boolean): void {
    if (this.gone) return;
    if (!silently) this.give({ type: 'stop' });
    this.countPresence();
    this.gone = true;
    this.stopRun();
    if (silently) this.link?.fallSilent(2_000);
    else this.world.after(this.latencyMs * 3, () => this.link?.break());
  }

  hide(ms: number): void {
    if (this.gone) return;
    this.countPresence();
    this.give({ type: 'pause', reason: 'hidden' });
    this.world.after(ms, () => {
      if (this.gone) return;
      this.presentSince = this.world.now;
      this.give({ type: 'resume' });
    });
  }

  finish(): void {
    this.countPresence();
    if (this.running !== undefined) this.busyMs += this.world.now - this.running.start;
  }

  private dial(): void {
    if (this.gone || this.link !== undefined) return;
    if (!this.hub.isUp) {
      this.world.after(this.redialMs, () => this.dial());
      this.redialMs = Math.min(reconnectMsMax, this.redialMs * 2);
      return;
    }
    this.redialMs = reconnectMsMin;
    const link: SimLink = new SimLink(
      this.world,
      this.latencyMs,
      {
        receive: (message) => this.hub.receive(this.self.peer, link, message),
        closed: () => this.hub.disconnect(this.self.peer, link),
      },
      { receive: (message) => this.hear(message), closed: () => this.unlink(link) },
    );
    this.link = link;
    this.hub.connect(this.self, link);
    this.give({ type: 'linked' });
  }

  private unlink(link: SimLink): void {
    if (this.link !== link) return;
    this.link = undefined;
    this.give({ type: 'unlinked' });
    this.world.after(this.world.between(reconnectMsMin, reconnectMsMax), () => this.dial());
  }

  private hear(message: Message): void {
    if (message.type === 'lease') this.say('swarm/volunteer', `takes ${message.leases.map(nameUnit).join(', ')}`);
    if (message.type === 'settled') {
      this.say(
        'swarm/volunteer',
        `is told that ${nameUnit(message)} ${message.agreed ? 'agreed' : 'did not agree'}, credit ${message.credit}`,
      );
    }
    this.give({ type: 'message', message });
  }

  private give(input: VolunteerInput): void {
    if (this.gone) return;
    for (const effect of this.machine.receive(input, this.world.now)) this.perform(effect);
  }

  private perform(effect: VolunteerEffect): void {
    switch (effect.type) {
      case 'send':
        return this.link?.toHub(effect.message);
      case 'compute':
        return this.compute(effect.lease);
      case 'abort':
        return this.stopRun();
      case 'deliver':
        return this.deliver(effect.lease, effect.digest, effect.seconds);
      default:
    }
  }

  private compute(lease: Lease): void {
    const { random } = this.world;
    const ms = (this.workMsOf(lease) / this.character.speed) * (0.9 + 0.2 * random.next());
    const hangs = this.character.hangs > 0 && random.next() < this.character.hangs;
    const fails = this.character.fails > 0 && random.next() < this.character.fails;
    const run = ++this.run;
    this.running = { lease, start: this.world.now, ms, hangs };
    if (this.world.trace !== undefined) this.tellCompute(lease, ms);
    if (hangs) return;
    this.world.after(fails ? ms / 2 : ms, () => {
      if (run !== this.run || this.gone) return;
      this.busyMs += this.world.now - (this.running?.start ?? this.world.now);
      this.running = undefined;
      if (fails) return this.give({ type: 'compute-failed', lease, reason: 'the simulated device was lost' });
      const digest = this.resultOf(lease);
      this.say('adapters/worker', `gives back the bytes of ${nameUnit(lease)} and their digest`);
      this.give({ type: 'computed', lease, digest, seconds: ms / 1000 });
    });
  }

  private stopRun(): void {
    if (this.running !== undefined) this.busyMs += this.world.now - this.running.start;
    this.running = undefined;
    this.run++;
  }

  private resultOf({ unit }: Lease): Digest {
    const { random } = this.world;
    const { lies, rounding } = this.character;
    const value =
      lies > 0 && random.next() < lies ? 10 + random.below(1_000_000) : rounding * (random.below(5) / 2 - 1);
    return this.truth.digestOf({ unit, value });
  }

  private deliver(lease: Lease, digest: Digest, seconds: number): void {
    const { job, unit, attempt } = lease;
    this.say('swarm/volunteer', `delivers the result of ${nameUnit(lease)} with a signed receipt`);
    this.link?.toHub({
      type: 'result',
      job,
      unit,
      attempt,
      digest,
      seconds,
      receipt: `${unit}/${attempt}`,
      signature: '',
    });
  }

  private tickLater(): void {
    this.world.after(heartbeatMs, () => {
      if (this.gone) return;
      if (this.running !== undefined && this.link !== undefined) this.reportProgress(this.running);
      this.tickLater();
    });
  }

  private reportProgress({ lease, start, ms, hangs }: NonNullable<typeof this.running>): void {
    const { now } = this.world;
    const done = hangs ? 0 : Math.min(0.99, (now - start) / ms);
    this.give({ type: 'computing', lease, done });
    for (const effect of this.machine.tick(now)) this.perform(effect);
  }

  private countPresence(): void {
    if (this.presentSince !== undefined) this.presentMs += this.world.now - this.presentSince;
    this.presentSince = undefined;
  }

  private tellCompute(lease: Lease, ms: number): void {
    const unit = nameUnit(lease);
    this.say('swarm/drive', `performs the effect compute for ${unit}`);
    this.say('adapters/store', 'chunks of the inputs are read, fetched where missing');
    this.say('adapters/worker', 'the page hands the unit to its worker');
    this.say('adapters/gpu/executor', 'compiles once, binds, submits');
    this.say('kernels, shaders', `${(ms / 1000).toFixed(2)} s of computing begin`);
  }

  private say(where: string, what: string): void {
    this.world.trace?.(traceLine(this.world.now, where, `${this.self.peer.slice(-4)} ${what}`));
  }
}

const nameUnit = ({ unit, attempt }: Pick<LeaseKey, 'unit' | 'attempt'>): string => `unit ${unit}, attempt ${attempt}`;
