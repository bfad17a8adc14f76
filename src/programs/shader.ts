/**
 * The program of shader jobs: a submitter's WGSL over the buffers that its manifest lists. Buffers and pipelines are made
 * once per job; each unit gets its own index and `each` values, and finds scratch and outputs zeroed. The result is the
 * outputs joined in binding order. What the bytes mean and whether they are right is not known here.
 */

import { alignUp, concat, fromUtf8, type Bytes } from '../core/bytes.ts';
import { DeviceError, type Binding, type Device, type DeviceBuffer, type Pipeline } from '../kernels/device.ts';
import type { Artifact } from '../protocol/artifact.ts';
import { elementBytes, type ManifestOf, type ShaderBuffer } from '../protocol/manifest.ts';
import type { Chunks } from '../protocol/ports.ts';
import type { OpenProgram, OpenProgramFunction, UnitRequest } from './program.ts';
import { rewriteShader, type RewrittenShader } from './shader-rewrite.ts';
import { createShaderRunner, UnitAbortedError, type ShaderRunner, type ShaderStepPlan } from './shader-run.ts';

/** WebGPU binds larger uniforms nowhere. */
const uniformBytesMax = 65536;

export { UnitAbortedError } from './shader-run.ts';

interface Place {
  readonly declared: ShaderBuffer;
  readonly buffer: DeviceBuffer;
  /** Bytes of the artifact that are a unit's own. */
  readonly range: (unit: number) => { readonly start: number; readonly end: number };
}

export const openShaderProgram: OpenProgramFunction = async (manifest, device, chunks): Promise<OpenProgram> => {
  if (manifest.program !== 'shader') throw new TypeError(`the shader program cannot run a ${manifest.program} job`);
  checkFits(manifest, device);
  const original = fromUtf8(await chunks.read(manifest.shader.wgsl));
  checkFeatures(original, device);
  const rewritten = rewrite(manifest, original, device);
  const places: Place[] = [];
  let spent: DeviceBuffer | undefined;
  const close = (): void => {
    for (const { buffer } of places.splice(0)) device.free(buffer);
    if (spent !== undefined) device.free(spent);
    spent = undefined;
  };
  try {
    for (const declared of manifest.shader.buffers) {
      const label = `binding ${declared.binding} (${declared.kind})`;
      const buffer = device.createBuffer(label, bufferBytes(declared));
      places.push({ declared, buffer, range: eachRanges(declared) });
      if (declared.kind === 'input' || declared.kind === 'uniform') {
        await writeArtifact(device, buffer, chunks, declared.data);
      }
    }
    if (rewritten.spentBinding !== undefined) spent = device.createBuffer('spent budgets', 4);
    const steps = stepsOf(manifest, rewritten.wgsl);
    const own: Binding[] = [{ binding: rewritten.sliceBinding, uniform: new Uint8Array(48) }];
    if (rewritten.spentBinding !== undefined && spent !== undefined) {
      own.push({ binding: rewritten.spentBinding, buffer: spent, access: 'write' });
    }
    await prepare(manifest, original, steps, places, own, device);
    const { loop } = manifest.shader;
    const { unitSeconds } = manifest.limits;
    const runner = createShaderRunner({ rewritten, steps, loop, unitSeconds, spent }, device);
    const run: OpenProgram['run'] = (request) =>
      runUnit(manifest, places, own.slice(1), runner, device, chunks, request);
    return { run, close };
  } catch (error) {
    close();
    throw error;
  }
};

