/** Simulated time: one heap of things to come, one seeded source of chance. Nothing here knows what is simulated. */

import { createRandom, type Random } from '../core/prng.ts';
import { Heap } from '../swarm/collections.ts';
import type { Trace } from './trace.ts';

export class World {
  now = 0;
  /** Things that have happened. */
  events = 0;
  readonly random: Random;
  readonly trace: Trace | undefined;
  private readonly agenda = new Heap<() => void>();

  constructor(seed: number, trace: Trace | undefined) {
    this.random = createRandom(seed);
    this.trace = trace;
  }

  after(ms: number, happen: () => void): void {
    this.agenda.push(this.now + ms, happen);
  }

  at(time: number, happen: () => void): void {
    this.agenda.push(Math.max(time, this.now), happen);
  }

  /** Lets the next thing happen; false when nothing is left. */
  step(): boolean {
    const time = this.agenda.nextKey;
    const happen = this.agenda.pop();
    if (happen === undefined) return false;
    this.now = time;
    this.events++;
    happen();
    return true;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.random.next();
  }

  logUniform(low: number, high: number): number {
    return low * (high / low) ** this.random.next();
  }
}
