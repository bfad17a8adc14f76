/**
 * Who holds which chunk, and who may take which from the hub: the hub's part of weights between peers. The hub is the
 * origin, and its bytes are the dear ones: of chunks that nobody holds it grants each to one volunteer, different ones to different
 * volunteers, and sends the others to whoever has it by then. Pure, in memory, bounded; nothing here is durable, and nothing is
 * believed: whoever fetches a chunk checks it, and shuns a holder that has none or a wrong one.
 */

import type { Digest, PeerId } from '../core/ids.ts';
import type { Random } from '../core/prng.ts';
import type { MessageOf } from '../protocol/messages.ts';

/** Chunks that one volunteer may announce: 4 GiB, twice a tab's cache. */
const heldPerPeerMax = 4096;
/** Announcements that are remembered in all; one takes about 200 bytes. */
const heldMax = 250_000;
/** Holders of one chunk that a seeker is told: enough to choose from, few enough for a message. */
const holdersToldMax = 3;
/** Pairs of holder and chunk in one message, which is 66 bytes each of a header. */
const pairsToldMax = 600;
/** What one volunteer may have under way from the hub when it seeks alone: enough to fill a link. */
const grantsMax = 8;
/** Where many seek, each still has one chunk arriving and one behind it. */
const grantsMin = 2;
/** A grant that was not used by then is somebody else's. */
const grantMs = 8_000;
/** A chunk that was sent should have been announced by then. */
const announceMs = 20_000;
/** A seeker whose holders have not given it a chunk for so long takes it from the hub, where that has little to do. */
const patienceMs = 10_000;
const idleOriginSends = 2;
/** Volunteers that asked within this time count as seeking. */
const seekingMs = 2_000;
/** Who has just begun to seek gets the least, so that those who begin with it have some left to take. */
const newcomerMs = 100;
/** Seekers that hear at once of a new holder; each becomes one itself, so the others hear from the next. */
const toldAtOnce = 2;

export type GivenStage = 'asked' | 'sent';
/** Seekers of one chunk that are remembered. */
const waitingMax = 64;

type Grant = { stage: 'granted' | GivenStage; at: number };

/** To be sent to this peer. */
export interface ToldSources {
  readonly to: PeerId;
  readonly message: MessageOf<'chunk-sources'>;
}

export class Holders {
  private readonly needs: (digest: Digest) => boolean;
  private readonly random: Random;
  private readonly holders = new Map<Digest, Set<PeerId>>();
  private readonly heldBy = new Map<PeerId, Set<Digest>>();
  private held = 0;
  private readonly grants = new Map<Digest, Map<PeerId, Grant>>();
  private readonly seekers = new Map<PeerId, { readonly since: number; at: number }>();
  /** Who waits for a chunk, and since when somebody could have given it. */
  private readonly waiting = new Map<Digest, Map<PeerId, { since: number | undefined }>>();

  constructor(needs: (digest: Digest) => boolean, random: Random) {
    this.needs = needs;
    this.random = random;
  }

  /** What this volunteer holds and what no longer; who waits for it hears of it. */
  announce(peer: PeerId, { digests, gone }: Pick<MessageOf<'chunks-held'>, 'digests' | 'gone'>): ToldSources[] {
    for (const digest of gone) this.drop(peer, digest);
    const told: ToldSources[] = [];
    for (const digest of digests) {
      this.settle(peer, digest);
      if (!this.add(peer, digest)) continue;
      for (const to of [...(this.waiting.get(digest)?.keys() ?? [])].slice(0, toldAtOnce)) {
        this.stopWaiting(to, digest);
        told.push({ to, message: { type: 'chunk-sources', sources: [{ peer, digests: [digest] }], origin: [] } });
      }
    }
    return told;
  }

  /** Who holds these, and which of them this volunteer shall take from the hub; of the rest it asks again. */
  seek(peer: PeerId, { digests, shun }: Pick<MessageOf<'chunks-sought'>, 'digests' | 'shun'>, now: number) {
    const since = this.seekers.get(peer)?.since ?? now;
    this.seekers.set(peer, { since, at: now });
    const shunned = new Set(shun);
    const origin: Digest[] = [];
    const byHolder = new Map<PeerId, Digest[]>();
    const underWay = this.sweep(now);
    const idle = underWay.size === 0 || [...underWay.values()].reduce((sum, count) => sum + count, 0) < idleOriginSends;
    let room = this.window(now - since) - (underWay.get(peer) ?? 0);
    let pairs = 0;
    for (const digest of digests) {
      const holders = [...(this.holders.get(digest) ?? [])].filter((holder) => holder !== peer && !shunned.has(holder));
      const told = this.some(holders);
      if (pairs + told.length > pairsToldMax) break;
      pairs += told.length;
      for (const holder of told) byHolder.set(holder, [...(byHolder.get(holder) ?? []), digest]);
      if (this.shallTake(peer, digest, holders.length > 0, shunned, room > 0, idle, now)) {
        if (this.needs(digest)) this.grant(peer, digest, now);
        origin.push(digest);
        room -= 1;
      } else {
        this.wait(peer, digest, holders.length > 0, now);
      }
    }
    const sources = [...byHolder].map(([holder, held]) => ({ peer: holder, digests: held }));
    return { type: 'chunk-sources', sources, origin } satisfies MessageOf<'chunk-sources'>;
  }

