/** The browser finder on machines that this one is not: what it prefers, what it installs, what it says when it fails. */

import { describe, expect, test } from 'vitest';
import { BrowserMissingError, browserFlags, candidates, findBrowser } from './find-browser.mjs';

type Machine = NonNullable<Parameters<typeof findBrowser>[0]>;

/** A Linux machine with these programs and nothing else. */
const machineWith = (programs: readonly string[], rest: Partial<Machine> = {}): Machine => ({
  platform: 'linux',
  env: { PATH: '/usr/bin' },
  isExecutable: (path) => programs.includes(path),
  playwrightBrowser: () => Promise.resolve('/cache/playwright/chrome'),
  installOnDebian: () => undefined,
  tell: () => undefined,
  ...rest,
});

const everything = ['/mine/browser', '/usr/bin/google-chrome', '/usr/bin/chromium', '/cache/playwright/chrome'];

describe('the browser finder', () => {
  test('takes the browser that TABSWARM_BROWSER names before any other', async () => {
    const machine = machineWith(everything, { env: { PATH: '/usr/bin', TABSWARM_BROWSER: '/mine/browser' } });
    expect(await findBrowser(machine)).toBe('/mine/browser');
  });

  test('does not silently take another than TABSWARM_BROWSER names', async () => {
    const machine = machineWith(everything, { env: { PATH: '/usr/bin', TABSWARM_BROWSER: '/gone' } });
    await expect(findBrowser(machine)).rejects.toThrow(/TABSWARM_BROWSER names \/gone/);
  });

  test('takes an installed browser before that of Playwright', async () => {
    expect(await findBrowser(machineWith(everything))).toBe('/usr/bin/google-chrome');
    expect(await findBrowser(machineWith(['/usr/bin/chromium', '/cache/playwright/chrome']))).toBe('/usr/bin/chromium');
  });

  test('takes the browser of Playwright only where it was downloaded', async () => {
    expect(await findBrowser(machineWith(['/cache/playwright/chrome']))).toBe('/cache/playwright/chrome');
    await expect(findBrowser(machineWith([]))).rejects.toBeInstanceOf(BrowserMissingError);
  });

  test('installs the package of Debian as the last resort', async () => {
    const programs: string[] = [];
    const installOnDebian = (): string => {
      programs.push('/usr/bin/chromium');
      return '/usr/bin/chromium';
    };
    expect(await findBrowser(machineWith(programs, { installOnDebian }))).toBe('/usr/bin/chromium');
  });

  test('says what to install where nothing helps, in one line', async () => {
    const failure: unknown = await findBrowser(machineWith([])).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BrowserMissingError);
    expect(String(failure)).toMatch(/install Chrome, Chromium or Edge/);
    expect(String(failure)).not.toContain('\n');
  });

  test('knows where macOS and Windows keep browsers', () => {
    expect(candidates('darwin', { HOME: '/Users/a' })).toContain(
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    );
    expect(candidates('win32', { PROGRAMFILES: 'C:\\Program Files' })).toContain(
      'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
    );
  });
});

describe('the browser flags', () => {
  test('name the software adapter where it is wished, and not where hardware is', () => {
    expect(browserFlags({ gpu: 'software' })).toContain('--use-webgpu-adapter=swiftshader');
    expect(browserFlags({ gpu: 'hardware' })).not.toContain('--use-webgpu-adapter=swiftshader');
  });

  test('drop the sandbox only for root', () => {
    const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
    expect(browserFlags({ gpu: 'software' }).includes('--no-sandbox')).toBe(isRoot);
  });
});
