/** Every shader compiles with its parts, and says what its kernel's declaration says. Dawn compiles without a GPU here. */

import { expect, test } from 'vitest';
import { kernels } from '../kernels/catalogue.ts';
import { partSources, shaderSources } from '../kernels/sources.ts';
import { openNodeGpu } from './open-gpu.ts';

/** A device that computes nothing and has every feature that variants ask for. */
async function compilingDevice(): Promise<GPUDevice> {
  const gpu = await openNodeGpu({ backend: 'null' });
  const adapter = await gpu.requestAdapter();
  const wanted: readonly GPUFeatureName[] = ['shader-f16', 'subgroups'];
  const requiredFeatures = wanted.filter((feature) => adapter?.features.has(feature));
  const device = await adapter?.requestDevice({ requiredFeatures });
  if (device === undefined) throw new Error('the null backend has no device');
  return device;
}

/** The compiler's errors, one line each. */
async function compileErrors(shaders: readonly (readonly [name: string, wgsl: string])[]): Promise<string[]> {
  const device = await compilingDevice();
  const found: string[] = [];
  for (const [name, code] of shaders) {
    device.pushErrorScope('validation');
    const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
    await device.popErrorScope();
    found.push(...messages.map(({ lineNum, linePos, message }) => `${name}.wgsl:${lineNum}:${linePos} ${message}`));
  }
  device.destroy();
  return found;
}

/** Each text that some kernel compiles, once. */
const assembled = new Map(kernels.map(({ name, pipeline }) => [pipeline.wgsl, name]));

test('every shader compiles, without warnings', async () => {
  expect(assembled.size).toBeGreaterThan(20);
  expect(await compileErrors([...assembled].map(([wgsl, name]) => [name, wgsl]))).toEqual([]);
});

test('a shader with a wrong type does not compile, so the test above can fail', async () => {
  const broken = (shaderSources.get('fill') ?? '').replace('args.value', 'args.count');
  expect(await compileErrors([['fill', broken]])).toHaveLength(1);
});

test('every kernel computes the pipeline that its declaration names, with the default workgroup', async () => {
  const device = await compilingDevice();
  for (const { pipeline } of kernels) {
    const module = device.createShaderModule({ code: pipeline.wgsl });
    const { entryPoint, constants } = pipeline;
    const compute = { module, entryPoint, constants: { ...constants } };
    await device.createComputePipelineAsync({ layout: 'auto', compute });
  }
  device.destroy();
});

test.each(kernels.map((kernel) => [kernel.name, kernel] as const))(
  '%s: the shader has the bindings and the uniform struct that the kernel declares',
  (_, kernel) => {
    const { wgsl, entryPoint } = kernel.pipeline;
    const struct = /struct Arguments \{([^}]*)\}/.exec(wgsl)?.[1] ?? '';
    expect([...struct.matchAll(/\w+: \w+/g)].map(([member]) => member)).toEqual([
      ...kernel.tensors.map((tensor) => `${tensor.name}_offset: u32`),
      ...kernel.numbers.map((number) => `${number.name}: ${number.type}`),
    ]);
    expect(wgsl).toContain('@group(0) @binding(0) var<uniform> args: Arguments;');
    const storage = [...wgsl.matchAll(/@group\(0\) @binding\((\d+)\) var<storage, (\w+)> (\w+): array<([\w<>]+)>;/g)];
    expect(
      storage
        .map(
          ([, binding, access, name, holds]) =>
            [Number(binding), access, name, scalarOf(aliased(wgsl, holds))] as const,
        )
        .toSorted(([a], [b]) => a - b),
    ).toEqual(
      kernel.tensors.map(({ name, access, holds }, index) => [
        index + 1,
        access === 'write' ? 'read_write' : 'read',
        name,
        holds,
      ]),
    );
    expect(wgsl).toMatch(new RegExp(`@compute @workgroup_size\\([\\w, ]+\\)\\s+fn ${entryPoint}\\(`));
  },
);

/** What a type stands for, when a part of the shader names it. */
const aliased = (wgsl: string, type = ''): string => new RegExp(`alias ${type} = (\\w+);`).exec(wgsl)?.[1] ?? type;

/** What a tensor holds by the shader's element type: four halves or sixteen floats that are read at once are still halves or floats. */
function scalarOf(type = ''): string {
  const letter = /^(?:(?:vec\d|mat4x4)(?:<(\w)|(\w)))?/.exec(type);
  const short = letter?.[1] ?? letter?.[2];
  return short === undefined ? type : `${short}32`;
}

test('every shader and every part belongs to a kernel', () => {
  const texts = [...assembled.keys()];
  const idle = ([, text]: readonly [string, string]): boolean => !texts.some((wgsl) => wgsl.includes(text));
  expect([...shaderSources, ...partSources].filter(idle).map(([name]) => name)).toEqual([]);
});
