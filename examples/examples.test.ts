/**
 * The examples that a developer copies: their job files parse and become manifests, their truths hold up against
 * other ways of computing the same, and, where there is a GPU (TABSWARM_NODE_GPU=1), every unit of them gives what its
 * truth says.
 */

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../src/adapters/gpu/device.ts';
import { sha256Large } from '../src/adapters/crypto/sha256-large.ts';
import {
  joinGroups,
  prepareReduceJob,
  prepareShaderJob,
  readReduceFile,
  reduceLevels,
  type PreparedJob,
  type PrepareOptions,
  type ReadFile,
} from '../src/assembly/job.ts';
import { concat, type Bytes } from '../src/core/bytes.ts';
import type { AccountId, Digest } from '../src/core/ids.ts';
import { expectInput } from '../src/core/result.ts';
import { openNodeGpu } from '../src/node/open-gpu.ts';
import { openShaderProgram } from '../src/programs/shader.ts';
import type { Chunks } from '../src/protocol/ports.ts';
import { parseJobFile, type ShaderJobFile } from '../src/protocol/job-file.ts';
import { sceneWords } from './render/scene.ts';
import { check as checkRender, inverse, mul, root, truthTile, unitVector } from './render/render-truth.ts';
import { check as checkSearch, hashWord, noncesPerUnit, prefixText } from './search/search-truth.ts';
import { check as checkSum, piOf, truthTotal } from './sum/sum-truth.ts';

const folder = new URL('./', import.meta.url);
const jobFiles = ['render/render.json', 'render/render-quick.json', 'search/search.json', 'sum/sum.json'];
const options: PrepareOptions = {
  submitter: '0'.repeat(64) as AccountId,
  nonce: '0'.repeat(32),
  now: 0,
  digest: sha256Large,
};

async function load(path: string): Promise<{ file: ShaderJobFile; read: ReadFile }> {
  const url = new URL(path, folder);
  const file = expectInput(parseJobFile(JSON.parse(await readFile(url, 'utf8')), path));
  if (file.program !== 'shader') throw new Error(`${path} is no shader job`);
  return { file, read: (name) => readFile(new URL(name, url)) };
}

describe('the examples as files', () => {
  test.each(jobFiles)('%s becomes a manifest that a hub takes', async (path) => {
    const { file, read } = await load(path);
    const prepared = await prepareShaderJob(file, read, { ...options, where: path });
    expect(prepared.manifest.units).toBeGreaterThan(1);
    expect(prepared.chunks.has(prepared.job as string as Digest)).toBe(true);
    await expect(readReduceFile(file, prepared.manifest.units, read, path)).resolves.toBeTypeOf(
      file.reduce === undefined ? 'undefined' : 'object',
    );
  });

  test('the quick picture differs from the full one only in its name and its samples', async () => {
    const full = (await load('render/render.json')).file;
    const quick = (await load('render/render-quick.json')).file;
    expect({ ...quick, name: full.name, constants: full.constants }).toEqual(full);
    expect(quick.constants['samples']).toBeLessThan(full.constants['samples'] ?? 0);
  });

  test('the scene in the job file is the scene that people read', async () => {
    const { file } = await load('render/render.json');
    const input = file.buffers.find((buffer) => buffer.kind === 'input');
    const bytes =
      input !== undefined && 'data' in input && 'bytes' in input.data ? input.data.bytes : new Uint8Array(0);
    expect([...new Int32Array(bytes.slice().buffer)]).toEqual(sceneWords());
  });

  test('the prefix in the search job is the text that the truth hashes', async () => {
    const { file } = await load('search/search.json');
    const input = file.buffers.find((buffer) => buffer.kind === 'input');
    const bytes =
      input !== undefined && 'data' in input && 'bytes' in input.data ? input.data.bytes : new Uint8Array(0);
    const view = new DataView(bytes.buffer);
    const bigEndian = new Uint8Array(bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; at += 4)
      new DataView(bigEndian.buffer).setUint32(at, view.getUint32(at, true));
    expect(new TextDecoder().decode(bigEndian)).toBe(prefixText);
  });
});

