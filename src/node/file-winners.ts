/**
 * The store of tuned variants under Node: one JSON file under the data folder. It appears by a rename, so it is whole or
 * absent; a file that is not ours to read counts as empty and is written anew. Two processes may each lose the other's
 * last record, which costs a second of tuning.
 */

import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson, v } from '../core/schema.ts';
import { winnerKey, type WinnerStore } from '../kernels/winners.ts';
import { readTextIfThere } from './system-error.ts';

/** Records by adapter, then by family and bucket; what a record is the tuner judges. */
const fileSchema = v.record(v.string(), v.record(v.string(), v.unknown()));

export function createFileWinners(dataFolder: string): WinnerStore {
  const path = join(dataFolder, 'tuner.json');
  let turn: Promise<unknown> = Promise.resolve();
  const read = async (): Promise<v.InferOutput<typeof fileSchema>> => {
    const parsed = parseJson(fileSchema, (await readTextIfThere(path)) ?? '{}', path);
    return parsed.ok ? parsed.value : {};
  };
  const save: WinnerStore['save'] = async (adapter, winner) => {
    const all = await read();
    const changed = { ...all, [adapter]: { ...all[adapter], [winnerKey(winner)]: winner } };
    await mkdir(dataFolder, { recursive: true });
    const incoming = `${path}.${process.pid}`;
    await writeFile(incoming, JSON.stringify(changed));
    await rename(incoming, path);
  };
  return {
    load: async (adapter) => Object.values((await read())[adapter] ?? {}),
    save: (adapter, winner) => {
      const saved = turn.then(() => save(adapter, winner));
      turn = saved.catch(() => undefined);
      return saved;
    },
  };
}
