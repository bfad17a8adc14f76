/** What a data folder holds beside the store: the lock and the account key. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { accountIdOf, createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { fromHex } from '../core/bytes.ts';
import { InputError } from '../core/result.ts';
import { identityPath, loadAccountKeyFile } from './identity-file.ts';
import { lockDataFolder } from './lock-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-data-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('a data folder is for one process at a time, and free again after its release', async () => {
  const lock = await lockDataFolder(folder);
  await expect(lockDataFolder(folder)).rejects.toThrow(InputError);
  await expect(lockDataFolder(folder)).rejects.toThrow(`is in use by process ${process.pid}: stop it, or give`);
  await lock.release();
  expect(await readdir(folder)).toEqual([]);
  await (await lockDataFolder(folder)).release();
});

it('of many that want the folder at once exactly one gets it', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 16 }, () => lockDataFolder(folder)));
  const taken = outcomes.filter(({ status }) => status === 'fulfilled');
  expect(taken).toHaveLength(1);
  for (const outcome of taken) if (outcome.status === 'fulfilled') await outcome.value.release();
});

it('the lock of a killed process is taken over at once', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  const holder = async () => JSON.stringify({ pid, started: await startOf(pid) });
  await writeFile(join(folder, 'lock.json'), await holder());
  await expect(lockDataFolder(folder)).rejects.toThrow(`in use by process ${pid}`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await lockDataFolder(folder)).release();
});

it('a process that merely has the id of a dead one does not hold its lock', async () => {
  await writeFile(join(folder, 'lock.json'), JSON.stringify({ pid: process.pid, started: 'long ago' }));
  await (await lockDataFolder(folder)).release();
});

it('a lock file that is none is replaced', async () => {
  await writeFile(join(folder, 'lock.json'), '{"pid":');
  await (await lockDataFolder(folder)).release();
});

it('an account key is made once, is for its owner only, and is one that other programs can read', async () => {
  const data = join(folder, 'made', 'here');
  const [first, second] = await Promise.all([loadAccountKeyFile(data), loadAccountKeyFile(data)]);
  const account = accountIdOf(first);
  expect(accountIdOf(second)).toBe(account);
  expect(accountIdOf(await loadAccountKeyFile(data))).toBe(account);
  expect((await stat(identityPath(data))).mode & 0o777).toBe(0o600);
  const jwk = createPublicKey(createPrivateKey(await readFile(identityPath(data)))).export({ format: 'jwk' });
  expect(Buffer.from(jwk.x ?? '', 'base64url').toString('hex')).toBe(account);
  const identity = await createIdentity({ accountKey: first });
  expect(await verifySignature(account, 'session', fromHex(identity.session), identity.sessionSignature)).toBe(true);
  expect(accountIdOf(await loadAccountKeyFile(folder))).not.toBe(account);
});

it('a file that holds no Ed25519 key is refused with its name and the mend', async () => {
  for (const text of ['', 'hello', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n']) {
    await writeFile(identityPath(folder), text);
    await expect(loadAccountKeyFile(folder)).rejects.toThrow(InputError);
    await expect(loadAccountKeyFile(folder)).rejects.toThrow('account-key.pem: not an Ed25519 private key');
    expect(await readFile(identityPath(folder), 'utf8')).toBe(text);
  }
});

/** As the lock reads it: the boot's id and the ticks at which the process started; empty off Linux. */
async function startOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${boot.trim()} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return '';
  }
}
