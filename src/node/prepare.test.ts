/** Preparing a fresh clone: what counts as installed, as built, as too old; and that two commands do not build at once. */

import { mkdirSync, mkdtempSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withLock } from './lock.mjs';
import { checkNodeVersion, isInstalled, sourceStamp } from './prepare.mjs';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tabswarm-prepare-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file whose modification time is `seconds` after 1970. */
const write = (path: string, seconds: number, text = ''): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
  utimesSync(join(folder, path), seconds, seconds);
};

describe('the version of Node', () => {
  test.each(['20.19.0', '20.20.2', '22.0.0', '24.1.0'])('%s is recent enough', (version) => {
    expect(() => checkNodeVersion(version)).not.toThrow();
  });

  test.each(['18.20.0', '20.18.9', '19.99.0'])('%s is refused in one line that names what is needed', (version) => {
    expect(() => checkNodeVersion(version)).toThrow(/^Node \S+ is too old: tabswarm needs Node 20\.19 or newer .*$/);
  });
});

describe('the packages', () => {
  test('are missing in a fresh clone', () => {
    write('package-lock.json', 100);
    expect(isInstalled(folder)).toBe(false);
  });

  test('are there when they were installed after the lock file changed, and not when before', () => {
    write('package-lock.json', 100);
    write('node_modules/.package-lock.json', 101);
    expect(isInstalled(folder)).toBe(true);
    write('package-lock.json', 102);
    expect(isInstalled(folder)).toBe(false);
  });
});

describe('the stamp of the sources', () => {
  test('changes with an edit, an addition and a removal, and not with a test', () => {
    write('src/a.ts', 100);
    write('src/deep/b.ts', 100);
    const first = sourceStamp(folder);
    write('src/a.test.ts', 200);
    expect(sourceStamp(folder)).toBe(first);
    write('src/deep/b.ts', 101);
    const edited = sourceStamp(folder);
    expect(edited).not.toBe(first);
    write('shaders/c.wgsl', 50);
    expect(sourceStamp(folder)).not.toBe(edited);
    unlinkSync(join(folder, 'shaders/c.wgsl'));
    expect(sourceStamp(folder)).toBe(edited);
  });
});

describe('the lock', () => {
  test('lets one holder work at a time and passes on what it returns', async () => {
    let inside = 0;
    let most = 0;
    const work = async (): Promise<number> => {
      inside += 1;
      most = Math.max(most, inside);
      await Promise.resolve();
      inside -= 1;
      return most;
    };
    const path = join(folder, 'locks', 'one.lock');
    expect(await Promise.all([withLock(path, work), withLock(path, work)])).toEqual([1, 1]);
  });

  test('is freed when the work throws', async () => {
    const path = join(folder, 'one.lock');
    await expect(withLock(path, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await withLock(path, () => 'free')).toBe('free');
  });

  test('is taken over from a process that is gone', async () => {
    const path = join(folder, 'one.lock');
    // Larger than any process id that a system gives.
    write('one.lock/owner', 100, '999999999');
    expect(await withLock(path, () => 'taken')).toBe('taken');
  });
});
