/**
 * One holder at a time for work that two commands of this checkout may start together: installing and building. The
 * lock is a folder that holds its owner's process id; a lock whose owner is gone is taken over. Plain JavaScript without
 * dependencies, because it runs before anything is installed.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** How often a waiting command looks again. */
const lockPollMs = 200;
/** A lock without a readable owner belongs to a process that died between two calls, once it was seen this often. */
const ownerlessLooksMax = 10;

/**
 * Runs `work` while holding the folder `path`; waits while another living process holds it.
 * @template T
 * @param {string} path
 * @param {() => T | Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  const ownerFile = join(path, 'owner');
  for (let ownerless = 0; !take(path);) {
    const owner = readOwner(ownerFile);
    ownerless = owner === undefined ? ownerless + 1 : 0;
    if ((owner !== undefined && !isAlive(owner)) || ownerless > ownerlessLooksMax) {
      rmSync(path, { recursive: true, force: true });
    } else {
      await wait(lockPollMs);
    }
  }
  try {
    writeFileSync(ownerFile, String(process.pid));
    return await work();
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

/** @param {string} path */
function take(path) {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} ownerFile */
function readOwner(ownerFile) {
  try {
    const owner = Number.parseInt(readFileSync(ownerFile, 'utf8'), 10);
    return Number.isInteger(owner) ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** @param {number} processId */
function isAlive(processId) {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    // A process of another user is alive all the same.
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
