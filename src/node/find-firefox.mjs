/**
 * Finds a Firefox with WebGPU on this machine, for the runs that hold a second engine against the first: the one that
 * TABSWARM_FIREFOX names, an installed one, and on Debian as root the package `firefox-esr` with a software Vulkan driver,
 * which are installed then. Nobody needs it to use tabswarm, so whoever asks is told why there is none and goes on
 * without. It starts no page; `e2e/support/firefox.ts` does.
 */

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isDebian } from './find-browser.mjs';

/** The first release whose WebGPU needs no build of its own; the long-term releases from 153 on have it too. */
const versionMin = 141;

/**
 * What the search looks at, so that a test can describe another machine.
 * @typedef {object} FirefoxMachine
 * @property {string} platform
 * @property {Readonly<Record<string, string | undefined>>} env
 * @property {(path: string) => boolean} isExecutable
 * @property {(path: string) => string} versionText what `--version` prints, empty where it does not run
 * @property {() => string | undefined} installOnDebian the program's path, where it worked
 */

/** @typedef {{ path: string, version: string }} FoundFirefox */
/** @typedef {{ why: string }} NoFirefox */

/** @type {FirefoxMachine} */
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
  versionText: (path) => spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 30_000 }).stdout ?? '',
  installOnDebian,
};

/**
 * A Firefox that is recent enough, or why there is none, in one line.
 * @param {FirefoxMachine} [machine]
 * @returns {FoundFirefox | NoFirefox}
 */
export function findFirefox(machine = thisMachine) {
  const named = machine.env.TABSWARM_FIREFOX;
  if (named === 'none') return { why: 'TABSWARM_FIREFOX=none asks to go on without' };
  if (named !== undefined && named !== '') return recentEnough(machine, named, `TABSWARM_FIREFOX names ${named}`);
  const installed = firefoxCandidates(machine.platform, machine.env).find(machine.isExecutable);
  if (installed !== undefined) return recentEnough(machine, installed, `found ${installed}`);
  const added = machine.installOnDebian();
  if (added !== undefined) return recentEnough(machine, added, `installed ${added}`);
  return { why: `no Firefox: install version ${versionMin} or newer, or set TABSWARM_FIREFOX to the path of one` };
}

/**
 * @param {FirefoxMachine} machine
 * @param {string} path
 * @param {string} found
 * @returns {FoundFirefox | NoFirefox}
 */
function recentEnough(machine, path, found) {
  if (!machine.isExecutable(path)) return { why: `${found}, which is not a program; correct it or unset it` };
  const version = /Firefox (\d+[\w.]*)/.exec(machine.versionText(path))?.[1];
  if (version === undefined) return { why: `${found}, which does not say that it is a Firefox` };
  if (parseInt(version, 10) >= versionMin) return { path, version };
  return { why: `${found}, version ${version}, which is too old for WebGPU: ${versionMin} or newer is needed` };
}

/**
 * Where Firefox lives on a platform, in order of preference.
 * @param {string} platform
 * @param {Readonly<Record<string, string | undefined>>} env
 * @returns {string[]}
 */
export function firefoxCandidates(platform, env) {
  if (platform === 'darwin') {
    return ['', ...(env.HOME === undefined ? [] : [env.HOME])].map(
      (home) => `${home}/Applications/Firefox.app/Contents/MacOS/firefox`,
    );
  }
  if (platform === 'win32') {
    return [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA]
      .filter((folder) => folder)
      .map((folder) => `${folder}\\Mozilla Firefox\\firefox.exe`);
  }
  const folders = new Set([
    ...(env.PATH ?? '').split(delimiter).filter((folder) => folder),
    '/usr/bin',
    '/usr/local/bin',
    '/snap/bin',
  ]);
  return ['firefox', 'firefox-esr'].flatMap((name) => [...folders].map((folder) => join(folder, name)));
}

/** Debian's own packages, where we may install them; the driver lets Firefox have WebGPU without a GPU. */
function installOnDebian() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !isDebian()) return undefined;
  process.stderr.write('tabswarm: installing the Debian packages firefox-esr and mesa-vulkan-drivers ...\n');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  /** @param {string[]} options */
  const apt = (...options) =>
    spawnSync('apt-get', options, { env, stdio: ['ignore', 2, 2], timeout: 300_000 }).status === 0;
  apt('update');
  const packages = ['firefox-esr', 'mesa-vulkan-drivers'];
  return apt('install', '-y', '--no-install-recommends', ...packages) ? '/usr/bin/firefox-esr' : undefined;
}
