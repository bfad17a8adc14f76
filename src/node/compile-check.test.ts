/** Each mistake that a submitter can make with a shader is told in one line, and its corrected twin passes. */

import { expect, test } from 'vitest';
import type { ShaderUse } from '../protocol/shader-bindings.ts';
import { checkShader } from './compile-check.ts';

const shader = [
  'override factor: f32 = 1;',
  '@id(7) override rounds: u32;',
  '@group(0) @binding(0) var<uniform> unit: vec4u;',
  '@group(0) @binding(1) var<storage, read> points: array<f32>;',
  '@group(0) @binding(2) var<storage, read_write> result: array<f32>;',
  'fn store(index: u32) { result[index] = points[index] * factor + f32(unit.x * rounds); }',
  '@compute @workgroup_size(64)',
  'fn main(@builtin(global_invocation_id) id: vec3u) { store(id.x); }',
].join('\n');
const unit = { binding: 0, kind: 'unit' } as const;
const input = { binding: 1, kind: 'input' } as const;
const output = { binding: 2, kind: 'output' } as const;
const use: ShaderUse = {
  constants: { factor: 2, 7: 3 },
  buffers: [unit, input, output],
};
const withBuffers = (...buffers: ShaderUse['buffers']): ShaderUse => ({ ...use, buffers });
const second = `${shader}\n@compute @workgroup_size(1) fn second() { store(0); }`;

const says = async (wgsl: string, job: ShaderUse): Promise<string> => {
  const checked = await checkShader(wgsl, { ...job, file: 'points.wgsl' });
  return checked.ok ? `runs ${checked.value.entryPoint ?? 'its steps'}` : checked.error.text;
};

test('a shader that fits its job passes, and its only entry point is found', async () => {
  expect(await says(shader, use)).toBe('runs main');
  expect(await says(shader, { ...use, entryPoint: 'main' })).toBe('runs main');
  expect(await says(second, { ...use, steps: [{ entryPoint: 'second' }, { entryPoint: 'main' }] })).toBe(
    'runs its steps',
  );
});

test('a compile error comes with line and column of the submitter’s file', async () => {
  const wrong = shader.replace('points[index] * factor', 'points[index] * missing');
  expect(await says(wrong, use)).toMatch(/^points\.wgsl:6:\d+: unresolved value 'missing'$/);
  expect(await says('fn a( {', use)).toMatch(/^points\.wgsl:1:\d+: /);
});

test.each<[string, string, ShaderUse, string]>([
  ['no entry point', 'fn main() {}', use, 'points.wgsl: has no @compute function'],
  [
    'two entry points and no choice',
    second,
    use,
    'points.wgsl: has several @compute functions (main, second): name one as entryPoint',
  ],
  [
    'an entry point that is not there',
    shader,
    { ...use, entryPoint: 'mian' },
    'points.wgsl: has no @compute function mian, only main',
  ],
  [
    'a step that is not there',
    second,
    { ...use, steps: [{ entryPoint: 'third' }] },
    'points.wgsl: has no @compute function third, only main, second',
  ],
  [
    'an unknown constant',
    shader,
    { ...use, constants: { 7: 1, facter: 2 } },
    'points.wgsl: the job sets the constant facter, which is no override of the shader; it has: factor, 7',
  ],
  [
    'a constant called by its name though it has an id',
    shader,
    { ...use, constants: { rounds: 2 } },
    'points.wgsl: the constant rounds has @id(7): call it 7 in the job',
  ],
  [
    'a binding that the job lacks',
    shader,
    withBuffers(unit, output),
    'points.wgsl: main uses points at @group(0) @binding(1), but the job has no buffer for it',
  ],
  [
    'a buffer that the shader does not declare',
    shader,
    withBuffers(...use.buffers, { binding: 5, kind: 'scratch' }),
    'points.wgsl: the job gives scratch at binding 5, which the shader does not declare',
  ],
  [
    'an output that the shader only reads',
    shader,
    withBuffers(unit, { binding: 1, kind: 'output' }, output),
    "points.wgsl: points at binding 1 is var<storage, read>, but the job's output needs var<storage, read_write>",
  ],
  [
    'an input that the shader writes',
    shader,
    withBuffers(unit, input, { binding: 2, kind: 'each' }),
    "points.wgsl: result at binding 2 is var<storage, read_write>, but the job's each needs var<storage, read>",
  ],
  [
    'a uniform given as storage',
    shader,
    withBuffers({ binding: 0, kind: 'input' }, input, output),
    "points.wgsl: unit at binding 0 is var<uniform>, but the job's input needs var<storage, read>",
  ],
  [
    'another group',
    shader.replace('@group(0) @binding(1)', '@group(1) @binding(1)'),
    use,
    'points.wgsl: main uses points at @group(1) @binding(1): jobs have group 0 only',
  ],
  [
    'a name that volunteers keep for themselves',
    shader.replaceAll('factor', 'tabswarm_factor'),
    { ...use, constants: { tabswarm_factor: 2, 7: 3 } },
    "points.wgsl:1:10: names that begin with tabswarm_ are the network's own",
  ],
  [
    'a texture',
    shader
      .replace('var<storage, read> points: array<f32>', 'var points: texture_1d<f32>')
      .replace('points[index]', 'textureLoad(points, index, 0).x'),
    use,
    'points.wgsl: main uses points at @group(0) @binding(1): jobs have no textures and samplers',
  ],
])('%s is told in one line', async (_, wgsl, job, text) => {
  expect(await says(wgsl, job)).toBe(text);
});

test('what only the pipeline shows is told too: a constant without a value, a workgroup that is too large', async () => {
  expect(await says(shader, { ...use, constants: {} })).toMatch(/^points\.wgsl: main: .*uninitialized.*7/);
  expect(await says(shader.replace('size(64)', 'size(4096)'), use)).toMatch(/^points\.wgsl: main: .*4096/);
});
