/** What a race leaves in `bench/results/kernels`: the JSON object, a picture, and a page that shows both to people. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserRun } from './browser-run.ts';
import { fractionOf, problems } from './kernels/problem.ts';
import { plotRace } from './kernel-plot.ts';
import type { CaseReport, MeasuredCase } from './measure.ts';
import { fileNameOf, percent, reportOf, shown, type RunCeilings } from './report.ts';

/** The JSON object of the command. */
export interface KernelReport {
  readonly machine: string;
  readonly adapter: string;
  readonly browser: string;
  readonly ceilings: RunCeilings;
  readonly cases: readonly CaseReport[];
}

export const kernelReport = (machine: string, { adapter, browser, ceilings, cases }: BrowserRun): KernelReport => ({
  machine,
  adapter,
  browser,
  ceilings,
  cases: cases.map(reportOf),
});

/** Writes all three, named after the device class; gives their paths. */
export function writeKernels(machine: string, rounds: number, run: BrowserRun, folder: string): readonly string[] {
  mkdirSync(folder, { recursive: true });
  const name = fileNameOf(run.adapter);
  const raced = run.cases.flatMap((measured) => {
    const better = problems[measured.name]?.().better;
    return measured.ratio === null || better === undefined ? [] : [{ ...measured, better }];
  });
  const files: readonly [string, string][] = [
    [join(folder, `${name}.json`), `${JSON.stringify(kernelReport(machine, run), null, 1)}\n`],
    [join(folder, `${name}.svg`), plotRace(`${run.adapter}, ${run.browser}`, raced)],
    [join(folder, `${name}.md`), documentOf(machine, rounds, run, `${name}.svg`)],
  ];
  for (const [path, text] of files) writeFileSync(path, text);
  return files.map(([path]) => path);
}

function documentOf(machine: string, rounds: number, run: BrowserRun, picture: string): string {
  const { adapter, browser, ceilings, cases, broken, variants, failed } = run;
  const libraries = [
    ...new Set(cases.flatMap(({ peers, wrong }) => [...Object.keys(peers), ...Object.keys(wrong ?? {})])),
  ];
  return [
    `# Kernels side by side: ${adapter}`,
    '',
    `Written by \`npm run bench -- --suite kernels --peers\`: ${browser}, ${machine}. Medians of ${rounds} paired rounds in one`,
    'page; how they are measured is told in [docs/benchmarks.md](../../../docs/benchmarks.md).',
    '',
    `Ceilings of the adapter in the same run: ${ceilings.fmaGflops.toFixed(1)} GFLOP/s of f32 FMA, ` +
      `${ceilings.copyGBs.toFixed(2)} GB/s copied (bytes read and written together).`,
    '',
    `![Speed of each library by case](${picture})`,
    '',
    `| case | unit | ours | ${libraries.map((name) => `${name} | `).join('')}ratio | rounds from, to | ours, of the ceiling |`,
    `|---|---|---:|${'---:|'.repeat(libraries.length)}---:|---:|---:|`,
    ...cases.map((measured) => rowOf(measured, libraries, ceilings)),
    '',
    '`ratio` is the median over rounds of ours against the best of the others in that round, above 1 where ours is faster.',
    '',
    ...remarks(cases, { ...broken, ...failed }),
    'Variants of ours that ran:',
    '',
    ...variants.map((line) => `- ${line}`),
    '',
  ].join('\n');
}

function rowOf(measured: MeasuredCase, libraries: readonly string[], ceilings: RunCeilings): string {
  const { name, unit, ours, peers, ratio, ratios, wrong } = measured;
  const problem = problems[name]?.();
  const others = libraries.map((library) => {
    const value = peers[library];
    if (value !== undefined) return shown(value);
    return wrong?.[library] === undefined ? 'cannot' : 'wrong';
  });
  const spread = ratios.length === 0 ? '' : `${Math.min(...ratios).toFixed(2)}, ${Math.max(...ratios).toFixed(2)}`;
  const fraction = problem === undefined ? '' : percent(fractionOf(problem, ours, ceilings));
  const cells = [name, unit, shown(ours), ...others, ratio === null ? '' : ratio.toFixed(2), spread, fraction];
  return `| ${cells.join(' | ')} |`;
}

/** What did not run, or was wrong. */
function remarks(cases: readonly MeasuredCase[], failed: Readonly<Record<string, string>>): readonly string[] {
  const wrong = cases.flatMap(({ name, wrong: of }) =>
    Object.entries(of ?? {}).map(([library, why]) => `- ${name}, ${library}: ${why}`),
  );
  const lines = [...wrong, ...Object.entries(failed).map(([name, why]) => `- ${name}: ${why}`)];
  return lines.length === 0 ? [] : ['Not timed, because wrong or failed:', '', ...lines, ''];
}
