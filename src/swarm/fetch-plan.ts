/**
 * What a volunteer asks whom for: chunks from the hub and from other volunteers. Those that fewest hold are asked first, and
 * peers before the hub, which says by `chunk-sources` what is to be taken from itself. What does not come is asked elsewhere
 * as well, and whichever answer is right first counts. Pure: bytes, links and stores are the exchange's.
 */

import type { Digest, PeerId } from '../core/ids.ts';
import type { Random } from '../core/prng.ts';
import type { MessageOf } from '../protocol/messages.ts';

export type ChunkSource = 'hub' | PeerId;

export interface ChunkAsk {
  readonly digest: Digest;
  readonly from: ChunkSource;
}

/** Chunks under way at once: enough to fill a link, few enough that memory stays bounded. */
const asksMax = 8;
/** Of these from one peer: one arriving and one behind it. A peer that has not given anything right yet is asked for one. */
const asksPerPeerMax = 2;
/** A chunk that takes longer than this, and four times the slowest recent one, is asked elsewhere as well. */
const patienceMsMin = 6_000;
const tooksKept = 8;
/** A peer that let us wait so often is shunned. */
const strikesMax = 3;
/** The hub is asked who holds what: soon where something has changed, now and then else. */
const seekMsMin = 100;
const seekMsMax = 500;
const soughtMax = 64;
/** Of those that are shunned the hub hears the newest. */
const shunToldMax = 64;

interface Wanted {
  readonly digest: Digest;
  /** May come from peers; else only the hub is asked. */
  shared: boolean;
  readonly holders: Set<PeerId>;
  /** The hub lets us have it. */
  granted: boolean;
  readonly asked: Map<ChunkSource, number>;
}

export class FetchPlan {
  private readonly random: Random;
  private readonly wanted = new Map<Digest, Wanted>();
  /** Asked and not answered, whether still wanted or not. */
  private readonly open = new Map<ChunkSource, Map<Digest, number>>();
  private readonly strikes = new Map<PeerId, number>();
  private readonly shunned = new Set<PeerId>();
  private readonly proved = new Set<PeerId>();
  private tooks: number[] = [];
  private lastSeek = -Infinity;
  private news = true;

  constructor(random: Random) {
    this.random = random;
  }

  has(digest: Digest): boolean {
    return this.wanted.has(digest);
  }

  get size(): number {
    return this.wanted.size;
  }

  want(digest: Digest, shared: boolean): void {
    const known = this.wanted.get(digest);
    this.news = true;
    if (known === undefined) {
      this.wanted.set(digest, { digest, shared, holders: new Set(), granted: false, asked: new Map() });
    } else {
      known.shared &&= shared;
    }
  }

  /** It has come, from here, and is right. */
  took(digest: Digest, from: ChunkSource): void {
    if (from !== 'hub') this.proved.add(from);
    this.forget(digest);
  }

  /** It is given up. */
  forget(digest: Digest): void {
    this.wanted.delete(digest);
    this.news = true;
  }

  told({ sources, origin }: Pick<MessageOf<'chunk-sources'>, 'sources' | 'origin'>): void {
    for (const { peer, digests } of sources) {
      if (this.shunned.has(peer)) continue;
      for (const digest of digests) this.wanted.get(digest)?.holders.add(peer);
    }
    for (const digest of origin) {
      const wanted = this.wanted.get(digest);
      if (wanted !== undefined) wanted.granted = true;
    }
  }

  /** Whether this source owes us this chunk; from now on it does not. Until `took` or `refused` nobody else is asked for it. */
  answered(digest: Digest, from: ChunkSource, now: number): boolean {
    const since = this.open.get(from)?.get(digest);
    if (since === undefined) return false;
    this.pay(digest, from);
    this.tooks = [...this.tooks, now - since].slice(-tooksKept);
    if (from !== 'hub') this.strikes.delete(from);
    return true;
  }

  /** The source does not have it, or could not be asked. */
  refused(digest: Digest, from: ChunkSource): void {
    this.pay(digest, from);
    const wanted = this.wanted.get(digest);
    if (wanted === undefined) return;
    wanted.asked.delete(from);
    if (from === 'hub') wanted.granted = false;
    else wanted.holders.delete(from);
    this.news = true;
  }

  /** A holder says that it has none after all. */
  missing(digest: Digest, from: PeerId): void {
    this.refused(digest, from);
    this.strike(from);
  }

  /** The link is gone: what it owed is asked again, elsewhere or anew. */
  lost(from: ChunkSource): void {
    for (const digest of [...(this.open.get(from)?.keys() ?? [])]) this.refused(digest, from);
    if (from !== 'hub') for (const wanted of this.wanted.values()) wanted.holders.delete(from);
    else this.lastSeek = -Infinity;
  }