async function runUnit(
  manifest: ManifestOf<'shader'>,
  places: readonly Place[],
  own: readonly Binding[],
  runner: ShaderRunner,
  device: Device,
  chunks: Chunks,
  { unit, signal, progress, gpuMs = () => 0 }: UnitRequest,
): Promise<Bytes> {
  if (signal.aborted) throw new UnitAbortedError(`unit ${unit} was aborted`);
  const fill = async (): Promise<void> => {
    for (const { declared, buffer, range } of places) {
      if (declared.kind === 'unit')
        device.write(buffer, new Uint8Array(new Uint32Array([unit, manifest.units, 0, 0]).buffer));
      if (declared.kind === 'scratch' || declared.kind === 'output') device.clear(buffer);
      if (declared.kind === 'each') {
        const { start, end } = range(unit);
        device.write(buffer, padded(await chunks.readRange(declared.data, start, end)));
      }
    }
  };
  const bindings = [...places.map((place) => bindingOf(place, unit)), ...own];
  await runner.run({ unit, bindings, signal, progress, gpuMs, fill });
  const outputs = places
    .filter(({ declared }) => declared.kind === 'output')
    .toSorted((a, b) => a.declared.binding - b.declared.binding);
  const parts = await Promise.all(outputs.map(({ declared, buffer }) => device.read(buffer, 0, exactBytes(declared))));
  progress(1);
  return concat(...parts);
}

/** The shader as it runs here; throws `DeviceError` with the place of what cannot be rewritten. */
function rewrite({ shader }: ManifestOf<'shader'>, wgsl: string, { limits }: Device): RewrittenShader {
  const bindings = shader.buffers.map(({ binding }) => binding);
  const everyLoop = limits.loopIterationsMax !== undefined;
  const rewritten = rewriteShader(wgsl, { bindings, everyLoop });
  if (!rewritten.ok) throw new DeviceError(rewritten.error.text);
  const storage = shader.buffers.filter(({ kind }) => kind !== 'unit' && kind !== 'uniform').length;
  if (rewritten.value.spentBinding !== undefined && storage + 1 > limits.storageBindingsMax) {
    throw new DeviceError(
      `the job binds ${storage} storage buffers and the budget of its loops needs one more, this device allows ${limits.storageBindingsMax}: bind fewer buffers, or bound every loop by constants up to 256`,
    );
  }
  return rewritten.value;
}

/** Compiles what will run. If that fails, the submitter's own text is compiled too, so that the error speaks of it. */
async function prepare(
  manifest: ManifestOf<'shader'>,
  original: string,
  steps: readonly ShaderStepPlan[],
  places: readonly Place[],
  own: readonly Binding[],
  device: Device,
): Promise<void> {
  const bindings = places.map((place) => bindingOf(place, 0));
  const pipelinesOf = (of: readonly ShaderStepPlan[]): Pipeline[] => [
    ...new Map(of.map(({ pipeline }) => [pipeline.entryPoint, pipeline])).values(),
  ];
  try {
    await device.prepare(pipelinesOf(steps), [...bindings, ...own]);
  } catch (error) {
    await device.prepare(pipelinesOf(stepsOf(manifest, original)), bindings);
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeviceError(`the shader compiles, but not with budgets for its loops: ${reason}`);
  }
}

/** One pipeline for each entry point, as the device knows them again by it. */
function stepsOf({ shader }: ManifestOf<'shader'>, wgsl: string): ShaderStepPlan[] {
  const pipelines = new Map<string, Pipeline>();
  return shader.steps.map(({ entryPoint, grid, repeat }) => {
    const { constants } = shader;
    const pipeline = pipelines.get(entryPoint) ?? { label: 'shader.wgsl', wgsl, entryPoint, constants };
    pipelines.set(entryPoint, pipeline);
    return { pipeline, grid, repeat };
  });
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

/** Bytes that cross from the page to the worker at once: copying more would hold the page up for longer than a frame or two. */
const pieceBytes = 8 * 2 ** 20;

async function writeArtifact(device: Device, buffer: DeviceBuffer, chunks: Chunks, artifact: Artifact): Promise<void> {
  for (let start = 0; start < artifact.bytes; start += pieceBytes) {
    const end = Math.min(artifact.bytes, start + pieceBytes);
    device.write(buffer, padded(await chunks.readRange(artifact, start, end)), start);
  }
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
