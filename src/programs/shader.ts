/**
 * The program of shader jobs: a submitter's WGSL over the buffers that its manifest lists. Buffers and pipelines are made
 * once per job; each unit gets its own index and `each` values, and finds scratch and outputs zeroed. The result is the
 * outputs joined in binding order. What the bytes mean and whether they are right is not known here.
 */

import { alignUp, concat, fromUtf8, type Bytes } from '../core/bytes.ts';
import { DeviceError, type Binding, type Device, type DeviceBuffer, type Dispatch } from '../kernels/device.ts';
import { elementBytes, type ManifestOf, type ShaderBuffer, type ShaderStep } from '../protocol/manifest.ts';
import type { Chunks } from '../protocol/ports.ts';
import type { OpenProgram, OpenProgramFunction, UnitRequest } from './program.ts';

/** Dispatches handed to the device at once; between two such groups the unit can be aborted. */
const dispatchesAtOnce = 64;
/** WebGPU binds larger uniforms nowhere. */
const uniformBytesMax = 65536;

/** Thrown by `run` when its signal was aborted. */
export class UnitAbortedError extends Error {
  override readonly name = 'UnitAbortedError';
}

interface Place {
  readonly declared: ShaderBuffer;
  readonly buffer: DeviceBuffer;
  /** Bytes of the artifact that are a unit's own. */
  readonly range: (unit: number) => { readonly start: number; readonly end: number };
}

export const openShaderProgram: OpenProgramFunction = async (manifest, device, chunks): Promise<OpenProgram> => {
  if (manifest.program !== 'shader') throw new TypeError(`the shader program cannot run a ${manifest.program} job`);
  checkFits(manifest, device);
  const wgsl = fromUtf8(await chunks.read(manifest.shader.wgsl));
  checkFeatures(wgsl, device);
  const places: Place[] = [];
  const close = (): void => {
    for (const { buffer } of places.splice(0)) device.free(buffer);
  };
  try {
    for (const declared of manifest.shader.buffers) {
      const label = `binding ${declared.binding} (${declared.kind})`;
      const buffer = device.createBuffer(label, bufferBytes(declared));
      places.push({ declared, buffer, range: eachRanges(declared) });
      if (declared.kind === 'input' || declared.kind === 'uniform') {
        device.write(buffer, padded(await chunks.read(declared.data)));
      }
    }
    const pipelines = new Map(manifest.shader.steps.map((step) => [step.entryPoint, pipelineOf(manifest, wgsl, step)]));
    await device.prepare(
      [...pipelines.values()],
      places.map((place) => bindingOf(place, 0)),
    );
  } catch (error) {
    close();
    throw error;
  }
  return { run: (request) => runUnit(manifest, wgsl, places, device, chunks, request), close };
};

async function runUnit(
  manifest: ManifestOf<'shader'>,
  wgsl: string,
  places: readonly Place[],
  device: Device,
  chunks: Chunks,
  { unit, signal, progress }: UnitRequest,
): Promise<Bytes> {
  if (signal.aborted) throw new UnitAbortedError(`unit ${unit} was aborted`);
  for (const { declared, buffer, range } of places) {
    if (declared.kind === 'unit')
      device.write(buffer, new Uint8Array(new Uint32Array([unit, manifest.units, 0, 0]).buffer));
    if (declared.kind === 'scratch' || declared.kind === 'output') device.clear(buffer);
    if (declared.kind === 'each') {
      const { start, end } = range(unit);
      device.write(buffer, padded(await chunks.readRange(declared.data, start, end)));
    }
  }
  const { steps, loop } = manifest.shader;
  const bindings = places.map((place) => bindingOf(place, unit));
  const dispatches = steps.map((step): [Dispatch, number] => [
    { pipeline: pipelineOf(manifest, wgsl, step), bindings, grid: step.grid },
    step.repeat,
  ]);
  const total = loop * steps.reduce((sum, { repeat }) => sum + repeat, 0);
  let done = 0;
  for (const group of groupsOf(dispatches, loop)) {
    if (signal.aborted) {
      // What was handed over already ends, and its errors with it: the next unit starts on a clean device.
      await device.flush().catch(() => undefined);
      throw new UnitAbortedError(`unit ${unit} was aborted`);
    }
    await device.run(group);
    done += group.length;
    progress(Math.min(0.99, done / total));
  }
  const outputs = places
    .filter(({ declared }) => declared.kind === 'output')
    .toSorted((a, b) => a.declared.binding - b.declared.binding);
  const parts = await Promise.all(outputs.map(({ declared, buffer }) => device.read(buffer, 0, exactBytes(declared))));
  progress(1);
  return concat(...parts);
}

const pipelineOf = ({ shader }: ManifestOf<'shader'>, wgsl: string, { entryPoint }: ShaderStep) => ({
  label: 'shader.wgsl',
  wgsl,
  entryPoint,
  constants: shader.constants,
});

