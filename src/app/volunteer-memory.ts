/**
 * What the volunteer's page remembers between two views: which jobs this tab worked on since Start, when it sent results,
 * and the unit that just ended. Units may last a few milliseconds; without this memory the page would flicker.
 */

import type { CurrentUnit, VolunteerView } from '../assembly/volunteer-view.ts';

export interface WorkedJob {
  readonly job: string;
  readonly name: string;
  readonly program: string;
  readonly submitter: string;
  /** Units begun, those included that were given back. */
  readonly units: number;
}

export interface VolunteerMemory {
  /** To be called with every new view. `now` in milliseconds, from any zero. */
  remember(view: VolunteerView, now: number): void;
  /** The running unit, or for a moment the one that ended last, with nothing done; undefined where none is near. */
  current(view: VolunteerView, now: number): CurrentUnit | undefined;
  /** The jobs that were worked on last, the newest first. */
  worked(): readonly WorkedJob[];
  /** Results sent in each of the last `barCount` intervals of `barMs`, the newest last. */
  bars(now: number): readonly number[];
}

/** Five minutes in bars of ten seconds. */
export const barMs = 10_000;
export const barCount = 30;

const lingerMs = 1_500;
const workedMax = 5;

export function createVolunteerMemory(): VolunteerMemory {
  const worked = new Map<string, WorkedJob>();
  /** Results by the number of their interval. */
  const sentIn = new Map<number, number>();
  let sent = 0;
  let last: { readonly unit: CurrentUnit; readonly at: number } | undefined;

  const forget = (): void => {
    worked.clear();
    sentIn.clear();
    sent = 0;
    last = undefined;
  };

  const rememberUnit = (unit: CurrentUnit, now: number): void => {
    const isNew = last === undefined || last.unit.job !== unit.job || last.unit.unit !== unit.unit;
    last = { unit, at: now };
    if (!isNew) return;
    const known = worked.get(unit.job);
    worked.delete(unit.job);
    worked.set(unit.job, {
      job: unit.job,
      name: unit.jobName,
      program: unit.program,
      submitter: unit.submitter,
      units: (known?.units ?? 0) + 1,
    });
    const oldest = worked.keys().next().value;
    if (worked.size > workedMax && oldest !== undefined) worked.delete(oldest);
  };

  const rememberSent = (count: number, now: number): void => {
    const bar = Math.floor(now / barMs);
    if (count > sent) sentIn.set(bar, (sentIn.get(bar) ?? 0) + count - sent);
    sent = count;
    for (const old of sentIn.keys()) if (old <= bar - barCount) sentIn.delete(old);
  };

  return {
    remember: (view, now) => {
      if (view.phase === 'starting') return forget();
      if (view.current !== undefined) rememberUnit(view.current, now);
      rememberSent(view.sent, now);
    },
    current: (view, now) => {
      if (view.phase !== 'running' || view.current !== undefined) return view.current;
      return last !== undefined && now - last.at < lingerMs ? { ...last.unit, done: 0 } : undefined;
    },
    worked: () => [...worked.values()].toReversed(),
    bars: (now) => {
      const newest = Math.floor(now / barMs);
      return Array.from({ length: barCount }, (_, index) => sentIn.get(newest - barCount + 1 + index) ?? 0);
    },
  };
}
