/**
 * The suite `duty`: whether the GPU is busy for the share of time that the volunteer allows. A device in Node (Dawn) gets
 * more work than it can do, at several shares in turn. Two counts are told: the device's own, and, on a software adapter,
 * the processor's time against that of full duty, which nobody of ours counts.
 */

import { openDevice, type OpenedDevice } from '../src/adapters/gpu/device.ts';
import { systemClock } from '../src/adapters/clock/system-clock.ts';
import { viewBytes } from '../src/core/bytes.ts';
import { createRandom } from '../src/core/prng.ts';
import { matmulDispatch } from '../src/kernels/matmul.ts';
import { normals } from '../src/kernels/test-case.ts';
import { closeNodeGpu, openNodeGpu } from '../src/node/open-gpu.ts';

export interface DutyReport {
  readonly deviceClass: string;
  readonly shares: readonly DutyShare[];
}

/** All are shares of time, 0 to 1. */
export interface DutyShare {
  readonly asked: number;
  /** By the device's own count. */
  readonly busy: number;
  /** The processor's time against that of full duty; undefined where a GPU of its own computes. */
  readonly processor?: number;
}

/** Full duty first: the others are measured against it. */
const asked = [1, 0.1, 0.3, 0.5, 0.9] as const;
const secondsEach = 5;
/** Sides of the matrices: a dispatch takes a few milliseconds on a software adapter, and a submit holds many. */
const size = 128;
/** Dispatches that are handed to the device at once: some tenths of a second on a software adapter. */
const batch = 32;
const seed = 1;

export async function measureDuty(say: (line: string) => void): Promise<DutyReport> {
  const gpu = await openNodeGpu();
  try {
    const opened = await openDevice(gpu, { engine: 'dawn', clock: systemClock });
    try {
      const compute = await endlessWork(opened);
      // The first submits are small until the device knows what a dispatch takes.
      await measureShare(opened, compute, 1, 1);
      const shares: DutyShare[] = [];
      let fullRate: number | undefined;
      for (const share of asked) {
        const { processorRate, ...one } = await measureShare(opened, compute, share, secondsEach);
        fullRate ??= processorRate;
        shares.push({ ...one, ...(opened.description.fallback && { processor: processorRate / fullRate }) });
        say(`duty ${share}: busy ${one.busy.toFixed(3)}`);
      }
      return { deviceClass: opened.description.deviceClass, shares };
    } finally {
      opened.close();
    }
  } finally {
    closeNodeGpu(gpu);
  }
}

async function endlessWork({ device }: OpenedDevice): Promise<() => Promise<void>> {
  const random = createRandom(seed);
  const tensor = (label: string) => {
    const buffer = device.createBuffer(label, size * size * 4);
    device.write(buffer, viewBytes(normals(random, size * size)));
    return { buffer };
  };
  const sizes = { rows: size, columns: size, inner: size };
  const dispatch = matmulDispatch({
    form: 'NN',
    left: tensor('left'),
    right: tensor('right'),
    output: tensor('output'),
    ...sizes,
  });
  await device.prepare([dispatch.pipeline]);
  const dispatches = Array.from({ length: batch }, () => dispatch);
  return async () => {
    await device.run(dispatches);
    await device.flush();
  };
}

async function measureShare(
  opened: OpenedDevice,
  compute: () => Promise<void>,
  share: number,
  seconds: number,
): Promise<DutyShare & { processorRate: number }> {
  opened.setDuty(share);
  // Ends in the middle of a rhythm of work and rest, not before its first rest.
  await compute();
  const before = { at: systemClock.now(), busyMs: opened.busyMs(), processor: process.cpuUsage() };
  while (systemClock.now() - before.at < seconds * 1000) await compute();
  const ms = systemClock.now() - before.at;
  const { user, system } = process.cpuUsage(before.processor);
  return { asked: share, busy: (opened.busyMs() - before.busyMs) / ms, processorRate: (user + system) / 1000 / ms };
}

export const dutyLines = ({ deviceClass, shares }: DutyReport): string[] => [
  `duty on ${deviceClass}: share asked, share busy by the device's count, processor time against full duty`,
  ...shares.map(({ asked: share, busy, processor }) =>
    [share.toFixed(2), busy.toFixed(3), processor?.toFixed(3) ?? 'not a software adapter'].join('  '),
  ),
];
