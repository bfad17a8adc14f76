/**
 * The simulated network between the hub and its peers. A link keeps the order of each lane, as WebRTC and sockets do,
 * yet the two lanes overtake each other; what is on its way when a link breaks is lost. A silent break is noticed
 * later, by the side that listens. So every duplicate and reordering that a reconnect can cause comes about here.
 */

import { laneOf, type Message } from '../protocol/messages.ts';
import type { World } from './world.ts';

export interface LinkEnd {
  receive(message: Message): void;
  closed(): void;
}

export class SimLink {
  isUp = true;
  readonly latencyMs: number;
  private readonly world: World;
  private readonly hubEnd: LinkEnd;
  private readonly peerEnd: LinkEnd;
  private silent = false;
  /** When the last message of each direction and lane arrives. */
  private readonly arrivals = [0, 0, 0, 0];

  constructor(world: World, latencyMs: number, hubEnd: LinkEnd, peerEnd: LinkEnd) {
    this.world = world;
    this.latencyMs = latencyMs;
    this.hubEnd = hubEnd;
    this.peerEnd = peerEnd;
  }

  toHub(message: Message): void {
    this.carry(message, 0, this.hubEnd);
  }

  toPeer(message: Message): void {
    this.carry(message, 2, this.peerEnd);
  }

  /** Both ends learn of it after a moment; what was under way is lost. */
  break(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.world.after(this.latencyMs, () => this.hubEnd.closed());
    this.world.after(this.latencyMs, () => this.peerEnd.closed());
  }

  /** Nothing passes any more; each side gives up after `silenceMs` without a word. */
  fallSilent(silenceMs: number): void {
    if (this.silent || !this.isUp) return;
    this.silent = true;
    this.world.after(silenceMs, () => this.break());
  }

  private carry(message: Message, direction: number, end: LinkEnd): void {
    if (!this.isUp || this.silent) return;
    const bulk = laneOf(message.type) === 'bulk' ? 1 : 0;
    const delay = this.latencyMs * (0.8 + 0.4 * this.world.random.next()) * (1 + bulk);
    const lane = direction + bulk;
    const arrival = Math.max(this.arrivals[lane] ?? 0, this.world.now + delay);
    this.arrivals[lane] = arrival;
    this.world.at(arrival, () => {
      if (this.isUp) end.receive(message);
    });
  }
}
