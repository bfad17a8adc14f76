/**
 * Sends batches to the queue: at most two at once, rested between as the duty cycle asks, each timed for the pacer. Keeps
 * the errors of everything sent until somebody waits for the work.
 */

import type { Clock } from '../../core/clock.ts';
import { DeviceError } from '../../kernels/device.ts';
import type { Batch } from './batch.ts';
import type { DeviceLife } from './device-life.ts';
import { textOf, type ReportError } from './errors.ts';
import type { Pacer } from './pacer.ts';

/** Submits in flight: one that runs and one that waits, so that the GPU never idles for the CPU and abort acts soon. */
const inFlightMax = 2;
/** Browsers clamp timers to 4 ms; shorter rests are saved up. */
const restMsMin = 4;

/** Errors of work that was handed to the GPU, which tells them later than it takes the work. */
export interface ErrorKeeper {
  readonly report: ReportError;
  /** Waits for what was reported so far and throws the first error. */
  throwFirst(): Promise<void>;
}

export function createErrorKeeper(life: DeviceLife): ErrorKeeper {
  let reported: Promise<DeviceError | undefined>[] = [];
  return {
    // A scope that cannot be popped belongs to a lost device, which is told elsewhere.
    report: (error) => void reported.push(error.catch(() => undefined)),
    async throwFirst() {
      const pending = reported;
      reported = [];
      const first = (await life.during(Promise.all(pending))).find((error) => error !== undefined);
      if (first !== undefined) throw first;
    },
  };
}

export const reportText = (report: ReportError, error: unknown): void =>
  report(Promise.resolve(new DeviceError(textOf(error))));

export interface Submitter {
  /** Submits the batch without waiting, for calls that may not wait. */
  submitNow(): void;
  /** Submits the batch when there is room and rest is over. */
  submit(): Promise<void>;
  /** Waits until everything submitted is done. */
  done(): Promise<void>;
}

/** `workDone` resolves once everything submitted so far is done, and rejects once the device is gone. */
export function createSubmitter(
  workDone: () => Promise<unknown>,
  batch: Pick<Batch, 'isEmpty' | 'submit'>,
  pacer: Pacer,
  life: Pick<DeviceLife, 'during' | 'assertAlive'>,
  clock: Clock,
): Submitter {
  const inFlight: Promise<void>[] = [];
  const submitNow = (): void => {
    if (batch.isEmpty()) return;
    // Before the call: software adapters may compute a good part of the work before it returns.
    const startedAt = clock.now();
    const ticket = pacer.submitted(batch.submit(), startedAt);
    const finished = workDone().then(
      () => pacer.finished(ticket, clock.now()),
      // A lost device is told to whoever calls next; here only the order matters.
      () => undefined,
    );
    const settled: Promise<void> = finished.then(() => void inFlight.splice(inFlight.indexOf(settled), 1));
    inFlight.push(settled);
  };
  return {
    submitNow,
    async submit() {
      if (batch.isEmpty()) return;
      const atOnceMax = pacer.duty < 1 ? 1 : inFlightMax;
      while (inFlight.length >= atOnceMax) await inFlight[0];
      const restMs = pacer.duty < 1 ? pacer.restMs(clock.now()) : 0;
      if (restMs >= restMsMin) await life.during(new Promise<void>((resolve) => void clock.after(restMs, resolve)));
      life.assertAlive();
      submitNow();
    },
    async done() {
      await Promise.all(inFlight);
      life.assertAlive();
    },
  };
}
