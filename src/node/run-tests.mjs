/**
 * `npm test`: every check of this repository, from installing the packages to stories in a real browser, stage by stage.
 * The last line is `N passed, N failed` (with `, N skipped` where some were); the exit status is 1 when anything failed
 * or nothing ran. `--only types,lint` runs some stages. Plain JavaScript, because it runs before anything is installed.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { add, nothing, playwrightCount, sentence, statusOf, verdict, vitestCount, withStatus } from './test-count.mjs';
import { checkNodeVersion, ensureBuilt, ensureInstalled, PrepareError, root, tell, toolingFolder } from './prepare.mjs';

/** @typedef {import('./test-count.mjs').Count} Count */
/** @typedef {{ name: string, run: () => Count | Promise<Count> }} Stage */

const reports = join(toolingFolder, 'test');
const formatted = ['src', 'e2e', 'bench', 'examples', '*.ts', '*.json', '*.html'];

/** @type {readonly Stage[]} */
const stages = [
  { name: 'types', run: () => tool('typescript/bin/tsc', ['-p', '.']) },
  { name: 'lint', run: () => tool('oxlint/bin/oxlint', ['--config', 'oxlint.config.mjs', '--deny-warnings']) },
  {
    name: 'format',
    run: () => tool('prettier/bin/prettier.cjs', ['--check', '--no-error-on-unmatched-pattern', ...formatted]),
  },
  {
    name: 'unit',
    run: () => {
      const report = join(reports, 'unit.json');
      const status = node('vitest/vitest.mjs', [
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
      ]);
      return counted(status, report, vitestCount);
    },
  },
  {
    name: 'build',
    run: async () => {
      await ensureBuilt();
      return verdict(true);
    },
  },
  {
    name: 'e2e',
    run: () => counted(node('playwright/cli.js', ['test']), join(reports, 'e2e.json'), playwrightCount),
  },
];

/** @param {readonly Stage[]} chosen */
async function runStages(chosen) {
  /** @type {[string, Count, number][]} */
  const done = [];
  for (const { name, run } of chosen) {
    tell(`${name} ...`);
    const start = performance.now();
    done.push([name, await guarded(run), (performance.now() - start) / 1000]);
  }
  console.log();
  for (const [name, count, seconds] of done) {
    console.log(`${name.padEnd(8)} ${sentence(count).padEnd(36)} ${seconds.toFixed(1).padStart(7)} s`);
  }
  const total = done.reduce((sum, [, count]) => add(sum, count), nothing);
  console.log(sentence(total));
  return statusOf(total);
}

/**
 * A stage that throws has failed once; the others still run.
 * @param {Stage['run']} run
 */
async function guarded(run) {
  try {
    return await run();
  } catch (error) {
    tell(error instanceof PrepareError ? error.message : String(error instanceof Error ? error.stack : error));
    return verdict(false);
  }
}

/**
 * A tool whose exit status is one test.
 * @param {string} path
 * @param {string[]} options
 */
function tool(path, options) {
  return verdict(node(path, options) === 0);
}

/**
 * Runs a package's program with this Node; its exit status.
 * @param {string} path below node_modules
 * @param {string[]} options
 */
function node(path, options) {
  const done = spawnSync(process.execPath, [join(root, 'node_modules', path), ...options], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return done.status ?? 1;
}

/**
 * The count of a report, set against the exit status of the runner that wrote it.
 * @param {number} status
 * @param {string} report
 * @param {(report: any) => Count} read
 */
function counted(status, report, read) {
  return withStatus(read(JSON.parse(readFileSync(report, 'utf8'))), status);
}

/** @returns {Promise<number>} the exit status */
async function main() {
  const { values } = parseArgs({ options: { only: { type: 'string' } } });
  const wanted = values.only?.split(',') ?? stages.map(({ name }) => name);
  const unknown = wanted.find((name) => !stages.some((stage) => stage.name === name));
  if (unknown !== undefined) {
    tell(`--only ${unknown}: no such stage; the stages are ${stages.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  try {
    checkNodeVersion();
    await ensureInstalled();
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    tell(error.message);
    console.log(sentence(verdict(false)));
    return 1;
  }
  // A report of an earlier run must not be counted when a runner dies before it writes its own.
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  return runStages(stages.filter(({ name }) => wanted.includes(name)));
}

process.exitCode = await main();