describe('the truths', () => {
  test('fixed-point products are the upper part of the exact 64-bit product', () => {
    const samples = [0, 1, -1, 65536, -65536, 98304, 2 ** 31 - 1, -(2 ** 31), 123456789, -987654321, 40503];
    for (const a of samples) {
      for (const b of samples) {
        expect(mul(a, b), `${a} * ${b}`).toBe(Number(BigInt.asIntN(32, (BigInt(a) * BigInt(b)) >> 16n)));
      }
    }
  });

  test('fixed-point roots are the largest whole number whose square fits', () => {
    for (const x of [0, 1, 2, 3, 65535, 65536, 131072, 2 ** 31 - 1, 999_999_937]) {
      const found = BigInt(root(x));
      const radicand = BigInt(x) << 16n;
      expect(found * found <= radicand && (found + 1n) * (found + 1n) > radicand, `root of ${x}`).toBe(true);
    }
    expect(root(-5)).toBe(0);
    expect(inverse(65536) / 65536).toBeCloseTo(1, 4);
  });

  test('unit vectors have length 1 within the format', () => {
    for (const v of [
      [65536, 0, 0],
      [30000, -40000, 12345],
      [5, 700000, -800000],
    ] as const) {
      expect(Math.hypot(...unitVector(v)) / 65536).toBeCloseTo(1, 3);
    }
  });

  test('a wrong bit, a missing tile and a short tile of the picture are named', () => {
    const scene = sceneWords();
    const outputs = new Map(Array.from({ length: 30 }, (_, unit) => [unit, truthTile(scene, 1, unit)] as const));
    expect(checkRender(outputs, scene, 1)).toBeUndefined();
    const tile = outputs.get(7)?.slice() ?? new Uint8Array(0);
    tile[0] = (tile[0] ?? 0) ^ 1;
    expect(checkRender(new Map([...outputs, [7, tile]]), scene, 1)).toMatch(/^unit 7: pixel 128, 32, channel 0/);
    expect(checkRender(new Map([...outputs, [3, tile.subarray(12)]]), scene, 1)).toMatch(/^unit 3: 24564 bytes/);
    outputs.delete(29);
    expect(checkRender(outputs, scene, 1)).toBe('unit 29: no output');
  });

  test('the smallest hash of some nonces is smaller than all others, and another nonce is refused', () => {
    const words = Array.from({ length: 1000 }, (_, nonce) => hashWord(nonce));
    expect(new Set(words).size).toBe(1000);
    const claim = new Uint8Array(Uint32Array.from([Math.min(...words) + 1, 5, 0]).buffer);
    expect(checkSearch(new Map([[0, claim]]), 1)).toMatch(/^unit 0: word is/);
  });

  test('the counted points come near to pi', () => {
    expect(piOf(new Uint8Array(Uint32Array.from(truthTotal()).buffer))).toBeCloseTo(Math.PI, 5);
    expect(checkSum(new Map())).toBe('unit 0: no output');
  });
});

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('the examples on a GPU', () => {
  let gpu: GPU;
  let opened: OpenedDevice;
  beforeAll(async () => {
    gpu = await openNodeGpu();
    opened = await openDevice(gpu);
  });
  afterAll(() => opened.close());

  async function run({ manifest, chunks }: PreparedJob<'shader'>): Promise<Map<number, Bytes>> {
    const program = await openShaderProgram(manifest, opened.device, chunksOf(chunks));
    const outputs = new Map<number, Bytes>();
    for (let unit = 0; unit < manifest.units; unit++) {
      outputs.set(unit, await program.run({ unit, signal: new AbortController().signal, progress: () => {} }));
    }
    program.close();
    return outputs;
  }

  test('the picture is that of the truth, bit for bit', { timeout: 300_000 }, async () => {
    const { file, read } = await load('render/render-quick.json');
    const outputs = await run(await prepareShaderJob(file, read, options));
    expect(checkRender(outputs, sceneWords(), file.constants['samples'] ?? 0)).toBeUndefined();
  });

  test('the search finds what a library finds', { timeout: 300_000 }, async () => {
    const { file, read } = await load('search/search.json');
    const outputs = await run(await prepareShaderJob(file, read, options));
    expect(outputs.size * noncesPerUnit).toBe(262_144);
    expect(checkSearch(outputs)).toBeUndefined();
  });

  test('the reduce tree comes down to one output, which gives pi', { timeout: 300_000 }, async () => {
    const { file, read } = await load('sum/sum.json');
    const leaves = await run(await prepareShaderJob(file, read, options));
    const reduce = await readReduceFile(file, leaves.size, read, 'sum.json');
    let outputs = [...leaves.values()];
    for (const groups of reduceLevels(outputs.length, reduce?.fanIn ?? 0)) {
      if (reduce === undefined) break;
      outputs = [
        ...(await run(await prepareReduceJob(reduce.file, joinGroups(outputs, groups), read, options))).values(),
      ];
    }
    expect(outputs).toHaveLength(1);
    expect(checkSum(leaves, outputs[0])).toBeUndefined();
  });
});

/** Reads artifacts straight from a prepared job's chunks. */
function chunksOf(chunks: ReadonlyMap<Digest, Bytes>): Chunks {
  const read: Chunks['read'] = async (artifact) =>
    concat(...artifact.chunks.map((digest) => chunks.get(digest) ?? new Uint8Array(0)));
  return { read, readRange: async (artifact, start, end) => (await read(artifact)).slice(start, end) };
}
