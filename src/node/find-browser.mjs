/**
 * Finds a Chromium-like browser on this machine and the flags that give it WebGPU. The order: the one that
 * TABSWARM_BROWSER names, an installed Chrome, Chromium or Edge, Playwright's own, and on Debian as root the package
 * `chromium`, which is installed then. It starts nothing itself; `browser.ts` does. Plain JavaScript, so that the test
 * runner may use it before anything is built.
 */

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Which adapter: `auto` looks for a GPU; the environment's TABSWARM_GPU (`software`, `hardware`) overrides it.
 * @typedef {'auto' | 'software' | 'hardware'} GpuChoice
 */

/**
 * What the search looks at, so that a test can describe another machine.
 * @typedef {object} Machine
 * @property {string} platform
 * @property {Readonly<Record<string, string | undefined>>} env
 * @property {(path: string) => boolean} isExecutable
 * @property {() => Promise<string | undefined>} playwrightBrowser its own browser, which may not have been downloaded
 * @property {(say: (line: string) => void) => string | undefined} installOnDebian the program's path, where it worked
 * @property {(line: string) => void} tell
 */

/** No browser, and no way to get one; the text says what to install. */
export class BrowserMissingError extends Error {
  /** @override */
  name = 'BrowserMissingError';
}

/** @type {Machine} */
const thisMachine = {
  platform: process.platform,
  env: process.env,
  isExecutable: (path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  },
  playwrightBrowser: async () => {
    try {
      const { chromium } = await import('playwright');
      return chromium.executablePath();
    } catch {
      return undefined;
    }
  },
  installOnDebian,
  tell: (line) => {
    process.stderr.write(`tabswarm: ${line}\n`);
  },
};

/**
 * The path of a browser's program; throws `BrowserMissingError`, whose text says what to install.
 * @param {Machine} [machine]
 */
export async function findBrowser(machine = thisMachine) {
  const named = machine.env.TABSWARM_BROWSER;
  if (named !== undefined && named !== '') {
    if (machine.isExecutable(named)) return named;
    throw new BrowserMissingError(`TABSWARM_BROWSER names ${named}, which is not a program; correct it or unset it`);
  }
  const installed = candidates(machine.platform, machine.env).find(machine.isExecutable);
  if (installed !== undefined) return installed;
  const bundled = await machine.playwrightBrowser();
  if (bundled !== undefined && machine.isExecutable(bundled)) return bundled;
  const added = machine.installOnDebian(machine.tell);
  if (added !== undefined && machine.isExecutable(added)) return added;
  throw new BrowserMissingError(
    'no browser found: install Chrome, Chromium or Edge, or run `npx playwright install chromium`, ' +
      'or set TABSWARM_BROWSER to the path of one',
  );
}

/**
 * Where Chrome, Chromium and Edge live on a platform, in order of preference.
 * @param {string} platform
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {string[]}
 */
export function candidates(platform, env) {
  if (platform === 'darwin') {
    const applications = ['/Applications', ...(env.HOME === undefined ? [] : [`${env.HOME}/Applications`])];
    return applications.flatMap((folder) =>
      ['Google Chrome', 'Chromium', 'Microsoft Edge'].map((name) => `${folder}/${name}.app/Contents/MacOS/${name}`),
    );
  }
  if (platform === 'win32') {
    const folders = [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA].filter((folder) => folder);
    return folders.flatMap((folder) =>
      [
        'Google\\Chrome\\Application\\chrome.exe',
        'Chromium\\Application\\chrome.exe',
        'Microsoft\\Edge\\Application\\msedge.exe',
      ].map((path) => `${folder}\\${path}`),
    );
  }
  const names = [
    'google-chrome-stable',
    'google-chrome',
    'chromium',
    'chromium-browser',
    'microsoft-edge-stable',
    'microsoft-edge',
  ];
  const folders = new Set([
    ...(env.PATH ?? '').split(delimiter).filter((folder) => folder),
    '/usr/bin',
    '/usr/local/bin',
    '/snap/bin',
  ]);
  return [
    ...names.flatMap((name) => [...folders].map((folder) => join(folder, name))),
    '/opt/google/chrome/chrome',
    '/opt/microsoft/msedge/msedge',
  ];
}

/**
 * Debian's own package, where we may install it.
 * @param {(line: string) => void} say
 * @returns {string | undefined} the program's path
 */
function installOnDebian(say) {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !isDebian()) return undefined;
  say('no browser found; installing the Debian package chromium ...');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  /** @param {string[]} options */
  const apt = (...options) => spawnSync('apt-get', options, { env, stdio: ['ignore', 2, 2] }).status === 0;
  if (!apt('update')) say('apt-get update failed; trying with the package lists at hand');
  return apt('install', '-y', '--no-install-recommends', 'chromium') ? '/usr/bin/chromium' : undefined;
}

/** Ubuntu's `chromium` is a stub for another package system, so only Debian itself will do. */
export function isDebian() {
  return existsSync('/etc/os-release') && /^ID="?debian"?$/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** Whether WebGPU can expect a real GPU here; elsewhere than on Linux the browser decides for itself. */
export function hasGpu() {
  if (process.platform !== 'linux') return true;
  return (
    namesIn('/dev/dri').some((name) => name.startsWith('renderD')) ||
    namesIn('/dev').some((name) => /^nvidia\d+$/.test(name) || name === 'dxg')
  );
}

/** @param {string} folder */
function namesIn(folder) {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** So that the remark on the software adapter is made once a process. */
let toldOfSoftware = false;

/**
 * The flags with which a headless browser has WebGPU on this machine.
 * @param {{ gpu?: GpuChoice }} [options]
 * @returns {string[]}
 */
export function browserFlags({ gpu = 'auto' } = {}) {
  const wish = gpu === 'auto' ? process.env.TABSWARM_GPU : gpu;
  const software = wish === 'software' || (wish !== 'hardware' && !hasGpu());
  if (software && wish !== 'software' && !toldOfSoftware) {
    toldOfSoftware = true;
    process.stderr.write('tabswarm: this machine shows no GPU; the browser uses its software adapter, which is slow\n');
  }
  return [
    '--headless=new',
    '--enable-unsafe-webgpu',
    ...(software ? ['--use-webgpu-adapter=swiftshader'] : hardwareFlags()),
    // A browser under our control talks to the hub only.
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
    '--disable-quic',
    // The sandbox refuses to start under root.
    ...(process.platform === 'linux' && process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ];
}

/** Headless Chromium on Linux leaves Vulkan off unless it is told. */
function hardwareFlags() {
  return process.platform === 'linux'
    ? ['--enable-features=Vulkan', '--use-angle=vulkan', '--disable-vulkan-surface', '--ignore-gpu-blocklist']
    : [];
}
