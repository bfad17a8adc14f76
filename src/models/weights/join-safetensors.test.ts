import { expect, test } from 'vitest';
import { memorySource } from '../../core/byte-source.ts';
import { concat, viewBytes } from '../../core/bytes.ts';
import { expectInput } from '../../core/result.ts';
import { joinSafetensors } from './join-safetensors.ts';
import { encodeSafetensors, openSafetensors, openShardedSafetensors } from './safetensors.ts';

const tensor = (name: string, values: readonly number[]) => ({
  name,
  type: 'F32' as const,
  shape: [values.length],
  bytes: viewBytes(Float32Array.from(values)),
});
const all = [tensor('a', [1, 2, 3]), tensor('empty', []), tensor('b', [4]), tensor('c', [5, 6, 7, 8, 9])];

const shards = new Map([
  ['one.safetensors', encodeSafetensors(all.slice(0, 2))],
  ['two.safetensors', encodeSafetensors(all.slice(2))],
]);
const index = JSON.stringify({
  weight_map: { a: 'one.safetensors', empty: 'one.safetensors', b: 'two.safetensors', c: 'two.safetensors' },
});
const openShards = async () =>
  expectInput(
    await openShardedSafetensors(index, 'index', async (name) =>
      memorySource(name, shards.get(name) ?? new Uint8Array()),
    ),
  );

test('files of a model joined are, byte for byte, the one file that would have been written', async () => {
  const joined = joinSafetensors(await openShards());
  const written = encodeSafetensors(all);
  expect(joined.bytes).toBe(written.byteLength);
  expect(await joined.read(0, joined.bytes)).toEqual(written);
});

test('every range of it is that range, across header and files', async () => {
  const joined = joinSafetensors(await openShards());
  const written = encodeSafetensors(all);
  for (let start = 0; start < written.byteLength; start += 7)
    for (const end of [start, start + 1, start + 13, written.byteLength].filter((one) => one <= written.byteLength))
      expect(await joined.read(start, end), `${start} to ${end}`).toEqual(written.slice(start, end));
  await expect(joined.read(0, joined.bytes + 1)).rejects.toThrow(/asked of/);
});

test('it opens like any other, and its tensors hold what theirs held', async () => {
  const file = expectInput(await openSafetensors(joinSafetensors(await openShards())));
  const parts = await Promise.all([...file.tensors.values()].map(({ source, start, end }) => source.read(start, end)));
  expect([...file.tensors.keys()]).toEqual(['a', 'empty', 'b', 'c']);
  expect(concat(...parts)).toEqual(concat(...all.map(({ bytes }) => bytes)));
});