  /** The hub was asked for a chunk, or its link has taken it. */
  given(peer: PeerId, digest: Digest, stage: GivenStage, now: number): void {
    const grant = this.grants.get(digest)?.get(peer);
    if (grant === undefined) return;
    grant.stage = stage;
    grant.at = now;
  }

  lost(peer: PeerId): void {
    for (const digest of this.heldBy.get(peer) ?? []) this.drop(peer, digest);
    for (const digest of this.grants.keys()) this.settle(peer, digest);
    for (const digest of this.waiting.keys()) this.stopWaiting(peer, digest);
    this.seekers.delete(peer);
  }

  /** Chunks that nobody needs any more. */
  forget(digest: Digest): void {
    for (const peer of this.holders.get(digest) ?? []) this.drop(peer, digest);
    this.grants.delete(digest);
    this.waiting.delete(digest);
  }

  /** For a dashboard: chunks that somebody holds, and announcements. */
  view(): { readonly chunks: number; readonly held: number } {
    return { chunks: this.holders.size, held: this.held };
  }

  private shallTake(
    peer: PeerId,
    digest: Digest,
    isHeld: boolean,
    shunned: ReadonlySet<PeerId>,
    hasRoom: boolean,
    originIsIdle: boolean,
    now: number,
  ): boolean {
    if (!this.needs(digest)) return true;
    const own = this.grants.get(digest)?.get(peer);
    // Asked again though it is under way: it stays under way.
    if (own !== undefined && own.stage !== 'granted' && this.isLive(own, now)) return false;
    if (!hasRoom) return false;
    if (isHeld) {
      const since = this.waiting.get(digest)?.get(peer)?.since;
      return since !== undefined && originIsIdle && now - since >= patienceMs;
    }
    for (const [other, grant] of this.grants.get(digest) ?? []) {
      if (other !== peer && !shunned.has(other) && this.isLive(grant, now)) return false;
    }
    return true;
  }

  private isLive({ stage, at }: Grant, now: number): boolean {
    if (stage === 'asked') return true;
    return now - at < (stage === 'granted' ? grantMs : announceMs);
  }

  private grant(peer: PeerId, digest: Digest, now: number): void {
    const grants = this.grants.get(digest) ?? new Map<PeerId, Grant>();
    this.grants.set(digest, grants.set(peer, { stage: 'granted', at: now }));
    this.stopWaiting(peer, digest);
  }

  /** Forgets who sought and what ran out; how many grants each has under way. */
  private sweep(now: number): Map<PeerId, number> {
    for (const [peer, { at }] of this.seekers) if (now - at > seekingMs) this.seekers.delete(peer);
    const underWay = new Map<PeerId, number>();
    for (const [digest, grants] of this.grants) {
      for (const [peer, grant] of grants) {
        if (!this.isLive(grant, now)) this.settle(peer, digest);
        else if (grant.stage !== 'sent') underWay.set(peer, (underWay.get(peer) ?? 0) + 1);
      }
    }
    return underWay;
  }

  private window(seekingFor: number): number {
    if (seekingFor < newcomerMs) return grantsMin;
    return Math.max(grantsMin, Math.ceil(grantsMax / Math.max(1, this.seekers.size)));
  }

  private wait(peer: PeerId, digest: Digest, isHeld: boolean, now: number): void {
    if (this.waiting.size >= heldMax / 10) return;
    const waiting = this.waiting.get(digest) ?? new Map<PeerId, { since: number | undefined }>();
    if (waiting.size >= waitingMax && !waiting.has(peer)) return;
    const known = waiting.get(peer) ?? { since: undefined };
    known.since = isHeld ? (known.since ?? now) : undefined;
    this.waiting.set(digest, waiting.set(peer, known));
  }

  private stopWaiting(peer: PeerId, digest: Digest): void {
    const waiting = this.waiting.get(digest);
    if (waiting?.delete(peer) === true && waiting.size === 0) this.waiting.delete(digest);
  }

  private settle(peer: PeerId, digest: Digest): void {
    const grants = this.grants.get(digest);
    if (grants?.delete(peer) === true && grants.size === 0) this.grants.delete(digest);
  }

  private add(peer: PeerId, digest: Digest): boolean {
    if (!this.needs(digest) || this.held >= heldMax) return false;
    const own = this.heldBy.get(peer) ?? new Set<Digest>();
    if (own.size >= heldPerPeerMax || own.has(digest)) return own.has(digest);
    this.heldBy.set(peer, own.add(digest));
    this.holders.set(digest, (this.holders.get(digest) ?? new Set<PeerId>()).add(peer));
    this.held += 1;
    this.stopWaiting(peer, digest);
    return true;
  }

  private drop(peer: PeerId, digest: Digest): void {
    const own = this.heldBy.get(peer);
    if (own?.delete(digest) !== true) return;
    this.held -= 1;
    if (own.size === 0) this.heldBy.delete(peer);
    const holders = this.holders.get(digest);
    holders?.delete(peer);
    if (holders?.size === 0) this.holders.delete(digest);
  }

  /** A few of them, any: so the load spreads. */
  private some(holders: PeerId[]): PeerId[] {
    for (let index = 0; index < Math.min(holdersToldMax, holders.length); index++) {
      const other = index + this.random.below(holders.length - index);
      [holders[index], holders[other]] = [holders[other] as PeerId, holders[index] as PeerId];
    }
    return holders.slice(0, holdersToldMax);
  }
}
