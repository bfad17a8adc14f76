/**
 * Shader modules, bind group layouts and compute pipelines, each made once. Layouts are explicit, built from what a
 * dispatch binds: a job's entry points may then use different parts of one set of buffers, which `auto` would refuse.
 * Compile errors come out as `label:LINE:COLUMN: message`.
 */

import { DeviceError, type Binding, type Pipeline } from '../../kernels/device.ts';
import { inErrorScopes, oneLine, textOf } from './errors.ts';

/** A binding as a layout sees it; `arena` is a uniform at a dynamic offset of the uniform arena. */
export type BindingKind = 'read' | 'write' | 'uniform' | 'arena';
export const kindOfBinding = (binding: Binding): BindingKind => ('uniform' in binding ? 'arena' : binding.access);

export interface ReadyPipeline {
  readonly id: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export interface Pipelines {
  /** The pipeline if it is compiled already. */
  find(pipeline: Pipeline, bindings: readonly Binding[]): ReadyPipeline | undefined;
  compile(pipeline: Pipeline, bindings: readonly Binding[]): Promise<ReadyPipeline>;
  /** Compiles with the layout that the WGSL declares, which is what a dispatch of it usually binds. */
  prepare(pipeline: Pipeline): Promise<void>;
  /** How many are kept. */
  kept(): { readonly modules: number; readonly pipelines: number };
}

type Kinds = readonly (readonly [number, BindingKind])[];

interface OwnModule {
  readonly id: number;
  readonly module: Promise<GPUShaderModule>;
}

/** Shaders whose modules and pipelines are kept: all of ours, and those of the last jobs. A tab may run thousands of jobs. */
export const modulesMax = 256;

export function createPipelines(device: GPUDevice): Pipelines {
  /** By their text, least recently used first. */
  const modules = new Map<string, OwnModule>();
  const layouts = new Map<string, GPUBindGroupLayout>();
  const ready = new Map<string, ReadyPipeline>();
  const compiling = new Map<string, Promise<ReadyPipeline>>();
  let baseKeys = new WeakMap<Pipeline, string>();
  let nextModule = 0;

  const moduleOf = (pipeline: Pipeline): OwnModule => {
    const found = modules.get(pipeline.wgsl);
    if (found !== undefined) return found;
    const made = { id: nextModule++, module: compileModule(device, pipeline) };
    // The failure is told where the module is awaited.
    made.module.catch(() => modules.delete(pipeline.wgsl));
    modules.set(pipeline.wgsl, made);
    if (modules.size > modulesMax) forgetOldest();
    return made;
  };
  const touch = ({ wgsl }: Pipeline): void => {
    const found = modules.get(wgsl);
    if (found === undefined) return;
    modules.delete(wgsl);
    modules.set(wgsl, found);
  };
  const forgetOldest = (): void => {
    for (const [wgsl, { id }] of modules) {
      modules.delete(wgsl);
      for (const key of ready.keys()) if (key.startsWith(`${id}/`)) ready.delete(key);
      // Keys name the forgotten module.
      baseKeys = new WeakMap();
      return;
    }
  };
  const baseKey = (pipeline: Pipeline): string => {
    const known = baseKeys.get(pipeline);
    if (known !== undefined) return known;
    const constants = Object.entries(pipeline.constants ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const key = `${moduleOf(pipeline).id}/${pipeline.entryPoint}/${JSON.stringify(constants)}`;
    baseKeys.set(pipeline, key);
    return key;
  };
  const layoutOf = (kinds: Kinds): GPUBindGroupLayout => {
    const key = layoutKey(kinds);
    const found = layouts.get(key);
    if (found !== undefined) return found;
    const made = device.createBindGroupLayout({ label: key, entries: kinds.map(layoutEntry) });
    layouts.set(key, made);
    return made;
  };

  const build = async (pipeline: Pipeline, kinds: Kinds, id: string): Promise<ReadyPipeline> => {
    const module = await moduleOf(pipeline).module;
    const reports: Promise<DeviceError | undefined>[] = [];
    const { layout, made } = inErrorScopes(
      device,
      pipeline.label,
      () => {
        const bindGroupLayout = layoutOf(kinds);
        const descriptor: GPUComputePipelineDescriptor = {
          label: pipeline.label,
          layout: device.createPipelineLayout({ bindGroupLayouts: [bindGroupLayout] }),
          compute: { module, entryPoint: pipeline.entryPoint, constants: { ...pipeline.constants } },
        };
        return { layout: bindGroupLayout, made: device.createComputePipelineAsync(descriptor) };
      },
      (error) => reports.push(error),
    );
    const compiled = await made.catch((error: unknown) => new DeviceError(`${pipeline.label}: ${textOf(error)}`));
    const refused = (await Promise.all(reports)).find((error) => error !== undefined);
    if (refused !== undefined) throw refused;
    if (compiled instanceof DeviceError) throw compiled;
    return { id, pipeline: compiled, layout };
  };
  const compileKinds = (pipeline: Pipeline, kinds: Kinds): Promise<ReadyPipeline> => {
    touch(pipeline);
    const id = `${baseKey(pipeline)}/${layoutKey(kinds)}`;
    const done = ready.get(id);
    if (done !== undefined) return Promise.resolve(done);
    const started = compiling.get(id);
    if (started !== undefined) return started;
    const made = build(pipeline, kinds, id).then(
      (value) => {
        compiling.delete(id);
        ready.set(id, value);
        return value;
      },
      (error: unknown) => {
        compiling.delete(id);
        throw error;
      },
    );
    compiling.set(id, made);
    return made;
  };

  return {
    find: (pipeline, bindings) => ready.get(`${baseKey(pipeline)}/${layoutKey(kindsOf(bindings))}`),
    compile: (pipeline, bindings) => compileKinds(pipeline, kindsOf(bindings)),
    async prepare(pipeline) {
      const kinds = declaredKinds(pipeline.wgsl);
      const storage = kinds.filter(([, kind]) => kind === 'read' || kind === 'write').length;
      const arena = kinds.filter(([, kind]) => kind === 'arena').length;
      const fits =
        storage <= device.limits.maxStorageBuffersPerShaderStage &&
        arena <= device.limits.maxDynamicUniformBuffersPerPipelineLayout;
      if (fits) await compileKinds(pipeline, kinds);
      else await moduleOf(pipeline).module;
    },
    kept: () => ({ modules: modules.size, pipelines: ready.size }),
  };
}

async function compileModule(device: GPUDevice, { label, wgsl }: Pipeline): Promise<GPUShaderModule> {
  const reports: Promise<DeviceError | undefined>[] = [];
  const module = inErrorScopes(
    device,
    label,
    () => device.createShaderModule({ label, code: wgsl }),
    (error) => reports.push(error),
  );
  const info = await module.getCompilationInfo();
  const first = info.messages.find((message) => message.type === 'error');
  if (first !== undefined) {
    throw new DeviceError(`${label}:${first.lineNum}:${first.linePos}: ${oneLine(first.message)}`);
  }
  const refused = (await Promise.all(reports)).find((error) => error !== undefined);
  if (refused !== undefined) throw refused;
  return module;
}

const kindsOf = (bindings: readonly Binding[]): Kinds =>
  bindings.map((binding) => [binding.binding, kindOfBinding(binding)] as const).toSorted(([a], [b]) => a - b);

const layoutKey = (kinds: Kinds): string => kinds.map(([binding, kind]) => `${binding}${kind}`).join();

function layoutEntry([binding, kind]: readonly [number, BindingKind]): GPUBindGroupLayoutEntry {
  const types = { read: 'read-only-storage', write: 'storage', uniform: 'uniform', arena: 'uniform' } as const;
  const buffer = { type: types[kind], hasDynamicOffset: kind === 'arena' };
  return { binding, visibility: GPUShaderStage.COMPUTE, buffer };
}

const declaration =
  /@group\(\s*0[iu]?\s*\)\s*@binding\(\s*(\d+)[iu]?\s*\)\s*var\s*<\s*(storage|uniform)\s*(?:,\s*(read_write|read)\s*)?>/g;

/** The buffers of group 0 that a shader declares, found by pattern: a wrong guess only costs a second compile. */
export function declaredKinds(wgsl: string): Kinds {
  const code = wgsl.replaceAll(/\/\*[\s\S]*?\*\//g, ' ').replaceAll(/\/\/[^\n]*/g, ' ');
  const kinds = new Map<number, BindingKind>();
  for (const [, binding, space, access] of code.matchAll(declaration)) {
    kinds.set(Number(binding), space === 'uniform' ? 'arena' : access === 'read_write' ? 'write' : 'read');
  }
  return [...kinds].toSorted(([a], [b]) => a - b);
}
