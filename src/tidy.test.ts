/**
 * The repository reads itself: rules of the house that no linter knows. Each rule is a function from a file to its
 * offences, tried first on a bad example (a rule that finds nothing proves nothing), then on every file that we wrote.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as limits from './core/limits.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const linesMax = 500;

interface RepositoryFile {
  readonly path: string;
  readonly text: string;
}

interface Rule {
  readonly says: string;
  /** Which files it reads. */
  readonly reads: (path: string) => boolean;
  /** What is wrong with a file, one line each. */
  readonly offences: (file: RepositoryFile) => readonly string[];
  readonly bad: RepositoryFile;
  readonly good: RepositoryFile;
}

const isCode = (path: string): boolean => /\.(ts|mts|mjs)$/.test(path);
const isTest = (path: string): boolean => /\.(test|spec)\.ts$/.test(path);
const isTestOfNeighbour = (path: string): boolean =>
  path.endsWith('.test.ts') && existsSync(join(root, path.replace(/test\.ts$/, 'ts')));
const isShader = (path: string): boolean => path.endsWith('.wgsl');
const isText = (path: string): boolean => /\.(ts|mts|mjs|wgsl|md|html|css|json|jsonc|sh|yml)$/.test(path);

/** A rule that a pattern breaks; a line may not match it. */
const never =
  (pattern: RegExp, mend: string) =>
  ({ text }: RepositoryFile): readonly string[] =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`line ${index + 1}: ${mend}`] : []));

const example = (path: string, text: string): RepositoryFile => ({ path, text });
// Put together here, so that this file does not break its own rules.
const word = (...parts: readonly string[]): string => parts.join('');
const words = {
  later: [word('TO', 'DO'), word('FIX', 'ME'), word('XX', 'X')],
  cast: word('as unknown', ' as'),
  compute: word('@', 'compute'),
  overrule: [word('@ts-', '(ignore|nocheck|expect-error)'), word('(ox|es)lint-', 'disable')],
};

