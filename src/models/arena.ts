/**
 * The device memory of one program: made once when it opens, freed as a whole when it closes. What cannot fit is refused
 * before any work starts: a program's layout runs once on paper, which counts its bytes, and then on the device. Each
 * tensor has a buffer of its own, as kernels that write it ask.
 */

import { MemoryError, type Device, type DeviceBuffer } from '../kernels/device.ts';
import type { Tensor } from '../kernels/kernel.ts';

export interface Arena {
  /** A zeroed tensor of 4-byte elements. */
  tensor(label: string, elements: number): Tensor;
}

export interface OwnedArena extends Arena {
  free(): void;
}

export interface MemoryNeed {
  /** Of all tensors together. */
  readonly bytes: number;
  readonly largest: { readonly label: string; readonly bytes: number };
}

/** What a layout will ask for, without a device. */
export function measureArena(layOut: (arena: Arena) => unknown): MemoryNeed {
  let total = 0;
  let largest = { label: 'nothing', bytes: 0 };
  layOut({
    tensor: (label, elements) => {
      const bytes = elements * 4;
      total += bytes;
      if (bytes > largest.bytes) largest = { label, bytes };
      return { buffer: { label, bytes } };
    },
  });
  return { bytes: total, largest };
}

const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** Throws `MemoryError` with one line where a layout with this need cannot be held; `what` names the program. */
export function assertFits(device: Device, what: string, { bytes, largest }: MemoryNeed): void {
  const { bindingBytesMax, bufferBytesMax, memoryBytesMax } = device.limits;
  const single = Math.min(bindingBytesMax, bufferBytesMax);
  const remedy = 'use a smaller batch or model, or lend more memory';
  if (largest.bytes > single) {
    throw new MemoryError(
      `${what}: ${largest.label} needs ${mebibytes(largest.bytes)}, one buffer may have ${mebibytes(single)} here; ${remedy}`,
    );
  }
  const free = Math.max(0, memoryBytesMax - device.usage().bytes);
  if (bytes > free) {
    throw new MemoryError(`${what}: needs ${mebibytes(bytes)}, ${mebibytes(free)} are free here; ${remedy}`);
  }
}

/**
 * An arena on the device for what `layOut` will ask of it; throws `MemoryError` where that cannot fit, before anything is
 * allocated. `what` names the program in errors, e.g. `train`.
 */
export function createArena(device: Device, what: string, layOut: (arena: Arena) => unknown): OwnedArena {
  assertFits(device, what, measureArena(layOut));
  const made: DeviceBuffer[] = [];
  const free = (): void => {
    for (const buffer of made.splice(0)) device.free(buffer);
  };
  return {
    tensor: (label, elements) => {
      try {
        const buffer = device.createBuffer(label, elements * 4);
        made.push(buffer);
        return { buffer };
      } catch (error) {
        free();
        throw error;
      }
    },
    free,
  };
}
