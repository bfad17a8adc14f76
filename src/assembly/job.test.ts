import { describe, expect, test } from 'vitest';
import { concat, utf8, type Bytes } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { AccountId, Digest } from '../core/ids.ts';
import { chunkBytesMax } from '../core/limits.ts';
import { safePins } from '../kernels/families.ts';
import { expectInput, InputError } from '../core/result.ts';
import { parseJobFile, parseReduceFile, type ShaderJobInput } from '../protocol/job-file.ts';
import { decodeManifest } from '../protocol/manifest.ts';
import {
  createChunkCutter,
  joinGroups,
  prepareGenerateJob,
  prepareReduceJob,
  prepareShaderInput,
  prepareTrainJob,
  readOutputs,
  readReduceFile,
  reduceLevels,
  type PreparedJob,
  type PrepareOptions,
} from './job.ts';

const options: PrepareOptions = {
  submitter: 'cd'.repeat(32) as AccountId,
  nonce: '1'.repeat(32),
  now: 1000,
  digest: (bytes) => Promise.resolve(sha256(bytes)),
  where: 'job.json',
};
const wgsl = `
override factor: f32 = 1;
@group(0) @binding(0) var<uniform> unit: vec4u;
@group(0) @binding(1) var<storage, read> points: array<f32>;
@group(0) @binding(2) var<storage, read> offset: array<f32>;
@group(0) @binding(3) var<storage, read_write> moved: array<f32>;
@compute @workgroup_size(4)
fn move_points(@builtin(global_invocation_id) id: vec3u) {
  moved[id.x] = points[id.x] * factor + offset[0] + f32(unit.x);
}
`;
const files: Record<string, Uint8Array> = {
  'move.wgsl': utf8(wgsl),
  'points.f32': new Uint8Array(16),
  'odd.bin': new Uint8Array(7),
  'empty.bin': new Uint8Array(0),
  'latin.wgsl': Uint8Array.of(0xe9),
};
const read = async (path: string): Promise<Uint8Array> => {
  const bytes = files[path];
  if (bytes === undefined) throw new Error('no such file');
  return bytes;
};
const input: ShaderJobInput = {
  version: 1,
  name: 'move',
  program: 'shader',
  shader: 'move.wgsl',
  constants: { factor: 2 },
  buffers: [
    { binding: 0, kind: 'unit' },
    { binding: 1, kind: 'input', data: { file: 'points.f32' } },
    { binding: 2, kind: 'each', name: 'offset' },
    { binding: 3, kind: 'output', type: 'f32', count: 4 },
  ],
  grid: [1, 1, 1],
  units: { each: { offset: [{ f32: [1] }, Float32Array.of(2), { f32: [3] }] } },
};
const prepare = (change: Partial<ShaderJobInput> = {}): Promise<PreparedJob<'shader'>> =>
  prepareShaderInput({ ...input, ...change }, read, options);
const joined = (chunks: ReadonlyMap<Digest, Bytes>, names: readonly Digest[]): Bytes =>
  concat(...names.map((name) => chunks.get(name) ?? new Uint8Array(0)));

