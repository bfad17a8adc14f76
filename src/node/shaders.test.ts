/** Every shader compiles as it stands, and says what its kernel's declaration says. Dawn compiles without a GPU here. */

import { expect, test } from 'vitest';
import { kernels } from '../kernels/catalogue.ts';
import { elementInvocations, rowInvocations } from '../kernels/kernel.ts';
import { shaderSources } from '../kernels/sources.ts';
import { openNodeGpu } from './open-gpu.ts';

/** The compiler's errors, one line each. */
async function compileErrors(shaders: readonly (readonly [name: string, wgsl: string])[]): Promise<string[]> {
  const gpu = await openNodeGpu({ backend: 'null' });
  const device = await (await gpu.requestAdapter())?.requestDevice();
  if (device === undefined) throw new Error('the null backend has no device');
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

test('every shader compiles as it stands, without warnings', async () => {
  expect(shaderSources.size).toBeGreaterThan(20);
  expect(await compileErrors([...shaderSources])).toEqual([]);
});

test('a shader with a wrong type does not compile, so the test above can fail', async () => {
  const broken = (shaderSources.get('fill') ?? '').replace('args.value', 'args.count');
  expect(await compileErrors([['fill', broken]])).toHaveLength(1);
});

test('every kernel computes the pipeline that its declaration names, with the default workgroup', async () => {
  const gpu = await openNodeGpu({ backend: 'null' });
  const device = await (await gpu.requestAdapter())?.requestDevice();
  for (const { pipeline } of kernels) {
    const module = device?.createShaderModule({ code: pipeline.wgsl });
    if (module === undefined) throw new Error('the null backend has no device');
    await device?.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: pipeline.entryPoint } });
  }
  device?.destroy();
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
    const storage = [...wgsl.matchAll(/@group\(0\) @binding\((\d+)\) var<storage, (\w+)> (\w+): array<(\w+)>;/g)];
    expect(storage.map(([, binding, access, name, holds]) => [Number(binding), access, name, holds])).toEqual(
      kernel.tensors.map(({ name, access, holds }, index) => [
        index + 1,
        access === 'write' ? 'read_write' : 'read',
        name,
        holds,
      ]),
    );
    expect(wgsl).toMatch(new RegExp(`@compute @workgroup_size\\(workgroup_size\\)\\s+fn ${entryPoint}\\(`));
    expect([elementInvocations, rowInvocations]).toContain(
      Number(/override workgroup_size: u32 = (\d+);/.exec(wgsl)?.[1]),
    );
  },
);

test('every shader belongs to a kernel', () => {
  const used = new Set(kernels.map((kernel) => kernel.pipeline.wgsl));
  expect([...shaderSources].filter(([, wgsl]) => !used.has(wgsl)).map(([name]) => name)).toEqual([]);
});
