/** The finder of Firefox on machines that this one is not. */

import { describe, expect, test } from 'vitest';
import { findFirefox } from './find-firefox.mjs';

type Machine = NonNullable<Parameters<typeof findFirefox>[0]>;

/** A Linux machine with these programs, each with what its `--version` prints. */
const machineWith = (programs: Readonly<Record<string, string>>, rest: Partial<Machine> = {}): Machine => ({
  platform: 'linux',
  env: { PATH: '/usr/bin' },
  isExecutable: (path) => path in programs,
  versionText: (path) => programs[path] ?? '',
  installOnDebian: () => undefined,
  ...rest,
});

const release = 'Mozilla Firefox 153.0.1';
const longTerm = 'Mozilla Firefox 153.7.0esr';

describe('the finder of Firefox', () => {
  test('takes the one that TABSWARM_FIREFOX names before any other', () => {
    const env = { PATH: '/usr/bin', TABSWARM_FIREFOX: '/mine/firefox' };
    const machine = machineWith({ '/mine/firefox': longTerm, '/usr/bin/firefox': release }, { env });
    expect(findFirefox(machine)).toEqual({ path: '/mine/firefox', version: '153.7.0esr' });
  });

  test('takes no other in silence where that one is gone', () => {
    const env = { PATH: '/usr/bin', TABSWARM_FIREFOX: '/gone' };
    const found = findFirefox(machineWith({ '/usr/bin/firefox': release }, { env }));
    expect(found).toEqual({ why: 'TABSWARM_FIREFOX names /gone, which is not a program; correct it or unset it' });
  });

  test('takes an installed release before a long-term one', () => {
    const both = { '/usr/bin/firefox': release, '/usr/bin/firefox-esr': longTerm };
    expect(findFirefox(machineWith(both))).toMatchObject({ path: '/usr/bin/firefox' });
    expect(findFirefox(machineWith({ '/usr/bin/firefox-esr': longTerm }))).toMatchObject({ version: '153.7.0esr' });
  });

  test('refuses one that is too old, and says which is needed', () => {
    const found = findFirefox(machineWith({ '/usr/bin/firefox': 'Mozilla Firefox 140.2.0esr' }));
    expect(found).toMatchObject({ why: expect.stringMatching(/version 140\.2\.0esr, which is too old.*141 or newer/) });
  });

  test('installs the packages of Debian as the last resort, and never when told to go on without', () => {
    const programs: Record<string, string> = {};
    let installs = 0;
    const installOnDebian = (): string => {
      installs++;
      programs['/usr/bin/firefox-esr'] = longTerm;
      return '/usr/bin/firefox-esr';
    };
    const without = machineWith(programs, { env: { TABSWARM_FIREFOX: 'none' }, installOnDebian });
    expect(findFirefox(without)).toMatchObject({ why: expect.stringContaining('TABSWARM_FIREFOX=none') });
    expect(installs).toBe(0);
    expect(findFirefox(machineWith(programs, { installOnDebian }))).toMatchObject({ path: '/usr/bin/firefox-esr' });
  });

  test('says what to install where there is none', () => {
    expect(findFirefox(machineWith({}))).toEqual({
      why: 'no Firefox: install version 141 or newer, or set TABSWARM_FIREFOX to the path of one',
    });
  });
});
