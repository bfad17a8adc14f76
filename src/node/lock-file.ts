/**
 * One process per data folder: PGlite does not lock its directory, so the hub writes its process id into a file. The
 * lock of a process that no longer runs is taken over at once, as a hub comes back right after it was killed.
 */

import { link, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../core/result.ts';
import { isSystemError, readTextIfThere } from './system-error.ts';

export interface DataLock {
  release(): Promise<void>;
}

/** What the file holds. `started` tells a process from a later one with the same id, where the system says it. */
interface Holder {
  readonly pid: number;
  readonly started: string;
}

const fileName = 'lock.json';

/** Takes the folder for this process, or throws an `InputError` that names who has it. */
export async function lockDataFolder(folder: string): Promise<DataLock> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, fileName);
  const mine: Holder = { pid: process.pid, started: startOf(process.pid) };
  for (;;) {
    if (await create(path, mine)) break;
    const text = await readTextIfThere(path);
    if (text === undefined) continue;
    const holder = parseHolder(text);
    if (holder !== undefined && isRunning(holder)) {
      throw new InputError(`${folder} is in use by process ${holder.pid}: stop it, or give another folder with --data`);
    }
    await removeStale(path, text);
  }
  // A signal or an exit that nobody awaits must not leave the next start with somebody else's process id.
  const onExit = (): void => {
    if (readNow(path) === JSON.stringify(mine)) rmSync(path, { force: true });
  };
  process.once('exit', onExit);
  return {
    release: async () => {
      process.off('exit', onExit);
      if ((await readTextIfThere(path)) === JSON.stringify(mine)) await rm(path, { force: true });
    },
  };
}

/** Whether the file was not there before. It appears with its text in it, so that nobody reads half a lock. */
async function create(path: string, holder: Holder): Promise<boolean> {
  const draft = `${path}.${process.pid}.new`;
  await writeFile(draft, JSON.stringify(holder));
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    if (!isSystemError(error, 'EPERM', 'ENOTSUP', 'ENOSYS')) throw error;
    // A file system without hard links.
    return createPlainly(path, holder);
  } finally {
    await rm(draft, { force: true });
  }
}

async function createPlainly(path: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Moves the stale file away; when another process was faster and the file is its lock by now, puts that back. */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${process.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readTextIfThere(aside)) === stale) await rm(aside, { force: true });
  else await rename(aside, path);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    if (!('pid' in value) || typeof value.pid !== 'number') return undefined;
    if (!('started' in value) || typeof value.started !== 'string') return undefined;
    return { pid: value.pid, started: value.started };
  } catch {
    return undefined; // Not ours, or cut off.
  }
}

function isRunning({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (isSystemError(error, 'ESRCH')) return false;
  }
  // A new process may have the id of the dead one: after a restart of the machine, or in a container, where ids are few.
  return startOf(pid) === started;
}

/** When the process started, in a form that is only compared; empty where the system does not tell. */
function startOf(pid: number): string {
  const stat = readNow(`/proc/${pid}/stat`);
  if (stat === undefined) return '';
  // The name in parentheses may hold anything; after it come the fields from the third on, the start being the 22nd.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return `${readNow('/proc/sys/kernel/random/boot_id')?.trim() ?? ''} ${ticks}`;
}

function readNow(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
