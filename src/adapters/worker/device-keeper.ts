/**
 * Keeps the compute worker's device: opens it when work comes, replaces it when it was lost, and after two losses in a row,
 * with no unit finished between them, asks half as much of the next one. What was open on a lost device is the service's to
 * forget.
 */

import { DeviceError } from '../../kernels/device.ts';
import type { DeviceDescription } from '../../protocol/messages.ts';

/** What the keeper needs of a device. */
export interface KeptDevice {
  readonly description: DeviceDescription;
  setDuty(fraction: number): void;
  readonly lost: Promise<string>;
  isLost(): boolean;
}

export interface DeviceKeeper<Device extends KeptDevice> {
  /** The device, opened now if there is none. */
  ready(): Promise<Device>;
  current(): Device | undefined;
  /** How many devices were opened so far: more than one where some were lost. */
  openings(): number;
  setDuty(fraction: number): void;
  /** A unit was finished: losses from now on are the first ones again. */
  finished(): void;
  /**
   * Whether the unit that this error ended shall run again: its device was lost, for the first time in a row. Throws what
   * the unit fails with when it was the second.
   */
  mayRunAgain(device: Device, error: unknown): boolean;
}

export interface KeeperParts<Device extends KeptDevice> {
  /** Opens a device that uses this share of its limits. */
  readonly open: (workScale: number) => Promise<Device>;
  /** The device is gone, and what was on it. */
  readonly forget: () => void;
  /** The device that was opened has become a smaller one. */
  readonly changed: (description: DeviceDescription) => void;
  readonly warn: (line: string) => void;
}

const lossesInARowMax = 2;
/** Less than this would be of no use to any job. */
const workScaleMin = 1 / 16;

export function createDeviceKeeper<Device extends KeptDevice>(
  { open, forget, changed, warn }: KeeperParts<Device>,
  startDuty: number,
): DeviceKeeper<Device> {
  let opened: Device | undefined;
  let duty = startDuty;
  let workScale = 1;
  let toldScale = 1;
  let lossesInARow = 0;
  let openings = 0;

  const drop = (device: Device): void => {
    if (opened !== device) return;
    opened = undefined;
    lossesInARow++;
    forget();
    if (lossesInARow % lossesInARowMax === 0 && workScale > workScaleMin) {
      workScale /= 2;
      warn(`the GPU device was lost twice in a row; this tab lends ${workScale * 100} % of its limits from now on`);
    }
  };

  return {
    async ready() {
      if (opened !== undefined && opened.isLost()) drop(opened);
      if (opened !== undefined) return opened;
      const device = await open(workScale);
      device.setDuty(duty);
      opened = device;
      openings++;
      void device.lost.then(() => drop(device));
      if (workScale !== toldScale) {
        toldScale = workScale;
        changed(device.description);
      }
      return device;
    },
    current: () => opened,
    openings: () => openings,
    setDuty(fraction) {
      duty = fraction;
      opened?.setDuty(fraction);
    },
    finished() {
      lossesInARow = 0;
    },
    mayRunAgain(device, error) {
      if (!device.isLost()) return false;
      drop(device);
      if (lossesInARow < lossesInARowMax) return true;
      const reason = error instanceof Error ? error.message : String(error);
      throw new DeviceError(`the GPU device was lost ${lossesInARow} times in a row by this unit: ${reason}`);
    },
  };
}
