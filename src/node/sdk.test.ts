/**
 * The library as the programs of other people meet it: built, imported by its name, and compiled against its types. How
 * it works with a hub and volunteers is told by `e2e/story-sdk.spec.ts`.
 */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAst } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureBuilt, root } from './prepare.mjs';

let folder = '';
beforeAll(async () => {
  await ensureBuilt(['sdk', 'sdk-types']);
  folder = mkdtempSync(join(tmpdir(), 'tabswarm-sdk-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'tabswarm'), 'junction');
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const built = (name: string): string => readFileSync(join(root, 'dist', 'sdk', name), 'utf8');

describe('what the library imports', () => {
  test('the reader of imports sees every kind of them', () => {
    const text = [
      "import a from 'one'; export * from 'two'; export { b } from 'three'; import 'four';",
      "const c = () => import('five'); const d = require('six'); // import 'seven'",
    ];
    expect(importsOf(text.join('\n'))).toEqual(['one', 'two', 'three', 'four', 'five', 'six']);
  });

  test('in Node: ws and what Node brings, nothing else', () => {
    const foreign = importsOf(built('node.js')).filter((name) => name !== 'ws' && !name.startsWith('node:'));
    expect(foreign).toEqual([]);
    expect(importsOf(built('node.js'))).toContain('ws');
  });

  test('in a browser: nothing but its own files, so that a page needs no bundler', () => {
    for (const name of readdirSync(join(root, 'dist', 'sdk')).filter((file) => file !== 'node.js')) {
      const own = importsOf(built(name)).every((path) => existsSync(join(root, 'dist', 'sdk', path)));
      expect(own, `${name} imports ${importsOf(built(name)).join(', ')}`).toBe(true);
    }
  });
});

describe('a program that imports it by its name', () => {
  const run = (code: string, cwd: string) =>
    spawnSync(process.execPath, ['--input-type=module', '--eval', code], { cwd, encoding: 'utf8' });

  test.each([
    ['inside the repository', () => root],
    ['that installed it from a folder', () => folder],
  ])('%s gets the one for Node', (_where, cwd) => {
    const resolved = run("console.log(import.meta.resolve('tabswarm'))", cwd());
    expect(resolved.stdout).toMatch(/\/dist\/sdk\/node\.js$/m);
    const code = `import { connect, InputError } from 'tabswarm';
      await connect('not a hub', { data: ${JSON.stringify(folder)} }).catch((error) =>
        console.log(error instanceof InputError, error.message));`;
    expect(run(code, cwd()).stdout).toMatch(/^true hub address "not a hub": not an http or https URL/);
  });

  test('where no hub answers, the error says so and has a name', () => {
    const code = `import { connect, LinkClosedError } from 'tabswarm';
      await connect('http://127.0.0.1:9', { data: ${JSON.stringify(folder)} }).catch((error) =>
        console.log(error instanceof LinkClosedError, error.message));`;
    expect(run(code, folder).stdout).toMatch(/^true no hub answers at http:\/\/127\.0\.0\.1:9/);
  });

  test('nothing but the entry can be imported from the package', () => {
    expect(run("await import('tabswarm/src/core/ids.ts')", root).stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});

describe('the types', () => {
  const program = `import { connect, type UnitOutput } from 'tabswarm';
    const swarm = await connect('http://localhost:8787', { data: 'account' });
    const job = { name: 'a', shader: 'a.wgsl', grid: [1, 1, 1] as [number, number, number], buffers: [
      { binding: 0, kind: 'each' as const, name: 'x' },
      { binding: 1, kind: 'output' as const, type: 'f32' as const, count: 4 },
    ] };
    for await (const { index, outputs } of swarm.map(job, [new Float32Array(4)], { files: { 'a.wgsl': '' } })) {
      const first: UnitOutput | undefined = outputs[0];
      console.log(index.toFixed(), first?.data.length);
    }`;

  const wrong = program.replace('index.toFixed()', 'index.toUpperCase()');

  test.each([
    ['nodenext', ['--module', 'nodenext', '--skipLibCheck', 'false']],
    ['bundler', ['--module', 'esnext', '--moduleResolution', 'bundler', '--customConditions', 'node']],
  ])('a program compiles under %s, and a wrong one does not', { timeout: 120_000 }, (_name, options) => {
    writeFileSync(join(folder, 'right.mts'), program);
    writeFileSync(join(folder, 'wrong.mts'), wrong);
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const common = ['--noEmit', '--strict', '--target', 'es2023', '--lib', 'es2023,dom,dom.iterable'];
    const words = [compiler, ...common, '--skipLibCheck', ...options, 'right.mts', 'wrong.mts'];
    const { stdout } = spawnSync(process.execPath, words, { cwd: folder, encoding: 'utf8' });
    const errors = stdout.split('\n').filter((line) => line.includes('error'));
    expect(errors, stdout).toHaveLength(1);
    expect(errors[0]).toMatch(/^wrong\.mts.*toUpperCase/);
  });
});

/** Every module that a text imports, in the order of the text. */
function importsOf(text: string): string[] {
  const found: string[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (!isNode(node)) return;
    const name = sourceOf(node);
    if (name !== undefined) found.push(name);
    Object.values(node).forEach(visit);
  };
  visit(parseAst(text).body);
  return found;
}

function sourceOf(node: object): string | undefined {
  if (!('type' in node)) return undefined;
  if (/^(Import|ExportNamed|ExportAll)(Declaration|Expression)$/.test(String(node.type)) && 'source' in node)
    return valueOf(node.source);
  if (node.type !== 'CallExpression' || !('callee' in node) || !('arguments' in node)) return undefined;
  const isRequire = isNode(node.callee) && 'name' in node.callee && node.callee.name === 'require';
  return isRequire && Array.isArray(node.arguments) ? valueOf(node.arguments[0]) : undefined;
}

const isNode = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** Of a literal; a name that is computed is as foreign as any other. */
function valueOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  return 'value' in node && typeof node.value === 'string' ? node.value : '(computed)';
}
