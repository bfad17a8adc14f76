/**
 * Runs an exact program, on a device or on the CPU, and gives the SHA-256 of its results' little-endian bytes. The digests of
 * the two standard programs are constants: whoever gets another has an adapter, a driver or a browser that computes wrongly.
 */

import { present } from '../core/assert.ts';
import { concat, viewBytes } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { Digest } from '../core/ids.ts';
import type { Device, DeviceBuffer } from '../kernels/device.ts';
import { exactForwardProgram, exactTrainingProgram, type ExactProgram } from './exact-network.ts';

export interface ExactDigests {
  readonly forward: Digest;
  readonly training: Digest;
}

const seed = 1;

/** What every adapter must give. */
export const exactDigestsExpected = {
  forward: '50ba49530d5466e200a4ea39dbbc5b7807659a949251a2c2382d9421866676e8',
  training: '87ecebbc9674c6fab7deccb29d13f1403cce8cc30744f92461b22a3b69c49207',
};

/** Of the forward pass and of ten training steps, computed on the device. */
export async function exactDigests(device: Device): Promise<ExactDigests> {
  return {
    forward: digestOf(await runExact(device, exactForwardProgram(seed))),
    training: digestOf(await runExact(device, exactTrainingProgram(seed))),
  };
}

/** The same, computed on the CPU: what a referee does. */
export const exactDigestsOnCpu = (): ExactDigests => ({
  forward: digestOf(computeExact(exactForwardProgram(seed))),
  training: digestOf(computeExact(exactTrainingProgram(seed))),
});

/** The program's results by a device, as bytes. */
export async function runExact(device: Device, { tensors, operations, results }: ExactProgram): Promise<Uint8Array[]> {
  const buffers = new Map<string, DeviceBuffer>();
  const bufferOf = (name: string): DeviceBuffer => present(buffers.get(name), `the program has no tensor '${name}'`);
  try {
    for (const [name, values] of Object.entries(tensors)) {
      const buffer = device.createBuffer(`exact ${name}`, values.byteLength);
      buffers.set(name, buffer);
      device.write(buffer, viewBytes(values));
    }
    await device.run(operations.map((operation) => operation.dispatch((name) => ({ buffer: bufferOf(name) }))));
    return await Promise.all(results.map((name) => device.read(bufferOf(name))));
  } finally {
    for (const buffer of buffers.values()) device.free(buffer);
  }
}

/** The program's results by the CPU, as bytes. */
export function computeExact({ tensors, operations, results }: ExactProgram): Uint8Array[] {
  const values = new Map(Object.entries(tensors).map(([name, start]) => [name, start.slice()]));
  const valuesOf = (name: string): Int32Array => present(values.get(name), `the program has no tensor '${name}'`);
  for (const operation of operations) operation.compute(valuesOf);
  return results.map((name) => viewBytes(valuesOf(name)));
}

const digestOf = (parts: readonly Uint8Array[]): Digest => sha256(concat(...parts));
