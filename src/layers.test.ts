/**
 * The layer rules are real: each forbidden import or global below is written to a folder laid out like this one, and
 * the linter, with the repository's own configuration, must refuse it by name and let its permitted twin pass.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import configuration from '../oxlint.config.mjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** One rule: a file that breaks it, what the linter must say, and a twin of the same layer that keeps it. */
interface Rule {
  readonly says: string;
  readonly file: string;
  readonly forbidden: string;
  readonly permitted: string;
  readonly message: RegExp;
}

const use = (path: string): string => `import { thing } from '${path}';\nexport const used = thing;\n`;
const oneWay = /Imports go one way/;
const neighbours = /are neighbours/;
const nodeOnly = /belong to src\/node only/;
const shells = /Shells do not import one another/;
const platform = /time, chance, ids and I\/O are arguments/;

const upward: readonly (readonly [string, string, string])[] = [
  ['core', '../protocol/messages.ts', './result.ts'],
  ['kernels', '../models/llama.ts', '../core/result.ts'],
  ['protocol', '../swarm/hub.ts', '../core/result.ts'],
  ['models', '../learning/diloco.ts', '../kernels/device.ts'],
  ['learning', '../programs/train.ts', '../models/llama.ts'],
  ['inference', '../swarm/hub.ts', '../models/llama.ts'],
  ['swarm', '../adapters/store/memory.ts', '../protocol/messages.ts'],
  ['programs', '../assembly/hub.ts', '../inference/sampling.ts'],
  ['sim', '../assembly/hub.ts', '../swarm/hub.ts'],
  ['adapters', '../assembly/hub.ts', '../swarm/hub.ts'],
  ['assembly', '../sdk/index.ts', '../adapters/store/memory.ts'],
];

const rules: readonly Rule[] = [
  ...upward.map(([layer, forbidden, permitted]) => ({
    says: `${layer} imports nothing of a layer above it`,
    file: `src/${layer}/example.ts`,
    forbidden: use(forbidden),
    permitted: use(permitted),
    message: oneWay,
  })),
  {
    says: 'protocol does not import kernels',
    file: 'src/protocol/example.ts',
    forbidden: use('../kernels/device.ts'),
    permitted: use('./messages.ts'),
    message: neighbours,
  },
  {
    says: 'kernels do not import protocol',
    file: 'src/kernels/example.ts',
    forbidden: use('../protocol/messages.ts'),
    permitted: use('./device.ts'),
    message: neighbours,
  },
  {
    says: 'sim imports no adapter',
    file: 'src/sim/example.ts',
    forbidden: use('../adapters/store/memory.ts'),
    permitted: use('../protocol/ports.ts'),
    message: neighbours,
  },
  {
    says: 'an adapter imports no other adapter',
    file: 'src/adapters/net/example.ts',
    forbidden: use('../store/memory.ts'),
    permitted: use('./memory-link.ts'),
    message: /An adapter imports no other adapter/,
  },
  {
    says: 'only the compute worker composes adapters',
    file: 'src/adapters/worker/spawn.ts',
    forbidden: use('../gpu/executor.ts'),
    permitted: use('./compute-api.ts'),
    message: /An adapter imports no other adapter/,
  },
  ...['app', 'widget', 'node'].map((shell) => ({
    says: `${shell} uses no other shell save sdk`,
    file: `src/${shell}/example.ts`,
    forbidden: use(shell === 'app' ? '../node/cli.ts' : '../app/page.ts'),
    permitted: use('../sdk/index.ts'),
    message: shells,
  })),
  {
    says: 'sdk uses no other shell',
    file: 'src/sdk/example.ts',
    forbidden: use('../widget/element.ts'),
    permitted: use('../assembly/submitter.ts'),
    message: shells,
  },
  ...['node:fs', 'fs', 'ws', 'webgpu', 'node-datachannel/polyfill'].map((name) => ({
    says: `${name} is for src/node alone`,
    file: 'src/assembly/example.ts',
    forbidden: use(name),
    permitted: use('valibot'),
    message: nodeOnly,
  })),
  {
    says: 'a platform package stays out of the machines',
    file: 'src/swarm/example.ts',
    forbidden: use('idb'),
    permitted: use('valibot'),
    message: /belongs to an adapter or a shell/,
  },
  ...['Date.now()', 'new Date()', 'performance.now()', 'Math.random()', 'crypto.randomUUID()', 'navigator.gpu'].map(
    (expression) => ({
      says: `a machine takes what ${expression} gives as an argument`,
      file: 'src/swarm/example.ts',
      forbidden: `export const value = ${expression};\n`,
      permitted: 'export const value = (now: number): number => Math.floor(now);\n',
      message: platform,
    }),
  ),
  {
    says: 'the simulator has no timers',
    file: 'src/sim/example.ts',
    forbidden: 'export const later = (work: () => void) => setTimeout(work, 1);\n',
    permitted: 'export const later = (work: () => void) => work;\n',
    message: platform,
  },
  {
    says: 'nothing is typed any',
    file: 'src/app/example.ts',
    forbidden: 'export const value = (given: any): unknown => given;\n',
    permitted: 'export const value = (given: unknown): unknown => given;\n',
    message: /any/,
  },
];

