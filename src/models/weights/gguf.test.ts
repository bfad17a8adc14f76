import { existsSync, readFileSync } from 'node:fs';
import { GGUFValueType } from '@huggingface/gguf';
import { describe, expect, test } from 'vitest';
import { memorySource } from '../../core/byte-source.ts';
import { concatAll, utf8 } from '../../core/bytes.ts';
import { countingSource } from '../../core/counting-source.fixture.ts';
import { expectInput } from '../../core/result.ts';
import { encodeGguf, type GgufFile } from './encode-gguf.ts';
import { openGguf } from './gguf.ts';
import { streamTensor } from './stream-tensor.ts';
import type { StoredTensor } from './tensor-file.ts';

const counting = (length: number, from = 0) => Float32Array.from({ length }, (_, index) => from + index);

/** Three tensors whose ends need padding: 24, 128 and 2 x 34 bytes. */
const file: GgufFile = {
  metadata: {
    'general.architecture': { type: GGUFValueType.STRING, value: 'llama' },
    'llama.block_count': { type: GGUFValueType.UINT64, value: 3n },
    'tokenizer.ggml.tokens': { type: GGUFValueType.ARRAY, subType: GGUFValueType.STRING, value: ['a', 'ü', ''] },
  },
  tensors: [
    { name: 'small', shape: [2, 3], type: 'f32', values: () => [counting(6)] },
    { name: 'halves', shape: [64], type: 'f16', values: () => [counting(32), counting(32, 32)] },
    { name: 'quants', shape: [2, 32], type: 'q8_0', values: () => [counting(64).map((x) => x - 31)] },
  ],
};
const encode = (one: GgufFile): Uint8Array<ArrayBuffer> => concatAll([...encodeGguf(one)]);
const good = encode(file);
const open = (bytes: Uint8Array) => openGguf(memorySource('m.gguf', bytes));

async function valuesOf(tensor: StoredTensor | undefined): Promise<number[]> {
  const values: number[] = [];
  if (tensor !== undefined) for await (const piece of streamTensor(tensor)) values.push(...piece.values);
  return values;
}

/** Where these bytes stand in the good file. */
function placeOf(text: string): number {
  const place = Buffer.from(good).indexOf(utf8(text));
  expect(place).toBeGreaterThan(0);
  return place;
}

/** The good file with something written over it. */
function changed(write: (view: DataView) => void): Uint8Array {
  const copy = good.slice();
  write(new DataView(copy.buffer));
  return copy;
}
/** Behind a name in the list: axes, their lengths, the type, the offset. */
const behind = (name: string): number => placeOf(name) + name.length;