  /** Asks this peer for nothing any more: it cannot be reached, or gives what it should not. */
  shun(peer: PeerId): void {
    this.shunned.delete(peer);
    this.shunned.add(peer);
    this.lost(peer);
  }

  /** What to ask whom now, the hub too where it is linked; it counts as asked. */
  asks(now: number, hubIsLinked = true): ChunkAsk[] {
    const asks: ChunkAsk[] = [];
    let room = asksMax - this.underWay(now);
    for (const wanted of this.rarestFirst()) {
      if (room <= 0) break;
      const from = this.sourceOf(wanted, now);
      if (from === undefined || (from === 'hub' && !hubIsLinked)) continue;
      wanted.asked.set(from, now);
      const open = this.open.get(from) ?? new Map<Digest, number>();
      this.open.set(from, open.set(wanted.digest, now));
      asks.push({ digest: wanted.digest, from });
      room -= 1;
    }
    return asks;
  }

  /** What to ask the hub about now, if anything. */
  seek(now: number): Pick<MessageOf<'chunks-sought'>, 'digests' | 'shun'> | undefined {
    if (now - this.lastSeek < (this.news ? seekMsMin : seekMsMax)) return undefined;
    const idle = [...this.wanted.values()].filter((wanted) => wanted.shared && !this.isUnderWay(wanted, now));
    if (idle.length === 0) return undefined;
    this.lastSeek = now;
    this.news = false;
    const digests = this.shuffled(idle)
      .slice(0, soughtMax)
      .map(({ digest }) => digest);
    return { digests, shun: [...this.shunned].slice(-shunToldMax) };
  }

  /** `asks` and `seek` may have more to say after a while, though nothing happens. */
  get isWaiting(): boolean {
    return this.wanted.size > 0;
  }

  /** Peers before the hub, and of peers the one that owes us least; a second source where the first lets us wait. */
  private sourceOf(wanted: Wanted, now: number): ChunkSource | undefined {
    if (!wanted.shared) return wanted.asked.has('hub') ? undefined : 'hub';
    if (this.isUnderWay(wanted, now)) return undefined;
    this.strikeLate(wanted, now);
    const free = [...wanted.holders]
      .filter((peer) => !wanted.asked.has(peer) && (this.open.get(peer)?.size ?? 0) < this.asksMaxOf(peer))
      .map((peer) => ({ peer, order: (this.open.get(peer)?.size ?? 0) + this.random.next() }));
    const [best] = free.toSorted((a, b) => a.order - b.order);
    if (best !== undefined) return best.peer;
    return wanted.granted && !wanted.asked.has('hub') ? 'hub' : undefined;
  }

  private asksMaxOf(peer: PeerId): number {
    return this.proved.has(peer) ? asksPerPeerMax : 1;
  }

  /** Whoever lets us wait more than the others do loses a little trust, once for each chunk. */
  private strikeLate(wanted: Wanted, now: number): void {
    for (const [from, since] of wanted.asked) {
      if (from === 'hub' || since === -Infinity || now - since <= this.patience()) continue;
      wanted.asked.set(from, -Infinity);
      this.strike(from);
    }
  }

  private strike(peer: PeerId): void {
    const strikes = (this.strikes.get(peer) ?? 0) + 1;
    this.strikes.set(peer, strikes);
    if (strikes >= strikesMax) this.shun(peer);
  }

  private patience(): number {
    return Math.max(patienceMsMin, 4 * Math.max(0, ...this.tooks));
  }

  /** Somebody was asked and is still expected to answer. */
  private isUnderWay({ asked, holders }: Wanted, now: number): boolean {
    const patience = this.patience();
    for (const [from, since] of asked) {
      // The hub's queue may be long, and it does not forget; where nobody else has the chunk, waiting is all there is.
      const times = from === 'hub' && holders.size === 0 ? 4 : 1;
      if (now - since <= times * patience) return true;
    }
    return false;
  }

  private underWay(now: number): number {
    let count = 0;
    for (const wanted of this.wanted.values()) if (this.isUnderWay(wanted, now)) count += 1;
    return count;
  }

  private rarestFirst(): Wanted[] {
    const all = [...this.wanted.values()];
    const keyed = all.map((wanted) => ({ wanted, order: wanted.holders.size + this.random.next() }));
    return keyed.toSorted((a, b) => a.order - b.order).map(({ wanted }) => wanted);
  }

  private shuffled(all: Wanted[]): Wanted[] {
    const keyed = all.map((wanted) => ({ wanted, order: this.random.next() }));
    return keyed.toSorted((a, b) => a.order - b.order).map(({ wanted }) => wanted);
  }

  private pay(digest: Digest, from: ChunkSource): void {
    const open = this.open.get(from);
    if (open?.delete(digest) === true && open.size === 0) this.open.delete(from);
  }
}
