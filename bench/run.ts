/**
 * `npm run bench -- --suite wire --rounds 9 --json`: runs the chosen suites and prints a table, or one JSON object. Each
 * suite is a file beside this one; how they are timed is in `measure.ts`.
 */

import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { measure, type Case, type CaseReport } from './measure.ts';
import { wireCases } from './wire.ts';

const suites: Readonly<Record<string, () => readonly Case[]>> = { wire: wireCases };

const seconds = (): number => performance.now() / 1000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', default: Object.keys(suites).join(',') },
      rounds: { type: 'string', default: '9' },
      json: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    process.stderr.write(`tabswarm bench: --rounds ${values.rounds}: give a whole number above 0\n`);
    return 2;
  }
  const cases: Case[] = [];
  for (const name of values.suite.split(',')) {
    const suite = suites[name];
    if (suite === undefined) {
      const known = Object.keys(suites).join(', ');
      process.stderr.write(`tabswarm bench: --suite ${name}: no such suite; the suites are ${known}\n`);
      return 2;
    }
    cases.push(...suite());
  }
  const reports: CaseReport[] = [];
  for (const one of cases) {
    process.stderr.write(`${one.name} ...\n`);
    reports.push(await measure(one, rounds, seconds));
  }
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;
  process.stdout.write(values.json ? `${JSON.stringify({ machine, cases: reports })}\n` : table(machine, reports));
  return 0;
}

const table = (machine: string, reports: readonly CaseReport[]): string =>
  [
    machine,
    ...reports.map(({ name, unit, ours, ratio }) => {
      const against = ratio === null ? '' : `  ${ratio.toFixed(2)} of the best peer`;
      return `${name.padEnd(20)} ${ours.toFixed(1).padStart(10)} ${unit}${against}`;
    }),
    '',
  ].join('\n');

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!isUsage) throw error;
  process.stderr.write(`tabswarm bench: ${error.message}\n`);
  process.exitCode = 2;
}
