/**
 * Whose results may be compared bit for bit? Floats differ in their last bits between adapters and browsers, so where a
 * job counts equal bits only, all results of one unit come from volunteers of one numeric class: the class of the unit's
 * first attempt that stands. A unit is begun only by a class that has enough volunteers to finish it, where there is one,
 * and that is no small minority: a volunteer says its class itself, and liars who invent one would only meet each other.
 * `units.ts` asks here whom it may lend what.
 */

import type { Manifest } from '../protocol/manifest.ts';
import { isTellingBlock, type Unit } from './attempts.ts';
import type { Member } from './pool.ts';

/** Several results are wanted and, as numbers of theirs are floats, nothing but their bits says whether they agree. */
export function comparesBits({ program, verify, ...rest }: Manifest): boolean {
  if (verify.replicas === 1 || program === 'train') return false;
  if (program === 'generate') return true;
  const outputs = 'shader' in rest ? rest.shader.buffers.filter(({ kind }) => kind === 'output') : [];
  const hasFloats = outputs.some((buffer) => 'type' in buffer && (buffer.type === 'f32' || buffer.type === 'f16'));
  return hasFloats && verify.absolute === 0 && verify.relative === 0;
}

/** Volunteers that do not tell theirs are a class of their own. */
export const numericClassOf = ({ device }: Member): string => device?.numericClass ?? 'untold';

/** How long a unit waits for a volunteer of its class before another class begins it anew. */
export const classPatienceMs = 30_000;
/** Volunteers come and go; who is there is counted at most so often. */
const countMs = 1_000;

export class NumericClasses {
  private readonly replicas: number;
  private readonly members: () => Iterable<Member>;
  private readonly canServe: (member: Member) => boolean;
  private countedAt = Number.NEGATIVE_INFINITY;
  /** How many different volunteers each class has: by account, and of one address block only one. */
  private counts = new Map<string, number>();
  private largest = 0;
  private readonly stuckSince = new Map<number, number>();

  constructor(replicas: number, members: () => Iterable<Member>, canServe: (member: Member) => boolean) {
    this.replicas = replicas;
    this.members = members;
    this.canServe = canServe;
  }

  /** Whether this volunteer's result cannot stand beside what the unit has, apart from attempt `own`. */
  isForeign(unit: Unit, member: Member, own: number): boolean {
    const other = classOfUnit(unit, own);
    return other !== undefined && other !== numericClassOf(member);
  }

  /** Whether an attempt stands, so that the unit has a class. */
  isBegun(unit: Unit | null | undefined): boolean {
    return unit !== null && unit !== undefined && classOfUnit(unit, 0) !== undefined;
  }

  /** Whether a unit without results may begin on this volunteer. */
  mayBegin(member: Member, now: number): boolean {
    const own = numericClassOf(member);
    if (now - this.countedAt >= countMs || !this.counts.has(own)) this.count(now);
    return this.largest < this.replicas || (this.counts.get(own) ?? 0) >= Math.max(this.replicas, this.largest / 2);
  }

  /** Units of these whose class went away for so long that another, which is there, shall begin them anew. */
  hopeless(units: readonly (readonly [index: number, unit: Unit])[], now: number): number[] {
    this.count(now);
    const found: number[] = [];
    const stuck = new Set<number>();
    for (const [index, unit] of units) {
      const own = classOfUnit(unit, 0);
      if (own === undefined || (this.counts.get(own) ?? 0) >= this.replicas || this.largest < this.replicas) continue;
      stuck.add(index);
      const since = this.stuckSince.get(index) ?? now;
      this.stuckSince.set(index, since);
      if (now - since >= classPatienceMs) found.push(index);
    }
    for (const index of this.stuckSince.keys()) if (!stuck.has(index)) this.stuckSince.delete(index);
    return found;
  }

  /** Why no unit can be finished now, though volunteers are there; else undefined. */
  obstacle(): string | undefined {
    if (this.largest === 0 || this.largest >= this.replicas) return undefined;
    const volunteers = this.largest === 1 ? '1 volunteer' : `${this.largest} volunteers`;
    return (
      `waits for volunteers: results are compared bit for bit, so each unit needs ${this.replicas} of one numeric class, ` +
      `and the largest class here has ${volunteers} (${this.counts.size} classes in all)`
    );
  }

  private count(now: number): void {
    this.countedAt = now;
    const accounts = new Map<string, Set<string>>();
    const places = new Map<string, Set<string>>();
    for (const member of this.members()) {
      if (member.role !== 'volunteer' || !this.canServe(member)) continue;
      const own = numericClassOf(member);
      // Blocks that say nothing count as so many places, as `isSharedBlock` has it.
      const place = isTellingBlock(member.block) ? member.block : member.peer;
      accounts.set(own, (accounts.get(own) ?? new Set()).add(member.account));
      places.set(own, (places.get(own) ?? new Set()).add(place));
    }
    this.counts = new Map([...accounts].map(([own, all]) => [own, Math.min(all.size, places.get(own)?.size ?? 0)]));
    this.largest = Math.max(0, ...this.counts.values());
  }
}

/** The class of the first attempt that stands; undefined where none does. */
function classOfUnit(unit: Unit, own: number): string | undefined {
  for (const [index, attempt] of unit.attempts.entries()) {
    if (index + 1 !== own && (attempt.state === 'open' || attempt.state === 'done')) return attempt.numericClass;
  }
  return undefined;
}
