import { appendFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { equalBytes } from '../core/bytes.ts';
import { openFileSource } from './file-source.ts';

const folder = await mkdtemp(join(tmpdir(), 'tabswarm-source-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
const bytes = Uint8Array.from({ length: 2179 }, (_, index) => index % 251);

test('a file is read range by range, and keeps the length that it had', async () => {
  const path = join(folder, 'file');
  await writeFile(path, bytes);
  const source = await openFileSource(path);
  await appendFile(path, 'more');
  expect([source.name, source.bytes]).toEqual([path, 2179]);
  expect(equalBytes(await source.read(315, 2179), bytes.subarray(315))).toBe(true);
  expect(await source.read(5, 5)).toHaveLength(0);
  await source.close();
});

test('a file that becomes shorter, is a folder or is not there is told in one line', async () => {
  const path = join(folder, 'short');
  await writeFile(path, bytes);
  const source = await openFileSource(path);
  await truncate(path, 100);
  await expect(source.read(0, 315)).rejects.toThrow(`${path}: became shorter while it was read`);
  await source.close();
  await expect(openFileSource(folder)).rejects.toThrow(`${folder}: is a folder, a file was expected`);
  await expect(openFileSource(join(folder, 'none'))).rejects.toThrow('none: no such file');
});
