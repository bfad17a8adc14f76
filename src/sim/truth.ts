/**
 * What computing gives in the simulated world: a result is one number per unit, the right one being 0. Honest devices
 * differ by rounding, within the tolerance; a lie is far away. Results are named by digests like real ones.
 */

import { present } from '../core/assert.ts';
import type { Digest, PeerId } from '../core/ids.ts';

export interface SimResult {
  readonly unit: number;
  readonly value: number;
}

export class Truth {
  private readonly results = new Map<Digest, SimResult>();
  private readonly digests = new Map<string, Digest>();

  digestOf(result: SimResult): Digest {
    const key = `${result.unit}:${result.value}`;
    let digest = this.digests.get(key);
    if (digest === undefined) {
      digest = nameOf('f', this.results.size);
      this.digests.set(key, digest);
      this.results.set(digest, result);
    }
    return digest;
  }

  /** Outputs agree within 1. */
  agree(a: Digest, b: Digest): boolean {
    return Math.abs(this.get(a).value - this.get(b).value) <= 1;
  }

  isRight(digest: Digest): boolean {
    return Math.abs(this.get(digest).value) <= 1;
  }

  private get(digest: Digest): SimResult {
    return present(this.results.get(digest), `nobody computed ${digest}`);
  }
}

/** A readable name of the length of a digest or account: a letter and a number. */
export const nameOf = (letter: string, index: number): Digest =>
  `${letter}${index.toString(16).padStart(63, '0')}` as Digest;

/** The same for a peer, which has half as many digits. */
export const peerNameOf = (letter: string, index: number): PeerId =>
  `${letter}${index.toString(16).padStart(31, '0')}` as PeerId;
