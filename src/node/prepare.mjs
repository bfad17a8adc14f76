/**
 * What a fresh clone needs before a command can run: a recent enough Node, the packages, the built site and Node bundle.
 * Each step looks first and does nothing when it was done. Plain JavaScript without dependencies, because it runs before
 * anything is installed. Progress goes to standard error, so that a command's `--json` stays alone on standard output.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.mjs';

/** The repository's root folder, from wherever a bundler puts this module in `dist`. */
export const root = rootAbove(dirname(fileURLToPath(import.meta.url)));

/** Locks, stamps and reports: what the tooling remembers between commands. */
export const toolingFolder = join(root, '.tabswarm');

/** The oldest Node that the packages support, as [major, minor]. */
const nodeVersionMin = [20, 19];

/** Where built code comes from; tests are not part of it. */
const sources = [
  'src',
  'bench',
  'examples',
  'shaders',
  'public',
  'index.html',
  'vite.config.ts',
  'tsconfig.json',
  'tsconfig.sdk.json',
  'package-lock.json',
];

/** A reason to stop that is told in one line, without a stack. */
export class PrepareError extends Error {
  /** @override */
  name = 'PrepareError';
}

/** @param {string} [version] of Node, as in `process.versions.node` */
export function checkNodeVersion(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin = 0, minorMin = 0] = nodeVersionMin;
  if (major < majorMin || (major === majorMin && minor < minorMin)) {
    throw new PrepareError(
      `Node ${version} is too old: tabswarm needs Node ${nodeVersionMin.join('.')} or newer (https://nodejs.org)`,
    );
  }
}

/** Runs `npm ci` when the packages are absent or older than the lock file. */
export async function ensureInstalled() {
  if (isInstalled(root)) return;
  await withLock(join(toolingFolder, 'install.lock'), () => {
    if (isInstalled(root)) return;
    // `npm ci` empties the folder first, and through a link that would be somebody else's.
    if (lstatSync(join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink()) {
      throw new PrepareError('node_modules is a link to another folder, which npm ci would empty: remove the link');
    }
    tell('installing packages (npm ci) ...');
    const [command, ...before] = npmCommand();
    // The development packages are needed too: the site is built here and the demo drives a browser. The level is
    // named, as `npm --silent` would otherwise silence the reason of a failure as well.
    const status = run(command, [...before, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=warn'], {
      shell: command === 'npm' && process.platform === 'win32',
    });
    if (status !== 0) throw new PrepareError('npm ci failed; its own lines above say why');
  });
}

/**
 * Whether the packages that the lock file of `folder` names were installed after it was last changed.
 * @param {string} folder
 */
export function isInstalled(folder) {
  const installed = modifiedMs(join(folder, 'node_modules', '.package-lock.json'));
  return installed !== undefined && installed >= (modifiedMs(join(folder, 'package-lock.json')) ?? 0);
}

/** @param {string} mode of `vite.config.ts` */
const vite = (mode) => ['vite/bin/vite.js', 'build', '--logLevel', 'warn', '--mode', mode];

/** What can be built: a folder in dist, what it is, the file that shows that it is there, and what makes it. */
const builds = {
  site: { what: 'the site', shows: 'index.html', tool: vite('production') },
  'site-demo': { what: 'the site of the demo', shows: 'index.html', tool: vite('demo') },
  node: { what: 'the command line', shows: 'cli.js', tool: vite('node') },
  sdk: { what: 'the library', shows: 'node.js', tool: vite('sdk') },
  'sdk-types': {
    what: 'the types of the library',
    shows: 'node/sdk.d.ts',
    tool: ['typescript/bin/tsc', '-p', 'tsconfig.sdk.json'],
  },
};

const allBuilds = /** @type {(keyof typeof builds)[]} */ (Object.keys(builds));

/**
 * Builds what is named when a source is newer than its last build; without names all.
 * @param {(keyof typeof builds)[]} [names]
 */
export async function ensureBuilt(names = allBuilds) {
  if (names.every(isBuilt)) return;
  await withLock(join(toolingFolder, 'build.lock'), () => {
    for (const name of names) {
      if (isBuilt(name)) continue;
      // Taken before the build: a file that changes meanwhile is built next time.
      const stamp = sourceStamp(root);
      const { what, tool } = builds[name];
      const [program = '', ...options] = tool;
      tell(`building ${what} ...`);
      const status = run(process.execPath, [join(root, 'node_modules', program), ...options]);
      if (status !== 0) throw new PrepareError(`building ${what} failed; the lines above say where`);
      mkdirSync(join(root, 'dist'), { recursive: true });
      writeFileSync(stampFile(name), stamp);
    }
  });
}

/** @param {keyof typeof builds} name */
const stampFile = (name) => join(root, 'dist', `${name}.txt`);

/** @param {keyof typeof builds} name */
function isBuilt(name) {
  const complete = existsSync(join(root, 'dist', name, builds[name].shows)) && existsSync(stampFile(name));
  return complete && readFileSync(stampFile(name), 'utf8') === sourceStamp(root);
}

/** Folders among the sources of which nothing is built: installed packages, and what benchmarks leave. */
const notBuilt = ['node_modules', 'results'];

/**
 * The newest modification time and the number of the source files under `folder`: one of them changes with any edit,
 * addition or removal.
 * @param {string} folder
 */
export function sourceStamp(folder) {
  let newest = 0;
  let files = 0;
  /** @param {string} path */
  const visit = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || path.endsWith('.test.ts') || notBuilt.includes(basename(path))) return;
    if (stat.isDirectory()) {
      for (const name of readdirSync(path)) visit(join(path, name));
    } else {
      newest = Math.max(newest, stat.mtimeMs);
      files += 1;
    }
  };
  for (const source of sources) visit(join(folder, source));
  return `${newest} ${files}`;
}

/**
 * The nearest folder above that holds the configuration of the build.
 * @param {string} folder
 * @returns {string}
 */
function rootAbove(folder) {
  const above = dirname(folder);
  return existsSync(join(folder, 'vite.config.ts')) || above === folder ? folder : rootAbove(above);
}

/**
 * The npm that runs this script, else the one on the path.
 * @returns {[string, ...string[]]}
 */
function npmCommand() {
  const running = process.env.npm_execpath;
  return running !== undefined && basename(running) === 'npm-cli.js' ? [process.execPath, running] : ['npm'];
}

/**
 * Runs a command to its end with its output on our standard error; its exit status, 1 where it did not start.
 * @param {string} command
 * @param {string[]} options
 * @param {{ shell?: boolean }} [how]
 */
function run(command, options, how = {}) {
  const done = spawnSync(command, options, { cwd: root, stdio: ['ignore', 2, 2], shell: how.shell ?? false });
  if (done.error) tell(`${command}: ${done.error.message}`);
  return done.status ?? 1;
}

/** @param {string} path */
function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

/** @param {string} line */
export function tell(line) {
  process.stderr.write(`tabswarm: ${line}\n`);
}