const rules: readonly Rule[] = [
  {
    says: 'a file opens with a comment that says what it is for',
    // The test of a file beside it is placed by its name.
    reads: (path) => (isCode(path) || isShader(path)) && !isTestOfNeighbour(path),
    offences: ({ text }) => (/^(#!.*\n)?\s*(\/\*\*?|\/\/)/.test(text) ? [] : ['opens without a comment']),
    bad: example('src/a.ts', 'export const a = 1;\n'),
    good: example('src/a.ts', '/** Says it. */\nexport const a = 1;\n'),
  },
  {
    says: 'WGSL lives in shaders/, not in TypeScript',
    reads: (path) => isCode(path) && !isTest(path),
    // A parser may look for the attribute; a kernel has a body after it.
    offences: ({ text }) =>
      new RegExp(`${words.compute}\\s+@workgroup_size[^\\n]*\\n?\\s*fn `).test(text) ? ['holds a kernel'] : [],
    bad: example('src/a.ts', `const wgsl = \`${words.compute} @workgroup_size(64) fn main() {}\`;`),
    good: example('src/a.ts', "import wgsl from '../shaders/a.wgsl?raw';"),
  },
  {
    says: 'TypeScript files are named in kebab-case, WGSL files in snake_case',
    reads: (path) => isCode(path) || isShader(path),
    offences: ({ path }) => {
      const form = isShader(path)
        ? /^[a-z0-9]+(_[a-z0-9]+)*\.wgsl$/
        : /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|spec|fixture|config|d))*\.(ts|mts|mjs)$/;
      return form.test(basename(path)) ? [] : ['is not named so'];
    },
    bad: example('src/myFile.ts', ''),
    good: example('shaders/matmul_tiled.wgsl', ''),
  },
  {
    says: `no file is longer than ${linesMax} lines`,
    reads: (path) => isText(path) && path !== 'package-lock.json',
    offences: ({ text }) => (text.split('\n').length > linesMax + 1 ? [`${text.split('\n').length} lines`] : []),
    bad: example('src/a.ts', '\n'.repeat(linesMax + 1)),
    good: example('src/a.ts', '\n'.repeat(linesMax)),
  },
  {
    says: 'nothing is left for later in a remark',
    reads: isText,
    offences: never(new RegExp(`\\b(${words.later.join('|')})\\b`), 'do it or drop it'),
    bad: example('src/a.ts', `// ${words.later[0]}: tomorrow`),
    good: example('src/a.ts', '// done'),
  },
  {
    says: 'types are not forced',
    reads: (path) => isCode(path),
    offences: never(new RegExp([words.cast, ...words.overrule].join('|')), 'a type or a rule is overruled'),
    bad: example('src/a.ts', `const a = b ${words.cast} C;`),
    good: example('src/a.ts', 'const a: C = b;'),
  },
  {
    says: 'no test runs alone or is skipped out of sight',
    reads: isTest,
    offences: never(
      /\b(test|it|describe)\.(only|todo|fixme)\b|\b(test|it|describe)\.skip\(\s*['"`]/,
      'a test alone or put aside',
    ),
    bad: example('src/a.test.ts', ['test', "only('a', () => {});"].join('.')),
    good: example('src/a.test.ts', "test.skipIf(!hasData)('a', () => {});"),
  },
  {
    says: 'links between documents lead to files',
    reads: (path) => path.endsWith('.md'),
    offences: ({ path, text }) =>
      linksOf(text)
        .filter((link) => !existsSync(resolve(root, dirname(path), link)))
        .map((link) => `${link} is not there`),
    bad: example('README.md', '[gone](src/not-a-file.ts)'),
    good: example('README.md', '[layout](src/core/limits.ts#top)'),
  },
  {
    says: 'documents name npm scripts that exist',
    reads: (path) => path.endsWith('.md'),
    offences: ({ text }) =>
      [...text.matchAll(/npm run (?:--silent )?([a-z][a-z:-]*)/g)]
        .map((match) => match[1] ?? '')
        .filter((script) => !(script in scripts))
        .map((script) => `npm run ${script} is not in package.json`),
    bad: example('README.md', '`npm run nothing`'),
    good: example('README.md', '`npm run --silent demo`'),
  },
  {
    says: 'documents name commands of tabswarm that exist',
    reads: (path) => path.endsWith('.md'),
    offences: ({ text }) =>
      [...text.matchAll(/npx tabswarm ([a-z]+)/g)]
        .map((match) => match[1] ?? '')
        .filter((command) => !commands.has(command))
        .map((command) => `npx tabswarm ${command} is not in src/node`),
    bad: example('README.md', '`npx tabswarm nothing`'),
    good: example('README.md', '`npx playwright install chromium`'),
  },
  {
    says: 'limits that a document quotes by name are those of the code',
    reads: (path) => path.endsWith('.md'),
    offences: ({ text }) =>
      [...text.matchAll(/`(\w+)` \(([\d ,]+)\)/g)].flatMap(([, name = '', quoted = '']) => {
        const value = Object.entries(limits).find(([limit]) => limit === name)?.[1];
        if (value === undefined) return [`${name} is not in core/limits`];
        return String(value) === quoted.replace(/[ ,]/g, '') ? [] : [`${name} is ${value}, not ${quoted}`];
      }),
    bad: example('README.md', 'at most `replicasMax` (17) replicas'),
    good: example('README.md', `at most \`replicasMax\` (${limits.replicasMax}) replicas`),
  },
];

/** Paths that a document links to: inside the repository, without the anchor. */
const linksOf = (text: string): readonly string[] =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => (match[1] ?? '').replace(/#.*$/, ''))
    .filter((link) => link !== '' && !/^[a-z]+:/.test(link));

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'));

/** Everything that we wrote: the files of the root and the folders below, without a need for git. */
const folders = ['.ci', 'bench', 'docs', 'e2e', 'examples', 'public', 'shaders', 'src'];
const files: readonly string[] = [
  ...readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name),
  ...folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
        // What others wrote, and what runs wrote.
        .filter((path) => !path.includes('/node_modules/') && !path.startsWith('bench/results/')),
    ),
];

/** The commands that `src/node` declares with commander: `.command('name …')`. */
const commands = new Set(
  files
    .filter((path) => path.startsWith('src/node/') && extname(path) === '.ts')
    .flatMap((path) => [...read(path).matchAll(/\.command\(\s*'([a-z]+)/g)].map((match) => match[1] ?? '')),
);

describe('the repository reads itself', () => {
  test('there is something to read', () => {
    expect(files).toContain('src/core/limits.ts');
  });

  for (const { says, reads, offences, bad, good } of rules) {
    test(says, () => {
      expect(offences(bad), 'the bad example').not.toEqual([]);
      expect(offences(good), 'the good example').toEqual([]);
      const found = files
        .filter(reads)
        .flatMap((path) => offences({ path, text: read(path) }).map((offence) => `${path}: ${offence}`));
      expect(found).toEqual([]);
    });
  }
});