describe('a prepared shader job', () => {
  test('is a manifest that a hub takes, named by the digest of its bytes', async () => {
    const { manifest, manifestBytes, job, chunks } = await prepare();
    expect(job).toBe(sha256(manifestBytes));
    expect(expectInput(decodeManifest(manifestBytes))).toEqual(manifest);
    expect(manifest).toMatchObject({ units: 3, price: 1, expires: 1000 + 7 * 24 * 3600, verify: { replicas: 2 } });
    expect(chunks.get(job as string as Digest)).toBe(manifestBytes);
    for (const [name, bytes] of chunks) expect(sha256(bytes)).toBe(name);
  });

  test('finds the only entry point, and lays each values end to end', async () => {
    const { manifest, chunks } = await prepare();
    expect(manifest.shader.steps).toEqual([{ entryPoint: 'move_points', grid: [1, 1, 1], repeat: 1 }]);
    const each = manifest.shader.buffers.find((buffer) => buffer.kind === 'each');
    expect(each?.kind === 'each' && each.sizes).toBe(4);
    const data = each !== undefined && 'data' in each ? joined(chunks, each.data.chunks) : new Uint8Array(0);
    expect([...new Float32Array(data.buffer)]).toEqual([1, 2, 3]);
    expect(new TextDecoder().decode(joined(chunks, manifest.shader.wgsl.chunks))).toBe(wgsl);
  });

  test('keeps the size of every each value where they differ', async () => {
    const { manifest } = await prepare({ units: { each: { offset: [{ f32: [1, 2] }, { f32: [3] }] } } });
    const each = manifest.shader.buffers.find((buffer) => buffer.kind === 'each');
    expect(each?.kind === 'each' && each.sizes).toEqual([8, 4]);
  });

  test('is another job for another nonce, and the same for the same', async () => {
    const other = await prepareShaderInput(input, read, { ...options, nonce: '2'.repeat(32) });
    expect(other.job).not.toBe((await prepare()).job);
    expect((await prepare()).job).toBe((await prepare()).job);
  });

  test.each([
    ['a shader that is not there', { shader: 'gone.wgsl' }, 'job.json: shader: cannot read gone.wgsl: no such file'],
    ['a shader that is no text', { shader: 'latin.wgsl' }, 'job.json: shader: latin.wgsl is not UTF-8 text'],
    [
      'data that is not there',
      { buffers: [input.buffers[0], { binding: 1, kind: 'input', data: { file: 'gone' } }, ...input.buffers.slice(2)] },
      'job.json: buffers.1.data: cannot read gone: no such file',
    ],
    [
      'data of an odd size',
      {
        buffers: [
          input.buffers[0],
          { binding: 1, kind: 'input', data: { file: 'odd.bin' } },
          ...input.buffers.slice(2),
        ],
      },
      'job.json: buffers.1.data: odd.bin: 7 bytes are not a multiple of 4, pad them',
    ],
    [
      'an empty each value',
      { units: { each: { offset: [{ f32: [1] }, { file: 'empty.bin' }] } } },
      'job.json: units.each.offset.1: empty.bin: no bytes, give at least 4',
    ],
    ['zero units', { units: { count: 0 } }, 'job.json: units.count: no units, ask for at least 1'],
    [
      'a constant that the shader has not',
      { constants: { speed: 1 } },
      'move.wgsl: the job sets the constant speed, which is no override of the shader; it has: factor',
    ],
    [
      'an entry point that the shader has not',
      { entryPoint: 'main' },
      'move.wgsl: has no @compute function main, only move_points',
    ],
  ] as [string, Partial<ShaderJobInput>, string][])('with %s is refused in one line', async (_what, change, text) => {
    const refused = prepare(change);
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow(text);
  });

  test('whose manifest would pass a chunk is refused', async () => {
    const offset = Array.from({ length: 240_000 }, (_, index) => ({ f32: index % 2 === 0 ? [1] : [1, 2] }));
    await expect(prepare({ units: { each: { offset } } })).resolves.toBeDefined();
    const longer = Array.from({ length: 600_000 }, (_, index) => new Float32Array(1 + (index % 2)));
    await expect(prepare({ units: { each: { offset: longer } } })).rejects.toThrow(
      /job\.json: its manifest has \d+ bytes/,
    );
  });
});

describe('artifacts', () => {
  test('are cut at 1 MiB and hold every byte', async () => {
    const bytes = Uint8Array.from({ length: 2 * chunkBytesMax + 5 }, (_, index) => (index * 31) & 255);
    const cutter = createChunkCutter(options.digest);
    const artifact = await cutter.artifactOf(bytes);
    expect(artifact.bytes).toBe(bytes.byteLength);
    expect(artifact.chunks.map((name) => cutter.chunks.get(name)?.byteLength)).toEqual([
      chunkBytesMax,
      chunkBytesMax,
      5,
    ]);
    expect(sha256(joined(cutter.chunks, artifact.chunks))).toBe(sha256(bytes));
    expect(await cutter.artifactOf(new Uint8Array(0))).toEqual({ bytes: 0, chunks: [] });
  });
});

