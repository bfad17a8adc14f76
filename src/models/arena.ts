/**
 * The device memory of one program: made once when it opens, freed as a whole when it closes. What cannot fit is refused
 * before any work starts. Each tensor has a buffer of its own, as kernels that write it ask.
 */

import { DeviceError, type Device } from '../kernels/device.ts';
import type { Tensor } from '../kernels/kernel.ts';

export interface Arena {
  /** A zeroed tensor of 4-byte elements; throws `DeviceError` when the device cannot hold it. */
  tensor(label: string, elements: number): Tensor;
  free(): void;
}

const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** `what` names the program in errors, e.g. `train`. */
export function createArena(device: Device, what: string): Arena {
  const made: Tensor[] = [];
  const free = (): void => {
    for (const { buffer } of made.splice(0)) device.free(buffer);
  };
  return {
    tensor: (label, elements) => {
      const bytes = elements * 4;
      const { bindingBytesMax, bufferBytesMax, memoryBytesMax } = device.limits;
      const single = Math.min(bindingBytesMax, bufferBytesMax);
      const used = device.usage().bytes;
      if (bytes > single || used + bytes > memoryBytesMax) {
        free();
        const why =
          bytes > single
            ? `one buffer may have ${mebibytes(single)}`
            : `${mebibytes(used)} of ${mebibytes(memoryBytesMax)} are in use`;
        throw new DeviceError(`${what}: ${label} needs ${mebibytes(bytes)}, ${why}; use a smaller batch or model`);
      }
      const tensor: Tensor = { buffer: device.createBuffer(label, bytes) };
      made.push(tensor);
      return tensor;
    },
    free,
  };
}
