/**
 * How much work goes into one submit, and how long the GPU rests between two. A submit that lasts too long freezes the
 * volunteer's desktop and, near two seconds, makes the system reset the GPU; so dispatches are costed by an estimate
 * that every finished submit corrects. Pure but for the times it is told: the executor owns clock and queue.
 */

/**
 * A submit stays below this; frames of the volunteer's desktop are drawn between submits. Two are in flight at most, and
 * Pause waits for those, so that it takes effect within 150 ms.
 */
export const submitMsMax = 50;
/** Dispatches that were never timed and fill a submit: few, so that a surprise stays small. */
const unknownPerSubmit = 4;
/** Encoding and passing one dispatch on, below which no estimate may fall. */
const dispatchMsMin = 0.005;
/** Bounds the memory of one encoder however short its dispatches are. */
export const dispatchesPerSubmitMax = 4096;

/** Dispatches of one kind in one submit. Kinds are pipelines by the power of two of their workgroups. */
export type Work = Map<string, { dispatches: number; groups: number }>;

export const kindOf = (pipeline: string, groups: number): string => `${pipeline}|${Math.floor(Math.log2(groups))}`;

export interface Ticket {
  readonly work: Work;
  readonly submittedAt: number;
}

export interface Pacer {
  /** Milliseconds of estimated work that fill a submit. */
  readonly submitMsMax: number;
  /** Milliseconds that a dispatch of this kind is expected to take. */
  estimate(kind: string, groups: number): number;
  /** Share of time, above 0 and up to 1, that the GPU may be busy. */
  setDuty(fraction: number): void;
  readonly duty: number;
  /** Milliseconds to rest from now on before the next submit. */
  restMs(now: number): number;
  submitted(work: Work, now: number): Ticket;
  /** Called in the order of submission. */
  finished(ticket: Ticket, now: number): void;
  /** Milliseconds that the GPU was busy so far. */
  readonly busyMs: number;
}

export function createPacer(submitMs = submitMsMax): Pacer {
  const msPerGroup = new Map<string, number>();
  let duty = 1;
  let busyMs = 0;
  let debtMs = 0;
  let doneAt = Number.NEGATIVE_INFINITY;
  let inFlight = 0;

  /** Time since the last submit ended was rest already. */
  const restedMs = (now: number): number =>
    inFlight === 0 && doneAt > Number.NEGATIVE_INFINITY ? Math.max(0, now - doneAt) : 0;
  /** Timers fire late: what was rested too long is owed back, but a long idle time buys no long burst. */
  const owedMsMin = -submitMs;

  const learn = (work: Work, ms: number): void => {
    let knownMs = 0;
    let unknownDispatches = 0;
    for (const [kind, { dispatches, groups }] of work) {
      const known = msPerGroup.get(kind);
      if (known === undefined) unknownDispatches += dispatches;
      else knownMs += known * groups;
    }
    if (unknownDispatches > 0) {
      const each = Math.max(ms - knownMs, ms / 10) / unknownDispatches;
      for (const [kind, { dispatches, groups }] of work) {
        if (!msPerGroup.has(kind)) msPerGroup.set(kind, (each * dispatches) / groups);
      }
      return;
    }
    const ratio = ms / Math.max(knownMs, 1e-6);
    // Up at once, down by halves: an estimate that is too high costs one submit more, one too low a frozen desktop.
    const factor = ratio > 1 ? ratio : Math.sqrt(ratio);
    for (const kind of work.keys()) msPerGroup.set(kind, (msPerGroup.get(kind) ?? 0) * factor);
  };

  const unknownMs = submitMs / unknownPerSubmit;

  return {
    submitMsMax: submitMs,
    get duty() {
      return duty;
    },
    get busyMs() {
      return busyMs;
    },
    setDuty(fraction) {
      duty = Math.min(1, Math.max(0.01, fraction));
      if (duty === 1) debtMs = 0;
    },
    estimate(kind, groups) {
      const known = msPerGroup.get(kind);
      return known === undefined ? unknownMs : Math.max(dispatchMsMin, known * groups);
    },
    restMs: (now) => Math.max(0, debtMs - restedMs(now)),
    submitted(work, now) {
      debtMs = Math.max(owedMsMin, debtMs - restedMs(now));
      inFlight++;
      return { work, submittedAt: now };
    },
    finished({ work, submittedAt }, now) {
      const ms = Math.max(0, now - Math.max(submittedAt, doneAt));
      inFlight--;
      doneAt = now;
      busyMs += ms;
      debtMs += ms * (1 / duty - 1);
      if (work.size > 0) learn(work, ms);
    },
  };
}
