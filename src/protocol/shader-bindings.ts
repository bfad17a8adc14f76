/**
 * What a submitter's WGSL declares, compared with what the job gives it, by reading the text alone; so that Node, the
 * SDK in a browser and tests say the same thing, before anything is sent. Whether the text is valid WGSL is the
 * compiler's to say: here an unreadable text is one problem without a line.
 */

import { ResourceType, WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { ok, problem, type Result } from '../core/result.ts';
import type { ShaderBuffer } from './manifest.ts';

/** How a shader declares a binding; `other` is a texture or a sampler, which jobs do not have. */
export type DeclaredKind = 'uniform' | 'read' | 'write' | 'other';

export interface DeclaredBinding {
  readonly name: string;
  readonly group: number;
  readonly binding: number;
  readonly kind: DeclaredKind;
}

export interface EntryPoint {
  readonly name: string;
  /** What it uses, itself or in functions that it calls. */
  readonly uses: readonly DeclaredBinding[];
}

export interface ShaderDeclarations {
  readonly entryPoints: readonly EntryPoint[];
  readonly bindings: readonly DeclaredBinding[];
  /** By what a job calls them: their `@id` where they have one, else their name. */
  readonly overrides: readonly { readonly key: string; readonly name: string }[];
}

/** What a job says of its shader, in a job file as in a manifest. */
export interface ShaderUse {
  readonly entryPoint?: string | undefined;
  readonly steps?: readonly { readonly entryPoint: string }[] | undefined;
  readonly constants?: Readonly<Record<string, number>> | undefined;
  readonly buffers: readonly { readonly binding: number; readonly kind: ShaderBuffer['kind'] }[];
}

/** The access that WebGPU must be told for each kind of buffer. */
export const accessOfKind: Readonly<Record<ShaderBuffer['kind'], Exclude<DeclaredKind, 'other'>>> = {
  unit: 'uniform',
  uniform: 'uniform',
  input: 'read',
  each: 'read',
  scratch: 'write',
  output: 'write',
};

const spelled: Readonly<Record<DeclaredKind, string>> = {
  uniform: 'var<uniform>',
  read: 'var<storage, read>',
  write: 'var<storage, read_write>',
  other: 'a texture or sampler',
};

/** Reads entry points, bindings and override constants out of the text. */
export function readDeclarations(wgsl: string, file = 'shader.wgsl'): Result<ShaderDeclarations> {
  try {
    const found = new WgslReflect(wgsl);
    const bindings = [...found.uniforms, ...found.storage, ...found.textures, ...found.samplers].map(declaredBinding);
    const entryPoints = found.entry.compute.map(({ name, resources }) => ({
      name,
      uses: resources.map(declaredBinding),
    }));
    const overrides = found.overrides.map(({ name, id, attributes }) => {
      const hasId = attributes?.some((attribute) => attribute.name === 'id') === true;
      return { key: hasId ? String(id) : name, name };
    });
    return ok({ entryPoints, bindings, overrides });
  } catch (error) {
    return problem('wgsl', `${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

type Variable = WgslReflect['storage'][number];

function declaredBinding({ name, group, binding, resourceType, access }: Variable): DeclaredBinding {
  const kinds: Partial<Record<ResourceType, DeclaredKind>> = {
    [ResourceType.Uniform]: 'uniform',
    [ResourceType.Storage]: access === 'read_write' || access === 'write' ? 'write' : 'read',
  };
  return { name, group, binding, kind: kinds[resourceType] ?? 'other' };
}

/**
 * Compares text and job; the first difference is the problem. Gives the entry point to run where the job has no steps:
 * the one that it names, or the shader's only one.
 */
export function checkShaderUse(
  wgsl: string,
  use: ShaderUse,
  file = 'shader.wgsl',
): Result<{ readonly entryPoint: string | undefined }> {
  const declared = readDeclarations(wgsl, file);
  if (!declared.ok) return declared;
  const chosen = chooseEntryPoints(declared.value, use, file);
  if (!chosen.ok) return chosen;
  const wrong =
    wrongConstant(declared.value, use) ?? wrongUse(chosen.value, use) ?? wrongBuffer(declared.value, use) ?? undefined;
  if (wrong !== undefined) return problem('wgsl', `${file}: ${wrong}`);
  return ok({ entryPoint: use.steps === undefined ? chosen.value[0]?.name : undefined });
}

function chooseEntryPoints(
  { entryPoints }: ShaderDeclarations,
  { entryPoint, steps }: ShaderUse,
  file: string,
): Result<readonly EntryPoint[]> {
  const names = entryPoints.map(({ name }) => name).join(', ');
  if (entryPoints.length === 0) return problem('wgsl', `${file}: has no @compute function`);
  const wanted = steps?.map((step) => step.entryPoint) ?? (entryPoint === undefined ? undefined : [entryPoint]);
  if (wanted === undefined) {
    if (entryPoints.length === 1) return ok(entryPoints);
    return problem('wgsl', `${file}: has several @compute functions (${names}): name one as entryPoint`);
  }
  const chosen: EntryPoint[] = [];
  for (const name of new Set(wanted)) {
    const found = entryPoints.find((candidate) => candidate.name === name);
    if (found === undefined) return problem('wgsl', `${file}: has no @compute function ${name}, only ${names}`);
    chosen.push(found);
  }
  return ok(chosen);
}

function wrongConstant({ overrides }: ShaderDeclarations, { constants = {} }: ShaderUse): string | undefined {
  for (const key of Object.keys(constants)) {
    if (overrides.some((override) => override.key === key)) continue;
    const named = overrides.find((override) => override.name === key);
    if (named !== undefined) return `the constant ${key} has @id(${named.key}): call it ${named.key} in the job`;
    const names = overrides.map((override) => override.key).join(', ') || 'none';
    return `the job sets the constant ${key}, which is no override of the shader; it has: ${names}`;
  }
  return undefined;
}

function wrongUse(entryPoints: readonly EntryPoint[], { buffers }: ShaderUse): string | undefined {
  for (const entryPoint of entryPoints) {
    for (const { name, group, binding, kind } of entryPoint.uses) {
      const what = `${entryPoint.name} uses ${name} at @group(${group}) @binding(${binding})`;
      if (group !== 0) return `${what}: jobs have group 0 only`;
      if (kind === 'other') return `${what}: jobs have no textures and samplers`;
      const buffer = buffers.find((candidate) => candidate.binding === binding);
      if (buffer === undefined) return `${what}, but the job has no buffer for it`;
      if (accessOfKind[buffer.kind] !== kind) return mismatch(name, binding, kind, buffer.kind);
    }
  }
  return undefined;
}

function wrongBuffer({ bindings }: ShaderDeclarations, { buffers }: ShaderUse): string | undefined {
  for (const { binding, kind } of buffers) {
    const declared = bindings.filter((candidate) => candidate.group === 0 && candidate.binding === binding);
    const first = declared[0];
    if (first === undefined) return `the job gives ${kind} at binding ${binding}, which the shader does not declare`;
    if (!declared.some((candidate) => candidate.kind === accessOfKind[kind])) {
      return mismatch(first.name, binding, first.kind, kind);
    }
  }
  return undefined;
}

const mismatch = (name: string, binding: number, declared: DeclaredKind, kind: ShaderBuffer['kind']): string =>
  `${name} at binding ${binding} is ${spelled[declared]}, but the job's ${kind} needs ${spelled[accessOfKind[kind]]}`;
