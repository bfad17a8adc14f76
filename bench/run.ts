/**
 * `npm run bench -- --suite wire,kernels --peers --rounds 9 --json`: runs the chosen suites and prints a table, or one
 * JSON object. How they are timed is in `measure.ts`; `docs/benchmarks.md` tells what each suite and option is for.
 */

import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { raceInBrowser } from './browser-run.ts';
import { problems } from './kernels/problem.ts';
import { measure, type MeasuredCase } from './measure.ts';
import { reportOf, sentenceOf } from './report.ts';
import { wireCases } from './wire.ts';

const suites = ['wire', 'kernels'] as const;
type Suite = (typeof suites)[number];
const browsers = ['chromium', 'firefox'] as const;

/** A mistake on the command line, told in one line. */
class UsageError extends Error {}

interface Settings {
  readonly suites: readonly Suite[];
  readonly rounds: number;
  readonly json: boolean;
  readonly peers: boolean;
  readonly browser: (typeof browsers)[number];
  readonly cases: readonly string[];
}

function settingsOf(): Settings {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', default: 'wire' },
      rounds: { type: 'string', default: '9' },
      json: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: false },
      browser: { type: 'string', default: 'chromium' },
      case: { type: 'string', default: Object.keys(problems).join(',') },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new UsageError(`--rounds ${values.rounds}: give a whole number above 0`);
  }
  const cases = values.case.split(',');
  for (const name of cases) {
    if (!(name in problems)) {
      throw new UsageError(`--case ${name}: no such case; the cases are ${Object.keys(problems).join(', ')}`);
    }
  }
  return {
    suites: values.suite.split(',').map((name) => oneOf(suites, name, '--suite', 'suite')),
    rounds,
    json: values.json,
    peers: values.peers,
    browser: oneOf(browsers, values.browser, '--browser', 'browser'),
    cases,
  };
}

function oneOf<Name extends string>(known: readonly Name[], name: string, option: string, what: string): Name {
  const found = known.find((one) => one === name);
  if (found === undefined) {
    throw new UsageError(`${option} ${name}: no such ${what}; the ${what}s are ${known.join(', ')}`);
  }
  return found;
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function main(): Promise<number> {
  const settings = settingsOf();
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;
  const wire: MeasuredCase[] = [];
  if (settings.suites.includes('wire')) {
    for (const one of wireCases()) {
      say(`${one.name} ...`);
      wire.push(await measure(one, settings.rounds, () => performance.now() / 1000));
    }
  }
  const kernels = settings.suites.includes('kernels')
    ? await raceInBrowser({ ...settings, problems: settings.cases, say })
    : undefined;
  const cases = [...wire, ...(kernels?.cases ?? [])];
  if (settings.json) {
    const where =
      kernels === undefined ? {} : { adapter: kernels.adapter, browser: kernels.browser, ceilings: kernels.ceilings };
    process.stdout.write(`${JSON.stringify({ machine, ...where, cases: cases.map(reportOf) })}\n`);
  } else process.stdout.write([machine, ...cases.map(sentenceOf), ''].join('\n'));
  return Object.keys(kernels?.broken ?? {}).length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!isUsage && !(error instanceof UsageError)) throw error;
  process.stderr.write(`tabswarm bench: ${error.message}\n`);
  process.exitCode = 2;
}
