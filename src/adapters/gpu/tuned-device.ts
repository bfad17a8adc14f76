/**
 * A device that knows its fastest variants: `openDevice` with a tuner behind `Device.choices`, and with the numeric class
 * in its description. Compute workers and native volunteers open theirs here.
 */

import { glimpseCopyBytes } from '../../kernels/ceilings.ts';
import { families as allFamilies } from '../../kernels/families.ts';
import { inspectDevice, type Inspection, type InspectionProgress } from '../../kernels/inspection.ts';
import { numericClassOf } from '../../kernels/numeric-class.ts';
import type { Family } from '../../kernels/variants.ts';
import type { WinnerStore } from '../../kernels/winners.ts';
import { adapterKeyOf, browserOf } from './adapter-key.ts';
import { openDevice, type OpenedDevice, type OpenOptions } from './device.ts';
import { createTuner, type Tuner } from './tuner.ts';

export interface TunedDevice extends OpenedDevice {
  readonly tuner: Tuner;
  /** As `Tuner.tuneNext`. */
  tuneNext(gpuMsMax: number): Promise<boolean>;
  /** Tests every kernel, measures ceilings and tunes what the device page shows; nothing else may run meanwhile. */
  inspect(progress: (step: InspectionProgress) => void): Promise<Inspection>;
}

export interface TunedOptions extends OpenOptions {
  readonly store: WinnerStore;
  readonly families?: readonly Family[];
  /** One line for each variant that is wrong here. */
  readonly report?: (line: string) => void;
}

/** Throws `DeviceError` with one line where no device can be had. */
export async function openTunedDevice(gpu: GPU | undefined, options: TunedOptions): Promise<TunedDevice> {
  const { store, families = allFamilies, report = () => undefined } = options;
  const opened = await openDevice(gpu, options);
  const timed = { device: opened.device, busyMs: opened.busyMs, grainMs: opened.grainMs };
  const browser = options.engine ?? browserOf(globalThis.navigator?.userAgent ?? '');
  const adapterKey = adapterKeyOf(opened.adapter, browser);
  const tuner = await createTuner({ ...timed, families, store, adapterKey, report });
  const numericClass = await numericClassOf(opened.device).catch((error: unknown) => {
    report(`numeric class: not found: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  });
  const copyBytesPerSecond = await glimpseCopyBytes(timed).catch(() => undefined);
  return {
    ...opened,
    device: { ...opened.device, choices: tuner },
    description: {
      ...opened.description,
      ...(numericClass === undefined ? {} : { numericClass }),
      ...(copyBytesPerSecond === undefined ? {} : { copyBytesPerSecond }),
    },
    tuner,
    tuneNext: tuner.tuneNext,
    inspect: (progress) => inspectDevice(timed, { adapter: opened.adapter, families, tuner, progress }),
  };
}