/** Every dispatch of the loop in order, in groups; there may be too many to hold at once. */
function* groupsOf(dispatches: readonly (readonly [Dispatch, number])[], loop: number): Generator<Dispatch[]> {
  let group: Dispatch[] = [];
  for (let round = 0; round < loop; round++) {
    for (const [dispatch, repeat] of dispatches) {
      for (let time = 0; time < repeat; time++) {
        group.push(dispatch);
        if (group.length < dispatchesAtOnce) continue;
        yield group;
        group = [];
      }
    }
  }
  if (group.length > 0) yield group;
}

/** Bytes of the data before padding; those of the largest unit for `each`. */
function exactBytes(buffer: ShaderBuffer): number {
  switch (buffer.kind) {
    case 'unit':
      return 16;
    case 'input':
    case 'uniform':
      return buffer.data.bytes;
    case 'each':
      return typeof buffer.sizes === 'number' ? buffer.sizes : buffer.sizes.reduce((a, b) => Math.max(a, b), 0);
    case 'scratch':
    case 'output':
      return buffer.count * elementBytes[buffer.type];
  }
}

/** Storage in multiples of 4 bytes; uniforms in multiples of 16, as WGSL lays out structs. */
function bufferBytes(buffer: ShaderBuffer): number {
  const alignment = buffer.kind === 'uniform' ? 16 : 4;
  return Math.max(alignment, alignUp(exactBytes(buffer), alignment));
}

function padded(bytes: Bytes): Uint8Array {
  if (bytes.byteLength % 4 === 0) return bytes;
  const longer = new Uint8Array(alignUp(bytes.byteLength, 4));
  longer.set(bytes);
  return longer;
}

/** Where each unit's value lies in the artifact; summed once, as a job may have a million units. */
function eachRanges(buffer: ShaderBuffer): Place['range'] {
  if (buffer.kind !== 'each') return () => ({ start: 0, end: 0 });
  const { sizes } = buffer;
  if (typeof sizes === 'number') return (unit) => ({ start: unit * sizes, end: (unit + 1) * sizes });
  const ends: number[] = [];
  for (const size of sizes) ends.push((ends.at(-1) ?? 0) + size);
  return (unit) => ({ start: ends[unit - 1] ?? 0, end: ends[unit] ?? 0 });
}

function bindingOf({ declared, buffer, range }: Place, unit: number): Binding {
  const { binding } = declared;
  switch (declared.kind) {
    case 'unit':
    case 'uniform':
      return { binding, buffer, access: 'uniform' };
    case 'input':
      return { binding, buffer, access: 'read' };
    case 'each': {
      const { start, end } = range(unit);
      return { binding, buffer, access: 'read', bytes: alignUp(end - start, 4) };
    }
    case 'scratch':
    case 'output':
      return { binding, buffer, access: 'write' };
  }
}

/** Refuses a job that this device cannot hold, before anything is fetched or made. */
function checkFits({ shader }: ManifestOf<'shader'>, device: Device): void {
  const { limits } = device;
  let sum = 0;
  let storageBindings = 0;
  for (const buffer of shader.buffers) {
    const bytes = bufferBytes(buffer);
    const isUniform = buffer.kind === 'unit' || buffer.kind === 'uniform';
    const most = isUniform ? uniformBytesMax : Math.min(limits.bindingBytesMax, limits.bufferBytesMax);
    if (bytes > most) {
      throw new DeviceError(
        `buffer at binding ${buffer.binding} (${buffer.kind}) needs ${bytes} bytes, this device binds at most ${most}`,
      );
    }
    if (!isUniform) storageBindings++;
    sum += bytes;
  }
  if (storageBindings > limits.storageBindingsMax) {
    throw new DeviceError(
      `the job binds ${storageBindings} storage buffers, this device allows ${limits.storageBindingsMax}`,
    );
  }
  const free = limits.memoryBytesMax - device.usage().bytes;
  if (sum > free) throw new DeviceError(`a unit needs ${sum} bytes of GPU memory, ${free} bytes are free here`);
}

const featureOf: Readonly<Record<string, string>> = { f16: 'shader-f16', subgroups: 'subgroups' };

/** Names what the GPU lacks; the compiler would only say that an extension is not allowed. */
function checkFeatures(wgsl: string, device: Device): void {
  for (const [, names = ''] of wgsl.matchAll(/^\s*enable\s+([\w\s,]+);/gm)) {
    for (const name of names.split(',').map((part) => part.trim())) {
      const feature = featureOf[name];
      if (feature !== undefined && !device.features.has(feature)) {
        throw new DeviceError(`shader.wgsl: enables ${name}, but this GPU does not have ${feature}`);
      }
    }
  }
}