describe('results', () => {
  test('come back as typed arrays in binding order', async () => {
    const { manifest } = await prepare();
    const wide: typeof manifest = {
      ...manifest,
      shader: {
        ...manifest.shader,
        buffers: [
          { binding: 9, kind: 'output', type: 'i32', count: 1 },
          { binding: 3, kind: 'output', type: 'f16', count: 4 },
          { binding: 4, kind: 'output', type: 'bytes', count: 3 },
        ],
      },
    };
    const halves = new Uint8Array(Uint16Array.of(0x3c00, 0xc100, 0x7c00, 0x0001).buffer);
    const result = concat(halves, Uint8Array.of(7, 8, 9), new Uint8Array(Int32Array.of(-5).buffer));
    const outputs = readOutputs(wide, result);
    expect(outputs.map(({ binding, type }) => [binding, type])).toEqual([
      [3, 'f16'],
      [4, 'bytes'],
      [9, 'i32'],
    ]);
    expect(outputs.map(({ data }) => [...data])).toEqual([[1, -2.5, Infinity, 2 ** -24], [7, 8, 9], [-5]]);
    expect(() => readOutputs(wide, result.subarray(1))).toThrow(/end inside an output buffer/);
  });
});

describe('a reduce tree', () => {
  test.each([
    [1, 8, [1]],
    [8, 8, [1]],
    [9, 8, [2, 1]],
    [20, 4, [5, 2, 1]],
    [315, 2, [158, 79, 40, 20, 10, 5, 3, 2, 1]],
  ])('over %i outputs in groups of %i has levels of %j', (outputs, fanIn, sizes) => {
    const levels = reduceLevels(outputs, fanIn);
    expect(levels.map((groups) => groups.length)).toEqual(sizes);
    let below = outputs;
    for (const groups of levels) {
      // Every output of the level below is in exactly one group.
      expect(
        groups.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, index) => first + index)),
      ).toEqual(Array.from({ length: below }, (_, index) => index));
      below = groups.length;
    }
  });

  test('with groups of one would never end and is refused', () => {
    expect(() => reduceLevels(5, 1)).toThrow(/reduce\.fanIn: 1/);
  });

  const add = {
    version: 1,
    name: 'add',
    program: 'shader',
    shader: 'add.wgsl',
    buffers: [
      { binding: 0, kind: 'each', name: 'group' },
      { binding: 1, kind: 'output', type: 'f32', count: 4 },
    ],
    grid: [1, 1, 1],
  };
  const addWgsl = `
@group(0) @binding(0) var<storage, read> group: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> sum: vec4f;
@compute @workgroup_size(1) fn main() { sum = group[0]; }
`;
  const readAdd = async (path: string): Promise<Uint8Array> =>
    path === 'add.wgsl' ? utf8(addWgsl) : utf8(JSON.stringify(path === 'add.json' ? add : { ...add, colour: 1 }));

  test('makes a job of each level, whose units read their groups joined', async () => {
    const outputs = [1, 2, 3].map((fill) => new Uint8Array(16).fill(fill));
    const groups = joinGroups(outputs, reduceLevels(3, 2)[0] ?? []);
    const prepared = await prepareReduceJob(expectInput(parseReduceFile(add, 'add.json')), groups, readAdd, options);
    expect(prepared.manifest.units).toBe(2);
    expect(prepared.manifest.shader.buffers[0]).toMatchObject({ kind: 'each', sizes: [32, 16] });
  });

  test('needs a file that can take its own outputs where it has several levels', async () => {
    const withReduce = (count: number, file: string): ReturnType<typeof readReduceFile> => {
      const buffers = [
        ...input.buffers.slice(0, 3),
        { binding: 3, kind: 'output' as const, type: 'f32' as const, count },
      ];
      const job = expectInput(parseJobFile({ ...input, buffers, reduce: { file, fanIn: 2 } }, 'job.json'));
      if (job.program !== 'shader') throw new Error('not a shader job');
      return readReduceFile(job, 3, readAdd, 'job.json');
    };
    await expect(withReduce(4, 'add.json')).resolves.toMatchObject({ fanIn: 2 });
    await expect(withReduce(8, 'add.json')).rejects.toThrow(
      'add.json: buffers: outputs of 16 bytes cannot stand beside outputs of 32 bytes',
    );
    await expect(withReduce(4, 'wrong.json')).rejects.toThrow('wrong.json: colour: unknown field, remove it');
  });
});

