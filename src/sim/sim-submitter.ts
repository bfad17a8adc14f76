/** The real submitter machine on a simulated link; counts what it collects. */

import type { Digest, JobId } from '../core/ids.ts';
import {
  createSubmitter,
  type SubmitterEffect,
  type SubmitterInput,
  type SubmitterMachine,
} from '../swarm/submitter.ts';
import { SimLink } from './network.ts';
import type { HubPeer, SimHub } from './sim-hub.ts';
import { traceLine } from './trace.ts';
import type { World } from './world.ts';

export class SimSubmitter {
  readonly self: HubPeer;
  readonly machine: SubmitterMachine = createSubmitter();
  readonly collected = new Map<JobId, Map<number, Digest>>();
  readonly finishedAt = new Map<JobId, number>();
  /** What went wrong from the submitter's point of view. */
  violation: string | undefined;
  link: SimLink | undefined;
  private readonly world: World;
  private readonly hub: SimHub;
  private readonly latencyMs: number;

  constructor(world: World, hub: SimHub, self: HubPeer, latencyMs: number) {
    this.world = world;
    this.hub = hub;
    this.self = self;
    this.latencyMs = latencyMs;
  }

  submit(job: JobId, units: number): void {
    this.collected.set(job, new Map());
    this.world.trace?.(traceLine(this.world.now, 'sdk', 'a job is submitted'));
    this.world.trace?.(
      traceLine(this.world.now, 'swarm/submitter', 'its inputs are hashed, its manifest signed and offered'),
    );
    this.give({ type: 'submit', job, signature: '', units });
  }

  dial(): void {
    if (this.link !== undefined) return;
    if (!this.hub.isUp) return this.world.after(500, () => this.dial());
    const link: SimLink = new SimLink(
      this.world,
      this.latencyMs,
      {
        receive: (message) => this.hub.receive(this.self.peer, link, message),
        closed: () => this.hub.disconnect(this.self.peer, link),
      },
      {
        receive: (message) => this.give({ type: 'message', message }),
        closed: () => {
          if (this.link !== link) return;
          this.link = undefined;
          this.give({ type: 'unlinked' });
          this.world.after(700, () => this.dial());
        },
      },
    );
    this.link = link;
    this.hub.connect(this.self, link);
    this.give({ type: 'linked' });
  }

  private give(input: SubmitterInput): void {
    for (const effect of this.machine.receive(input, this.world.now)) this.perform(effect);
  }

  private perform(effect: SubmitterEffect): void {
    switch (effect.type) {
      case 'send':
        return this.link?.toHub(effect.message);
      case 'collect': {
        const { job, unit, digest } = effect.accepted;
        const units = this.collected.get(job);
        if (units?.has(unit) === true) this.violation ??= `unit ${unit} was collected twice`;
        if (!this.hub.invariants.isAccepted(job, unit, digest))
          this.violation ??= `unit ${unit} was collected before its acceptance`;
        units?.set(unit, digest);
        this.world.trace?.(traceLine(this.world.now, 'swarm/submitter', `collects unit ${unit}`));
        return;
      }
      case 'changed':
        if (effect.finished && !this.finishedAt.has(effect.job)) this.finishedAt.set(effect.job, this.world.now);
        return;
      default:
    }
  }
}
