import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { memorySource } from '../../core/byte-source.ts';
import { concat, equalBytes, utf8 } from '../../core/bytes.ts';
import { countingSource } from '../../core/counting-source.fixture.ts';
import { expectInput } from '../../core/result.ts';
import { encodeSafetensors, openSafetensors, openShardedSafetensors, type SafetensorsEntry } from './safetensors.ts';
import { streamTensor } from './stream-tensor.ts';
import type { StoredTensor } from './tensor-file.ts';

const folder = '../shared/data/safetensors';

/** A file with this header text and that many zero bytes after it. */
function rawFile(header: string, dataBytes: number): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(utf8(header).byteLength), true);
  return concat(length, utf8(header), new Uint8Array(dataBytes));
}

const entry = (from: number, to: number, dtype = 'F32') =>
  `{"dtype":"${dtype}","shape":[2],"data_offsets":[${from},${to}]}`;

const refusal = async (bytes: Uint8Array): Promise<string> => {
  const read = await openSafetensors(memorySource('w.safetensors', bytes));
  return read.ok ? 'accepted' : read.error.text;
};

const valuesOf = async (tensor: StoredTensor | undefined): Promise<number[]> => {
  const values: number[] = [];
  if (tensor !== undefined) for await (const piece of streamTensor(tensor)) values.push(...piece.values);
  return values;
};

