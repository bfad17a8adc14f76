/**
 * The numeric class of a device: the SHA-256 of what a fixed set of small kernels gives on fixed inputs. WGSL may fuse,
 * reorder and round as an adapter likes, so f32 results may be compared bit for bit only between volunteers whose class
 * is equal and who run the same variants (a unit pins them). Equal names of adapters promise nothing; this probes. It
 * takes a few dispatches and one read, at start-up.
 */

import { concatAll, viewBytes } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import { createRandom } from '../core/prng.ts';
import type { Device, DeviceBuffer, Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid } from './kernel.ts';
import { matmulDispatch } from './matmul.ts';
import { rmsNormDispatch } from './rms-norm.ts';
import { safeChoices } from './variants.ts';

const numericProbe = defineKernel({
  shader: 'numeric_probe',
  tensors: ['left', 'right', '>output'],
  numbers: ['count', 'tiny:f32'],
});

export const numericProbeKernels = [numericProbe];

/** Results of each element of `numeric_probe`. */
const resultsPerElement = 16;
/** Times an element of about 1 this is subnormal: kept by some adapters, taken for zero by others. */
const tiny = 1e-40;

/** No size is a multiple of a tile, so that edges are probed too. */
const count = 315;
const rows = 7;
const columns = 65;
const inner = 97;

/** 64 lower-case hex digits; throws `DeviceError` where the device refuses the work. */
export async function numericClassOf(device: Device): Promise<string> {
  const buffers: DeviceBuffer[] = [];
  const buffer = (label: string, elements: number): DeviceBuffer => {
    const made = device.createBuffer(`numeric class ${label}`, 4 * elements);
    buffers.push(made);
    return made;
  };
  const input = (label: string, stream: number, elements: number): DeviceBuffer => {
    const made = buffer(label, elements);
    device.write(made, viewBytes(fixedNumbers(stream, elements)));
    return made;
  };
  try {
    const left = input('left', 1, rows * inner);
    const right = input('right', 2, columns * inner);
    const outputs = {
      elements: buffer('elements', count * resultsPerElement),
      product: buffer('product', columns),
      transposed: buffer('transposed', columns),
      normed: buffer('normed', rows * inner),
      inverseRms: buffer('inverse rms', rows),
    };
    const dispatches = probeDispatches({ left, right, ...outputs });
    await device.prepare(dispatches.map(({ pipeline }) => pipeline));
    await device.run(dispatches);
    const parts: Uint8Array[] = [];
    for (const output of Object.values(outputs)) parts.push(await device.read(output));
    return sha256(concatAll(parts));
  } finally {
    for (const made of buffers) device.free(made);
  }
}

function probeDispatches(
  of: Record<'left' | 'right' | 'elements' | 'product' | 'transposed' | 'normed' | 'inverseRms', DeviceBuffer>,
): readonly Dispatch[] {
  const tensor = (buffer: DeviceBuffer): { readonly buffer: DeviceBuffer } => ({ buffer });
  const [left, right] = [tensor(of.left), tensor(of.right)];
  const choices = safeChoices;
  return [
    dispatchOf(numericProbe, { left, right, output: tensor(of.elements) }, { count, tiny }, elementGrid(count)),
    // One row: the order of sums is that of every row, and its shader compiles in a tenth of the tiled one's time.
    matmulDispatch({ form: 'NN', left, right, output: tensor(of.product), rows: 1, columns, inner, choices }),
    matmulDispatch({ form: 'NT', left, right, output: tensor(of.transposed), rows: 1, columns, inner, choices }),
    rmsNormDispatch({
      input: left,
      weight: right,
      output: tensor(of.normed),
      inverseRms: tensor(of.inverseRms),
      rows,
      width: inner,
      epsilon: 1e-5,
    }),
  ];
}

/** Numbers of both signs up to 4 that f32 holds exactly, by whole-number arithmetic alone: the same in every engine. */
function fixedNumbers(stream: number, elements: number): Float32Array {
  const random = createRandom(0x6e756d, stream);
  return Float32Array.from({ length: elements }, () => (random.below(2 ** 20) + 1) / 2 ** 17 - 4);
}
