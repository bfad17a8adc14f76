/** Which bytes some job needs now, counted by digest: what nobody holds any more is to be forgotten. */

import type { Digest } from '../core/ids.ts';

export class Holdings {
  private readonly holders = new Map<Digest, number>();

  has(digest: Digest): boolean {
    return this.holders.has(digest);
  }

  hold(digest: Digest): void {
    this.holders.set(digest, (this.holders.get(digest) ?? 0) + 1);
  }

  /** Whether that was the last who held it. */
  release(digest: Digest): boolean {
    const left = (this.holders.get(digest) ?? 1) - 1;
    if (left > 0) this.holders.set(digest, left);
    else this.holders.delete(digest);
    return left <= 0;
  }
}