const f32 = (name: string, ...values: number[]): SafetensorsEntry => ({
  name,
  type: 'F32',
  shape: [values.length],
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

describe('one file', () => {
  test('tensors come back as they were written, with an aligned beginning, and opening reads the header only', async () => {
    const tensors: SafetensorsEntry[] = [
      { name: 'a', type: 'F32', shape: [2, 3], bytes: new Uint8Array(24).fill(7) },
      { name: 'empty', type: 'I64', shape: [0], bytes: new Uint8Array(0) },
      { name: 'scalar', type: 'U8', shape: [], bytes: Uint8Array.of(9) },
    ];
    const bytes = encodeSafetensors(tensors, { made: 'here' });
    const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(headerBytes % 8).toBe(0);
    const source = countingSource(memorySource('w.safetensors', bytes));
    const { tensors: read, metadata } = expectInput(await openSafetensors(source));
    expect(source.reads).toEqual([
      { start: 0, end: 8 },
      { start: 8, end: 8 + headerBytes },
    ]);
    expect(metadata).toEqual({ made: 'here' });
    expect([...read.values()].map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ['a', 'f32', [2, 3]],
      ['empty', 'i64', [0]],
      ['scalar', 'u8', []],
    ]);
    const { start = 0, end = 0 } = read.get('a') ?? {};
    expect(equalBytes(await source.read(start, end), new Uint8Array(24).fill(7))).toBe(true);
    expect([await valuesOf(read.get('empty')), await valuesOf(read.get('scalar'))]).toEqual([[], [9]]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['a hole', rawFile(`{"a":${entry(4, 12)}}`, 12), /tensor a begins at 67, the one before it ends at 63/],
    ['an overlap', rawFile(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), /tensor b begins at \d+, inside/],
    [
      'a range that is longer than its shape',
      rawFile(`{"a":${entry(0, 12)}}`, 12),
      /tensor a is f32 \[2\]: 8 bytes, but has 12/,
    ],
    ['a range that ends before it begins', rawFile(`{"a":${entry(8, 0)}}`, 8), /tensor a .*-8/],
    ['a type that nobody knows', rawFile(`{"a":${entry(0, 8, 'F31')}}`, 8), /header: a\.dtype: /],
    ['a tensor that is cut off', rawFile(`{"a":${entry(0, 8)}}`, 4), /cut off in tensor a: \d+ of at least \d+ bytes/],
    ['bytes that belong to none', rawFile(`{"a":${entry(0, 8)}}`, 9), /1 bytes after its last tensor/],
    [
      'a shape whose product is beyond numbers',
      rawFile(`{"a":{"dtype":"F32","shape":[9007199254740991,9007199254740991],"data_offsets":[0,8]}}`, 8),
      /tensor a is/,
    ],
    ['a header that is no JSON', rawFile(`{"a":${entry(0, 8)}`, 8), /header: not JSON/],
    ['a header that is a list', rawFile(`[1]`, 0), /header: /],
    ['a name of two lines', rawFile(`{"a\\nb":${entry(0, 12)}}`, 12), /tensor "a\\nb" is/],
    ['a wrong field under a name of two lines', rawFile(`{"a\\nb":${entry(0, 8, 'F31')}}`, 8), /header: /],
    ['less than a length', new Uint8Array(5), /shorter than/],
    ['a length beyond reason', new Uint8Array(20).fill(255), /header of 18446744073709551615 bytes/],
    ['a length beyond the file', rawFile(`{}`, 0).subarray(0, 9), /cut off in its header: 9 of at least 10 bytes/],
  ])('%s is refused in one line', async (_what, bytes, line) => {
    const text = await refusal(bytes);
    expect(text).toMatch(/^w\.safetensors: [^\n]+$/);
    expect(text).toMatch(line);
  });

  test('the same without its fault is accepted', async () => {
    expect(await refusal(rawFile(`{"a":${entry(0, 8)}}`, 8))).toBe('accepted');
  });
});

describe('several files with an index', () => {
  const shards: Record<string, Uint8Array> = {
    'model-1.safetensors': encodeSafetensors([f32('a', 1, 2)]),
    'model-2.safetensors': encodeSafetensors([f32('b', 3), f32('c', 4)]),
  };
  const map = { a: 'model-1.safetensors', b: 'model-2.safetensors', c: 'model-2.safetensors' };
  const openIndex = (weights: object) =>
    openShardedSafetensors(
      JSON.stringify({ metadata: { total_size: 16 }, weight_map: weights }),
      'index.json',
      async (file) => memorySource(file, shards[file] ?? new Uint8Array()),
    );

  test('are one', async () => {
    const { tensors } = expectInput(await openIndex(map));
    expect(await Promise.all(['a', 'b', 'c'].map((name) => valuesOf(tensors.get(name))))).toEqual([[1, 2], [3], [4]]);
  });

  test.each<[string, object, RegExp]>([
    ['a tensor in another file than it says', { ...map, a: 'model-2.safetensors' }, /tensor a is not in model-2/],
    ['a tensor that it does not name', { a: map.a, b: map.b }, /tensor c is in model-2.safetensors, which the index/],
    ['a tensor that is nowhere', { ...map, d: map.a }, /tensor d is not in model-1/],
    ['a file that is missing', { ...map, d: 'model-3.safetensors' }, /model-3\.safetensors: shorter than/],
    ['a file outside the folder', { ...map, a: '../secret' }, /weight_map\.a: expected the name of a file/],
  ])('%s is refused', async (_what, weights, line) => {
    const read = await openIndex(weights);
    expect(read.ok ? '' : read.error.text).toMatch(line);
  });
});

describe.skipIf(!existsSync(folder))('files that others wrote', () => {
  const open = async (name: string) =>
    expectInput(await openSafetensors(memorySource(name, readFileSync(`${folder}/${name}`))));

  test('burn: the network computes what PyTorch does', async () => {
    const { tensors } = await open('burn-multi_layer.safetensors');
    const weight = async (name: string) => valuesOf(tensors.get(name));
    const oracle = JSON.parse(readFileSync('../shared/data/oracle/multi_layer_expected.json', 'utf8')) as {
      numpy_f64: number[];
    };
    const output = await multiLayer(weight);
    expect(output).toHaveLength(16);
    for (const [index, value] of output.entries()) expect(value).toBeCloseTo(oracle.numpy_f64[index] ?? NaN, 6);
  });

  test('candle: integers come as they are', async () => {
    const { tensors } = await open('candle-jfk-codes.safetensors');
    const codes = tensors.get('codes');
    expect([codes?.type, codes?.shape]).toEqual(['i64', [1, 2, 828]]);
    const values = await valuesOf(codes);
    expect(values).toHaveLength(1656);
    expect(values.every((code) => Number.isInteger(code) && code >= 0 && code < 2048)).toBe(true);
    expect(new Set(values).size).toBeGreaterThan(100);
  });
});

/** conv 3 -> 4 with padding, batch norm, ReLU, 256 -> 16, on an image of ones 8 x 8. */
async function multiLayer(weight: (name: string) => Promise<number[]>): Promise<number[]> {
  const at = (values: readonly number[], index: number): number => values[index] ?? NaN;
  const [kernel, bias] = [await weight('conv1.weight'), await weight('conv1.bias')];
  const [gain, shift] = [await weight('norm1.weight'), await weight('norm1.bias')];
  const [mean, variance] = [await weight('norm1.running_mean'), await weight('norm1.running_var')];
  const inside = (x: number): boolean => x >= 0 && x < 8;
  const features: number[] = [];
  for (let channel = 0; channel < 4; channel++) {
    for (let pixel = 0; pixel < 64; pixel++) {
      let sum = at(bias, channel);
      for (let tap = 0; tap < 27; tap++) {
        const [row, column] = [Math.floor(pixel / 8) + Math.floor((tap % 9) / 3) - 1, (pixel % 8) + (tap % 3) - 1];
        if (inside(row) && inside(column)) sum += at(kernel, channel * 27 + tap);
      }
      const scale = at(gain, channel) / Math.sqrt(at(variance, channel) + 1e-5);
      features.push(Math.max(0, (sum - at(mean, channel)) * scale + at(shift, channel)));
    }
  }
  const [matrix, offsets] = [await weight('fc1.weight'), await weight('fc1.bias')];
  return offsets.map((offset, row) =>
    features.reduce((sum, feature, column) => sum + feature * at(matrix, row * 256 + column), offset),
  );
}
