/**
 * `npm run conformance`: every kernel against its truth on each device class that this machine has. Writes the matrix to
 * `docs/conformance.md` and the figures to `bench/results/conformance/`; with `--json` it writes no file and prints them.
 * `--classes firefox,dawn`, `--seeds 1,2`, `--only matmul` and `--no-onnx` choose; a run of a choice prints its document.
 * ONNX's own cases run too where their file lies beside the repository.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../src/node/prepare.mjs';
import { withChromium, withFirefox } from './browsers.ts';
import {
  classNames,
  MissingError,
  reportOf,
  type ClassMissing,
  type ClassName,
  type ClassReport,
  type RunOptions,
} from './class-report.ts';
import { dawnWord, runDawn, serveDawn } from './dawn.ts';
import { conformanceDocument, type Conformance } from './matrix.ts';

/** ONNX's own cases, which are no part of this repository. */
const goldenFile = join(root, '..', 'shared', 'data', 'golden', 'onnx_node_golden.jsonl');

const tell = (line: string): void => void process.stderr.write(`${line}\n`);

function optionsOf(words: readonly string[]) {
  const { values } = parseArgs({
    args: [...words],
    options: {
      classes: { type: 'string', default: classNames.join(',') },
      seeds: { type: 'string', default: '1,2' },
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      'no-onnx': { type: 'boolean', default: false },
    },
  });
  const seeds = values.seeds.split(',').map(Number);
  if (!seeds.every((seed) => Number.isInteger(seed) && seed >= 0)) {
    throw new UsageError(`--seeds ${values.seeds}: give whole numbers with commas between`);
  }
  const classes = values.classes.split(',').map((text): ClassName => {
    const name = classNames.find((one) => one === text);
    if (name === undefined) throw new UsageError(`--classes ${text}: the classes are ${classNames.join(', ')}`);
    return name;
  });
  const cases =
    values['no-onnx'] || values.only !== '' || !existsSync(goldenFile) ? undefined : readFileSync(goldenFile, 'utf8');
  return { classes, seeds, only: values.only, json: values.json, ...(cases === undefined ? {} : { cases }) };
}

class UsageError extends Error {}

const runners: Readonly<Record<ClassName, (options: RunOptions) => Promise<ClassReport>>> = {
  chromium: (options) => withChromium((asked) => reportOf('chromium', asked, options)),
  firefox: (options) => withFirefox((asked) => reportOf('firefox', asked, options)),
  dawn: runDawn,
};

async function main(words: readonly string[]): Promise<number> {
  const { classes: wanted, json, ...chosen } = optionsOf(words);
  const classes: ClassReport[] = [];
  const missing: ClassMissing[] = [];
  for (const name of wanted) {
    try {
      classes.push(await runners[name]({ ...chosen, tell }));
    } catch (error) {
      if (!(error instanceof MissingError)) throw error;
      missing.push({ name, why: error.message });
      tell(`${name}: not run: ${error.message}`);
    }
  }
  const conformance: Conformance = {
    command: 'npm run conformance',
    day: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} x ${cpus()[0]?.model.trim() || 'a CPU without a name'}, ${process.platform}`,
    classes,
    missing,
  };
  if (json) process.stdout.write(`${JSON.stringify(conformance)}\n`);
  else write(conformance, wanted.length === classNames.length && chosen.only === '');
  const isWrong = ({ rows, golden }: ClassReport): boolean =>
    rows.some(({ failed }) => failed > 0) || golden.some(({ failed }) => failed.length > 0);
  return classes.some(isWrong) ? 1 : 0;
}

function write(conformance: Conformance, whole: boolean): void {
  const document = conformanceDocument(conformance);
  if (!whole) {
    process.stdout.write(document);
    return;
  }
  const results = join(root, 'bench', 'results', 'conformance');
  mkdirSync(results, { recursive: true });
  writeFileSync(join(root, 'docs', 'conformance.md'), document);
  writeFileSync(join(results, 'conformance.json'), `${JSON.stringify(conformance, null, 1)}\n`);
  tell('wrote docs/conformance.md and bench/results/conformance/conformance.json');
}

const words = process.argv.slice(2);
try {
  if (words[0] === dawnWord) await serveDawn(optionsOf(words.slice(1)));
  else process.exitCode = await main(words);
} catch (error) {
  const isUsage = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  if (!isUsage) throw error;
  tell(`tabswarm conformance: ${error.message}`);
  process.exitCode = 2;
}
