/**
 * Runs kernels of the corpus as they are and as they are rewritten, on one device, and compares every byte. The first line
 * of each kernel tells its grid; all of them read `a` and write `r`, some count in `s`. Used in Node and in the page.
 */

import type { Binding, Device, DeviceBuffer } from '../../src/kernels/device.ts';
import type { Grid } from '../../src/kernels/grid.ts';
import { rewriteShader, type RewrittenShader } from '../../src/programs/shader-rewrite.ts';
import { slicesOf } from '../../src/programs/slices.ts';

export interface Comparison {
  readonly name: string;
  /** `equal`, `skipped` where the device lacks a feature, or what went wrong. */
  readonly outcome: string;
  /** Dispatches that the rewritten grid took. */
  readonly slices: number;
}

export interface CorpusOptions {
  /** Workgroups of a slice. */
  readonly groups: number;
  /** Rounds that loops may make. */
  readonly budget?: number;
  readonly everyLoop?: boolean;
  /** Spoils the rewritten text, to see that the comparison notices. */
  readonly mutate?: (wgsl: string) => string;
}

const words = 1024;
const features: Readonly<Record<string, string>> = { f16: 'shader-f16', subgroups: 'subgroups' };

export async function compareKernel(
  device: Device,
  name: string,
  wgsl: string,
  { groups, budget = 1_000_000, everyLoop = false, mutate = (text) => text }: CorpusOptions,
): Promise<Comparison> {
  const enabled = /^enable (\w+);/m.exec(wgsl)?.[1];
  if (enabled !== undefined && !device.features.has(features[enabled] ?? enabled)) {
    return { name, outcome: 'skipped', slices: 0 };
  }
  const grid = gridOf(wgsl);
  const rewritten = rewriteShader(wgsl, { file: name, bindings: [0, 1, 2], everyLoop });
  if (!rewritten.ok) return { name, outcome: rewritten.error.text, slices: 0 };
  const buffers = [0, 1, 2, 3].map((binding) => device.createBuffer(`${name} ${binding}`, words * 4));
  try {
    device.write(bufferAt(buffers, 0), new Uint8Array(Uint32Array.from({ length: words }, mixed).buffer));
    const bindings = bindingsOf(wgsl, buffers);
    const original = { label: name, wgsl, entryPoint: 'main' };
    const refused = await device.prepare([original], bindings).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (refused !== undefined) return { name, outcome: `does not compile as it is: ${refused}`, slices: 0 };
    const expected = await results(device, buffers, () => device.run([{ pipeline: original, bindings, grid }]));
    let slices = 0;
    const run = async (): Promise<void> => {
      const text = mutate(rewritten.value.wgsl);
      for (const slice of slicesOf(grid, () => groups)) {
        slices++;
        const uniform = new Uint32Array([...slice.offset, budget, ...grid, 0, ...slice.size, 0]);
        const own = ownBindings(rewritten.value, new Uint8Array(uniform.buffer), bufferAt(buffers, 3));
        const pipeline = { label: name, wgsl: text, entryPoint: 'main' };
        await device.run([{ pipeline, bindings: [...bindings, ...own], grid: slice.size }]);
      }
    };
    const got = await results(device, buffers, run);
    const spent = new Uint32Array((await device.read(bufferAt(buffers, 3), 0, 4)).slice().buffer)[0] ?? 0;
    if (spent > 0) return { name, outcome: `spent its budget at ${rewritten.value.loops[spent - 1]}`, slices };
    const first = expected.findIndex((value, index) => value !== got[index]);
    const outcome = first < 0 ? 'equal' : `word ${first}: ${got[first]} instead of ${expected[first]}`;
    const isEmpty = expected.every((value) => value === 0);
    return { name, outcome: isEmpty ? 'the original wrote nothing' : outcome, slices };
  } catch (error) {
    return { name, outcome: error instanceof Error ? error.message : String(error), slices: 0 };
  } finally {
    for (const buffer of buffers) device.free(buffer);
  }
}

/** What `r` and `s` hold after a run that found them empty. */
async function results(device: Device, buffers: readonly DeviceBuffer[], run: () => Promise<void>): Promise<number[]> {
  for (const index of [1, 2, 3]) device.clear(bufferAt(buffers, index));
  await run();
  const parts = await Promise.all([1, 2].map((index) => device.read(bufferAt(buffers, index))));
  return parts.flatMap((bytes) => [...new Uint32Array(bytes.slice().buffer)]);
}

const gridOf = (wgsl: string): Grid => {
  const [, x = '1', y = '1', z = '1'] = /^\/\/ grid (\d+) (\d+) (\d+)/.exec(wgsl) ?? [];
  return [Number(x), Number(y), Number(z)];
};

/** Those that the text declares: `s` is not in all. */
function bindingsOf(wgsl: string, buffers: readonly DeviceBuffer[]): Binding[] {
  const all: Binding[] = [
    { binding: 0, buffer: bufferAt(buffers, 0), access: 'read' },
    { binding: 1, buffer: bufferAt(buffers, 1), access: 'write' },
  ];
  if (wgsl.includes('@binding(2)')) all.push({ binding: 2, buffer: bufferAt(buffers, 2), access: 'write' });
  return all;
}

function ownBindings(rewritten: RewrittenShader, uniform: Uint8Array, spent: DeviceBuffer): Binding[] {
  const own: Binding[] = [{ binding: rewritten.sliceBinding, uniform }];
  if (rewritten.spentBinding !== undefined)
    own.push({ binding: rewritten.spentBinding, buffer: spent, access: 'write' });
  return own;
}

function bufferAt(buffers: readonly DeviceBuffer[], index: number): DeviceBuffer {
  const buffer = buffers[index];
  if (buffer === undefined) throw new RangeError(`there is no buffer ${index}`);
  return buffer;
}

/** Numbers without a pattern, the same each time. */
const mixed = (_: unknown, index: number): number => Math.imul(index + 1, 2654435761) >>> 7;

export interface Times {
  readonly originalMs: number;
  readonly rewrittenMs: number;
}

/** Milliseconds of a kernel as it is and rewritten, one after the other, `pairs` times after a first that does not count. */
export async function timeKernel(device: Device, wgsl: string, pairs: number): Promise<Times[]> {
  const rewritten = rewriteShader(wgsl, { file: 'tight.wgsl', bindings: [0, 1] });
  if (!rewritten.ok) throw new Error(rewritten.error.text);
  const grid: Grid = [16, 1, 1];
  const buffers = [0, 1, 2, 3].map((binding) => device.createBuffer(`time ${binding}`, 2 * words * 4));
  const bindings = bindingsOf(wgsl, buffers);
  const uniform = new Uint8Array(new Uint32Array([0, 0, 0, 0xffffffff, ...grid, 0, ...grid, 0]).buffer);
  const own = ownBindings(rewritten.value, uniform, bufferAt(buffers, 3));
  const timed = async (text: string, bound: readonly Binding[]): Promise<number> => {
    const startedAt = performance.now();
    await device.run([{ pipeline: { label: 'tight', wgsl: text, entryPoint: 'main' }, bindings: bound, grid }]);
    await device.flush();
    return performance.now() - startedAt;
  };
  const times: Times[] = [];
  for (let pair = 0; pair <= pairs; pair++) {
    const originalMs = await timed(wgsl, bindings);
    const rewrittenMs = await timed(rewritten.value.wgsl, [...bindings, ...own]);
    if (pair > 0) times.push({ originalMs, rewrittenMs });
  }
  for (const buffer of buffers) device.free(buffer);
  return times;
}
