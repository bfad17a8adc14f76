/**
 * The documents against the code: job files in them parse, the defaults that they state are those of the schemas and
 * commands, and every option that they name exists. What their programs do is tried in `e2e/story-sdk.spec.ts`.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { prepareTrainJob } from '../assembly/job.ts';
import { isAccountId } from '../core/ids.ts';
import { expectInput } from '../core/result.ts';
import { checkTrainPlan } from '../learning/batches.ts';
import { parseJobFile } from '../protocol/job-file.ts';
import { consoleOutput } from './output.ts';
import { root } from './prepare.mjs';
import { createProgram } from './program.ts';

const documents: readonly { readonly path: string; readonly text: string }[] = [
  'README.md',
  'examples/README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

const textOf = (path: string): string => documents.find((one) => one.path === path)?.text ?? '';

/** Code blocks of a language. */
const blocksOf = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map((match) => match[1] ?? '');

const isJob = (value: unknown): value is object => typeof value === 'object' && value !== null && 'program' in value;

describe('job files in the documents', () => {
  const jobs = documents.flatMap(({ path, text }) =>
    blocksOf(text, 'json')
      .map((block): unknown => JSON.parse(block))
      .filter(isJob)
      .map((value, index) => ({ value, where: `${path}, job ${index + 1}` })),
  );

  test.each(jobs)('$where is a job file', ({ value, where }) => {
    expect(parseJobFile(value, where)).toMatchObject({ ok: true });
  });

  test('there are some, and a wrong one would be found', () => {
    expect(jobs.length).toBeGreaterThan(3);
    expect(parseJobFile({ ...jobs[0]?.value, verfy: {} }, 'job').ok).toBe(false);
  });

  test('the training file in its guide states the default of every field', () => {
    const [block = ''] = blocksOf(textOf('docs/training.md'), 'json');
    const stated: unknown = JSON.parse(block);
    const required = { version: 1, name: 'small model', program: 'train', data: { files: ['corpus.txt'] } };
    expect(expectInput(parseJobFile(required, 'required'))).toEqual(stated);
  });

  test('the training example reads texts that are there, and enough of them', async () => {
    const folder = join(root, 'examples', 'train');
    const file = expectInput(parseJobFile(JSON.parse(readFileSync(join(folder, 'training.json'), 'utf8')), 'training'));
    if (file.program !== 'train') throw new Error('the example does not train');
    const read = async (path: string): Promise<Uint8Array> => readFileSync(join(folder, path));
    const account = '0'.repeat(64);
    if (!isAccountId(account)) throw new Error('zeros are an account id');
    const options = { submitter: account, nonce: '0'.repeat(32), now: 0, digest: sha256Large };
    const prepared = await prepareTrainJob(file, read, options);
    expect(expectInput(checkTrainPlan(prepared.manifest.train)).data.bytes).toBeGreaterThan(10_000);
  });

  test('the shader job in its guide states the defaults of verify and limits', () => {
    const [block = ''] = blocksOf(textOf('docs/jobs.md'), 'json');
    const stated: unknown = JSON.parse(block);
    if (!isJob(stated)) throw new Error('the first block is no job');
    const parsed = expectInput(parseJobFile({ ...stated, verify: undefined, limits: undefined }, 'left out'));
    expect(parsed).toMatchObject({ verify: { replicas: 2, absolute: 0, relative: 1e-5 }, limits: { unitSeconds: 30 } });
    expect(stated).toMatchObject(parsed.program === 'shader' ? { verify: parsed.verify, limits: parsed.limits } : {});
  });

  test('the guide of the job format names every field of its schema', () => {
    const guide = textOf('docs/jobs.md');
    const fields = [
      'entryPoint',
      'constants',
      'buffers',
      'grid',
      'steps',
      'loop',
      'repeat',
      'units',
      'verify',
      'reduce',
    ];
    for (const field of [...fields, 'unitSeconds', 'replicas', 'absolute', 'relative', 'fanIn', 'scratch', 'base64'])
      expect(guide, field).toContain(field);
  });
});

describe('options in the documents', () => {
  const program = createProgram(consoleOutput);
  const leaves = (command: Command): readonly Command[] =>
    command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
  const commands = leaves(program);
  const optionsOf = (command: Command): string[] => command.options.map(({ long }) => long ?? '');
  /** Options of npm, of the benchmarks and of the tests, which are no commands of ours. */
  const others = ['--silent', '--suite', '--peers', '--json', '--only', '--help'];
  const known = new Set([...commands.flatMap(optionsOf), ...others]);

  const commandOf = (words: readonly string[]): Command | undefined =>
    words[0] === 'ledger'
      ? commands.find((one) => one.name() === words[1])
      : commands.find((one) => one.name() === words[0]);

  /** Command lines with options that their command does not have. */
  const wrongLines = (text: string): string[] =>
    [...text.matchAll(/npx tabswarm ([^\n`#]+)/g)].flatMap(([line, rest = '']) => {
      const words = rest.trim().split(/\s+/);
      const command = commandOf(words);
      if (command === undefined) return [`${line}: no such command`];
      const own = optionsOf(command);
      return words.filter((word) => word.startsWith('--') && !own.includes(word)).map((word) => `${line}: ${word}`);
    });

  test('a command line with an option of another command would be found', () => {
    expect(wrongLines('npx tabswarm keys --wait')).toEqual(['npx tabswarm keys --wait: --wait']);
    expect(wrongLines('npx tabswarm keys --data x')).toEqual([]);
  });

  test.each(documents)('$path: every command line has options of its command', ({ text }) => {
    expect(wrongLines(text)).toEqual([]);
  });

  test.each(documents)('$path: every option it speaks of exists', ({ text }) => {
    const named = [...text.matchAll(/`(--[a-z][a-z-]*)/g)].map((match) => match[1] ?? '');
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  test.each([
    ['docs/hub.md', 'hub'],
    ['docs/training.md', 'generate'],
  ])('%s states the defaults of %s', (path, name) => {
    const command = commandOf([name]);
    const rows = [...textOf(path).matchAll(/^\| `(--[a-z-]+)`(?:, `(--[a-z-]+)`)? \| ([^|]+) \|/gm)];
    expect(rows.length).toBeGreaterThan(4);
    for (const [, first = '', second, cell = ''] of rows) {
      const stated = second === undefined ? [cell] : cell.split(',');
      for (const [index, option] of [first, second].entries()) {
        const number = Number(stated[index] ?? 'none');
        const found = command?.options.find(({ long }) => long === option);
        if (option === undefined || Number.isNaN(number)) continue;
        expect(found?.defaultValue, `${path}: ${option}`).toBe(number);
      }
    }
  });

  test('the guide of the hub names every option of its command', () => {
    const command = commandOf(['hub']);
    const options = command === undefined ? [] : optionsOf(command);
    expect(options.filter((option) => !textOf('docs/hub.md').includes(`\`${option}\``))).toEqual([]);
    expect(options).toContain('--port');
  });
});
