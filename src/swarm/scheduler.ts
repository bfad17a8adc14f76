/**
 * Who gets how many units now. A plan is a column of rules in order of priority; the first that has an opinion decides.
 * Everything here is arithmetic on a few numbers, so that a decision costs the same with ten volunteers or a thousand.
 */

import type { DeviceDescription } from '../protocol/messages.ts';
import { elementBytes, type Manifest } from '../protocol/manifest.ts';
import { leaseMsMax, leaseMsMin, unitSecondsDefault } from '../core/limits.ts';

export interface Question {
  /** How many more it can take; none where this is not above zero. */
  readonly slots: number;
  /** Leases that the volunteer holds already. */
  readonly held: number;
  /** Attempts of this job that nobody has yet. */
  readonly undealt: number;
  /** What a unit of this job takes on this volunteer, or undefined before any was seen. */
  readonly unitMs: number | undefined;
  /** How long the volunteer is busy with what it holds. */
  readonly queueMs: number;
  /** How long the whole job will still take, by `horizonMs`. */
  readonly horizonMs: number;
  /** How long the volunteer has waited for work. */
  readonly waitedMs: number;
}

/** How many units to lend: the first rule with an answer. */
export function planBatch(question: Question): number {
  for (const rule of rules) {
    const count = rule(question);
    if (count !== undefined) return count;
  }
  return 0;
}

type Rule = (question: Question) => number | undefined;

const nothingToDo: Rule = ({ slots, undealt }) => (slots <= 0 || undealt === 0 ? 0 : undefined);

/** A stranger's speed is found out with one unit. */
const probeStranger: Rule = ({ unitMs, held }) => (unitMs === undefined ? (held === 0 ? 1 : 0) : undefined);

/**
 * Near the end a unit on a slow volunteer would be what everybody waits for: it stays for a faster one. Yet nobody is
 * held back for longer than the unit would have taken, so that a wrong estimate delays a job but cannot stop it.
 */
const holdBackSlow: Rule = ({ unitMs = 0, queueMs, horizonMs, waitedMs }) => {
  const finishMs = queueMs + unitMs;
  return finishMs > horizonMs * slack + 100 && (waitedMs < unitMs || queueMs > 0) ? 0 : undefined;
};

/** Guided self-scheduling: what fits before the end of the job, at most half of one's share. */
const takeShare: Rule = ({ slots, undealt, unitMs = 1, queueMs, horizonMs }) => {
  const share = Math.floor((horizonMs - queueMs) / unitMs / 2);
  return Math.min(slots, undealt, Math.max(1, share));
};

const rules: readonly Rule[] = [nothingToDo, probeStranger, holdBackSlow, takeShare];

/** Estimates are rough; a volunteer may be expected to finish this much after the others. */
const slack = 1.05;

/** Milliseconds per unit of the connected volunteers, in classes of a quarter octave. */
export class SpeedTable {
  private readonly counts = new Int32Array(classes);

  add(unitMs: number): void {
    this.change(unitMs, 1);
  }

  remove(unitMs: number): void {
    this.change(unitMs, -1);
  }

  /**
   * How long `attempts` take when everyone works who can finish at least one unit within that time: the fastest class
   * joins first, and each slower one for as long as it would not be what the others wait for.
   */
  horizonMs(attempts: number): number {
    let perMs = 0;
    let horizon = Infinity;
    for (let index = 0; index < classes; index++) {
      const count = this.counts[index] ?? 0;
      if (count === 0) continue;
      const unitMs = 2 ** ((index + 0.5) / 4);
      if (horizon <= unitMs) break;
      perMs += count / unitMs;
      horizon = Math.max(attempts / perMs, unitMs);
    }
    return horizon;
  }

  private change(unitMs: number, by: number): void {
    const index = speedClass(unitMs);
    this.counts[index] = (this.counts[index] ?? 0) + by;
  }
}

/** 1 ms to 2^24 ms (about five hours). */
const classes = 96;

export const speedClass = (unitMs: number): number =>
  Math.min(classes - 1, Math.max(0, Math.floor(Math.log2(unitMs) * 4)));

/** How much longer than usual a unit may take before its lease ends. */
const deadlineMargin = 4;
const deadlineGraceMs = 2_000;

/** How long a lease runs: the usual time with a margin, or what the manifest trusts a unit to take. */
export function leaseMs(unitMs: number | undefined, unitSeconds: number | undefined, queueMs: number): number {
  const own = unitMs === undefined ? 2_000 * (unitSeconds ?? unitSecondsDefault) : deadlineMargin * unitMs;
  return Math.min(leaseMsMax, Math.max(leaseMsMin, own + deadlineMargin * queueMs + deadlineGraceMs));
}

/** A new mean of what a unit takes, after one took `ms`. */
export const updateMean = (mean: number | undefined, ms: number): number =>
  mean === undefined ? ms : mean + 0.3 * (ms - mean);

/** The largest binding that a unit of this job makes, in bytes; a device must offer that much. */
export function bindingBytesOf(manifest: Manifest): number {
  if (manifest.program !== 'shader') return 0;
  let largest = 0;
  for (const buffer of manifest.shader.buffers) {
    if (buffer.kind === 'unit') continue;
    if (buffer.kind === 'each') {
      const sizes = typeof buffer.sizes === 'number' ? [buffer.sizes] : buffer.sizes;
      largest = sizes.reduce((most, size) => Math.max(most, size), largest);
    } else {
      largest = Math.max(largest, 'data' in buffer ? buffer.data.bytes : buffer.count * elementBytes[buffer.type]);
    }
  }
  return largest;
}

export const fitsDevice = (bindingBytes: number, device: DeviceDescription): boolean =>
  bindingBytes <= device.bindingBytesMax && bindingBytes <= device.bufferBytesMax;