/** What the rules leave open on purpose. */
const exceptions: readonly (readonly [string, string, string])[] = [
  ['the compute worker composes adapters', 'src/adapters/worker/compute-worker.ts', use('../gpu/executor.ts')],
  ['src/node uses Node', 'src/node/example.ts', use('node:fs')],
  ['a test may use Node', 'src/core/example.test.ts', use('node:fs')],
  ['an adapter may read the clock', 'src/adapters/clock/example.ts', 'export const value = Date.now();\n'],
];

/** What the linter says of every fixture, by the fixture's folder. */
let diagnostics: ReadonlyMap<string, readonly string[]>;
let folder = '';

const fixture = (index: number, kind: 'forbidden' | 'permitted'): string => `${index}-${kind}`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tabswarm-layers-'));
  const found = new Map<string, string[]>();
  const write = (name: string, file: string, source: string): void => {
    // A tree of its own for each fixture, with its own copy of the configuration, as many share one path.
    const path = join(folder, name, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(join(folder, name, '.oxlintrc.json'), JSON.stringify(configuration));
    writeFileSync(path, source);
    found.set(name, []);
  };
  for (const [index, rule] of rules.entries()) {
    write(fixture(index, 'forbidden'), rule.file, rule.forbidden);
    write(fixture(index, 'permitted'), rule.file, rule.permitted);
  }
  for (const [index, [, file, source]] of exceptions.entries()) write(`exception-${index}`, file, source);
  for (const { filename, message } of lint(folder)) found.get(filename.split(/[\\/]/)[0] ?? '')?.push(message);
  diagnostics = found;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the linter in `cwd`; each folder's own configuration is the nearest one above a file. */
function lint(cwd: string): readonly { readonly filename: string; readonly message: string }[] {
  const linter = join(root, 'node_modules', 'oxlint', 'bin', 'oxlint');
  const done = spawnSync(process.execPath, [linter, '--format', 'json'], { cwd, encoding: 'utf8' });
  const report: { diagnostics: { filename: string; message: string; help?: string }[] } = JSON.parse(done.stdout);
  return report.diagnostics.map(({ filename, message, help }) => ({ filename, message: `${message} ${help ?? ''}` }));
}

describe('the linter holds the layers', () => {
  test.each(rules.map((rule, index) => ({ ...rule, index })))('$says', ({ index, message }) => {
    const refused = diagnostics.get(fixture(index, 'forbidden')) ?? [];
    expect(refused.join('\n')).toMatch(message);
    expect(diagnostics.get(fixture(index, 'permitted'))).toEqual([]);
  });

  test.each(exceptions.map(([says], index) => ({ says, index })))('$says', ({ index }) => {
    expect(diagnostics.get(`exception-${index}`)).toEqual([]);
  });
});
