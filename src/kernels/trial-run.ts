/**
 * A case placed on a device to be run again and again, for whoever measures: the tuner, the check of the tuner, the
 * fractions of the device page. Right or wrong is the self-test's matter. Time is the device's own count of how long
 * the GPU was busy, which leaves out what the volunteer's duty cycle makes it rest.
 */

import { viewBytes } from '../core/bytes.ts';
import { present } from '../core/assert.ts';
import type { Device, DeviceBuffer, Dispatch } from './device.ts';
import type { KernelCase } from './test-case.ts';

/** A device and the milliseconds that its GPU was busy so far. */
export interface TimedDevice {
  readonly device: Device;
  readonly busyMs: () => number;
  /** By how many milliseconds a time may be too long, as the browser sees late that work is done. Default 0. */
  readonly grainMs?: number;
}

export interface Trial {
  /** Milliseconds of GPU time of `times` runs in one go. */
  run(times: number): Promise<number>;
  readonly dispatches: readonly Dispatch[];
  close(): void;
}

export async function openTrial(timed: TimedDevice, kernelCase: KernelCase): Promise<Trial> {
  const { device } = timed;
  const buffers = new Map<string, DeviceBuffer>();
  const close = (): void => {
    for (const buffer of buffers.values()) device.free(buffer);
    buffers.clear();
  };
  try {
    for (const [name, values] of Object.entries(kernelCase.tensors)) {
      const buffer = device.createBuffer(`trial ${name}`, Math.max(4, values.byteLength));
      buffers.set(name, buffer);
      device.write(buffer, viewBytes(values));
    }
    const dispatches = kernelCase.dispatches((name) => ({
      buffer: present(buffers.get(name), `the case names a tensor '${name}' that it does not have`),
    }));
    await device.prepare(dispatches.map(({ pipeline }) => pipeline));
    const runAll = async (times: number): Promise<void> => {
      for (let time = 0; time < times; time++) await device.run(dispatches);
    };
    return { dispatches, close, run: (times) => busyMsOf(timed, () => runAll(times)) };
  } catch (error) {
    close();
    throw error;
  }
}

const timesMax = 64;

/** Milliseconds of one run, of as many in one go as last so long. */
export async function sampleOf(trial: Trial, msMin: number): Promise<number> {
  for (let times = 1; ; times *= 2) {
    const ms = await trial.run(times);
    if (ms >= msMin || times >= timesMax) return ms / times;
  }
}

/** Milliseconds of GPU time that the work takes; nothing else may be under way. */
export async function busyMsOf({ device, busyMs }: TimedDevice, work: () => Promise<void>): Promise<number> {
  await device.flush();
  const before = busyMs();
  await work();
  await device.flush();
  return busyMs() - before;
}

/** The middle of the values; of an even number the upper middle. */
export const medianOf = (values: readonly number[]): number =>
  present(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)], 'the median of nothing');