describe('a GGUF file', () => {
  test('comes back as it was written: metadata, axes from the outermost, aligned tensors; opening reads no weights', async () => {
    const source = countingSource(memorySource('m.gguf', good));
    const { tensors, metadata } = expectInput(await openGguf(source));
    expect(metadata).toMatchObject({ 'general.architecture': 'llama', 'llama.block_count': 3n });
    expect(metadata['tokenizer.ggml.tokens']).toEqual(['a', 'ü', '']);
    expect([...tensors.values()].map(({ name, type, shape, start }) => [name, type, shape, start % 32])).toEqual([
      ['small', 'f32', [2, 3], 0],
      ['halves', 'f16', [64], 0],
      ['quants', 'q8_0', [2, 32], 0],
    ]);
    expect(await valuesOf(tensors.get('small'))).toEqual([...counting(6)]);
    expect(await valuesOf(tensors.get('halves'))).toEqual([...counting(64)]);
    const quants = await valuesOf(tensors.get('quants'));
    for (const [index, value] of quants.entries()) expect(Math.abs(value - (index - 31))).toBeLessThan(0.2);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['of another kind', new Uint8Array(64).fill(1), /not a GGUF header: .*magic/],
    ['that is empty', new Uint8Array(), /not a GGUF header: /],
    ['of version 1', changed((view) => view.setUint32(4, 1, true)), /GGUF header|version 1/],
    ['of version 4', changed((view) => view.setUint32(4, 4, true)), /not a GGUF header: .*version/],
    ['cut off in its header', good.subarray(0, 100), /cut off in its header|not a GGUF header/],
    ['cut off in its list of tensors', good.subarray(0, behind('quants') + 4), /cut off in its header/],
    ['cut off in its last tensor', good.subarray(0, -32), /cut off in tensor quants: \d+ of at least \d+ bytes/],
    ['with bytes at the end', concatAll([good, new Uint8Array(32)]), /32|\d+ bytes after its last tensor/],
    ['with more tensors than it has', changed((view) => view.setBigUint64(8, 9_000_000n, true)), /GGUF header|cut off/],
    ['with more entries than it has', changed((view) => view.setBigUint64(16, 90_000n, true)), /not a GGUF header: /],
    [
      'with a type that is not read',
      changed((view) => view.setUint32(behind('halves') + 12, 10, true)),
      /tensor halves has type Q2_K; read are f32/,
    ],
    [
      'with a type that nobody knows',
      changed((view) => view.setUint32(behind('halves') + 12, 999, true)),
      /tensor halves has type number 999/,
    ],
    [
      'with overlapping tensors',
      changed((view) => view.setBigUint64(behind('quants') + 24, 32n, true)),
      /tensor quants begins at \d+, inside|tensor halves begins at \d+, inside/,
    ],
    [
      'with a hole',
      changed((view) => view.setBigUint64(behind('quants') + 24, 192n, true)),
      /tensor quants begins at \d+, the one before it ends at \d+/,
    ],
    [
      'with rows that are no whole blocks',
      changed((view) => view.setBigUint64(behind('quants') + 4, 31n, true)),
      /tensor quants: rows of 31 are no whole number of q8_0 blocks of 32/,
    ],
    [
      'with a tensor larger than the file',
      changed((view) => view.setBigUint64(behind('quants') + 12, 4_000_000_000n, true)),
      /cut off in tensor quants/,
    ],
    [
      'with an axis beyond reason',
      changed((view) => view.setBigUint64(behind('quants') + 12, 2n ** 63n, true)),
      /not a GGUF header: Tensor "quants" dimension 1/,
    ],
    [
      'with an alignment that is none',
      encode({ ...file, metadata: { 'general.alignment': { type: GGUFValueType.UINT32, value: 48 } } }),
      /general\.alignment is 48, expected a power of two/,
    ],
    [
      'that is a piece of several',
      encode({ ...file, metadata: { 'split.count': { type: GGUFValueType.UINT16, value: 3 } } }),
      /one of 3 pieces; join them/,
    ],
    [
      'with a name twice',
      encode({ ...file, tensors: [0, 1].flatMap(() => file.tensors.slice(0, 1)) }),
      /tensor small is there twice/,
    ],
  ])('%s is refused in one line', async (_what, bytes, line) => {
    const read = await open(bytes);
    const text = read.ok ? 'accepted' : read.error.text;
    expect(text).toMatch(/^m\.gguf: [^\n]+$/);
    expect(text).toMatch(line);
  });

  test('a source that fails is told as what it is, not as a wrong file', async () => {
    const source = { ...memorySource('m.gguf', good), read: async () => Promise.reject(new Error('the disk is gone')) };
    await expect(openGguf(source)).rejects.toThrow('the disk is gone');
  });
});

const vocabulary = '../shared/data/gguf/ggml-vocab-gpt-2.gguf';
test.skipIf(!existsSync(vocabulary))("llama.cpp's GPT-2 vocabulary is a file without tensors", async () => {
  const { tensors, metadata } = expectInput(await openGguf(memorySource('vocab.gguf', readFileSync(vocabulary))));
  expect(tensors.size).toBe(0);
  expect(metadata['general.architecture']).toBe('gpt2');
  expect(metadata['tokenizer.ggml.tokens']).toHaveLength(50257);
});