describe('a prepared training', () => {
  const train = (change: object = {}) =>
    expectInput(
      parseJobFile({ version: 1, name: 't', program: 'train', data: { files: ['a', 'b'] }, ...change }, 'train.json'),
    );
  const texts = async (path: string): Promise<Uint8Array> => utf8(path.repeat(2000));

  test('joins its files, and has a unit for each seat and round and one round more', async () => {
    const file = train({ steps: 120, method: { workers: 3, innerSteps: 50 } });
    if (file.program !== 'train') throw new Error('not a training');
    const { manifest, manifestBytes, chunks } = await prepareTrainJob(file, texts, options);
    expect(manifest.units).toBe((3 + 1) * 3);
    expect(manifest.train.data.bytes).toBe(4000);
    expect(joined(chunks, manifest.train.data.chunks)).toEqual(utf8('a'.repeat(2000) + 'b'.repeat(2000)));
    expect(manifest.train.model).toMatchObject({ width: 64, hidden: 172, vocabulary: 256 });
    expect(decodeManifest(manifestBytes).ok).toBe(true);
  });

  test('with too little text is refused', async () => {
    const file = train();
    if (file.program !== 'train') throw new Error('not a training');
    await expect(prepareTrainJob(file, async () => utf8('short'), options)).rejects.toThrow(
      /^job\.json: data\.files: 10 bytes leave 1 for validation/,
    );
  });
});

describe('a prepared generation', () => {
  const source = {
    name: 'tale',
    model: {
      architecture: 'llama' as const,
      layers: 1,
      width: 8,
      hidden: 8,
      heads: 2,
      keyValueHeads: 2,
      vocabulary: 256,
      context: 16,
      ropeTheta: 10_000,
      normEpsilon: 1e-5,
    },
    weights: new Uint8Array(64),
    promptTokens: [1],
    stopTokens: [],
  };
  test('draws its samples in groups', async () => {
    const { manifest } = await prepareGenerateJob(source, { samples: 20, samplesPerUnit: 8, seed: 5 }, options);
    expect(manifest.units).toBe(3);
    expect(manifest.generate).toMatchObject({ samples: 20, samplesPerUnit: 8, seed: 5, temperature: 0.8 });
    const one = await prepareGenerateJob(source, {}, options);
    expect(one.manifest).toMatchObject({ units: 1, generate: { samplesPerUnit: 1 } });
    // A seed stands for its samples on every tab, so everybody must sum in one order.
    expect(one.manifest.generate.variants).toEqual(safePins());
    expect(Object.keys(safePins()).length).toBeGreaterThan(0);
  });

  test('without a prompt, or with an option that nobody knows, is refused', async () => {
    await expect(prepareGenerateJob({ ...source, promptTokens: [] }, {}, options)).rejects.toThrow(
      /^job\.json: generate\.promptTokens: /,
    );
    await expect(prepareGenerateJob(source, JSON.parse('{"heat":1}'), options)).rejects.toThrow(
      'job.json: heat: unknown field, remove it',
    );
  });
});
