import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { testWinnerStore } from '../adapters/store/winners-acceptance.ts';
import { createFileWinners } from './file-winners.ts';

const folders: string[] = [];
const freshFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'tabswarm-winners-'));
  folders.push(folder);
  return folder;
};
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

testWinnerStore('file', async () => {
  const folder = await freshFolder();
  return () => createFileWinners(folder);
});

test.each(['', 'no JSON', '[1, 2]', '{"one": 3}'])(
  'a file that holds %j counts as empty and is written anew',
  async (text) => {
    const folder = await freshFolder();
    await writeFile(join(folder, 'tuner.json'), text);
    const store = createFileWinners(folder);
    expect(await store.load('one')).toEqual([]);
    const winner = {
      family: 'matmul',
      bucket: 'b',
      variant: 'p',
      timed: [],
      dropped: [],
      tried: [],
      work: 1,
      variants: [],
      shaders: [],
    };
    await store.save('one', winner);
    expect(await store.load('one')).toEqual([winner]);
    expect(await readdir(folder)).toEqual(['tuner.json']);
  },
);
