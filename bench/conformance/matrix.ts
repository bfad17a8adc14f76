/** The conformance matrix as a document: who ran, which kernel passed where, and how near it came to its tolerance. */

import type { ConformanceRow } from '../../e2e/pages/conformance-rows.ts';
import { noKernel } from '../../e2e/pages/onnx-forms.ts';
import type { GoldenRow } from '../../e2e/pages/onnx-golden.ts';
import type { ClassMissing, ClassReport } from './class-report.ts';

export interface Conformance {
  /** Command, commit-free: what a reader types to make it again. */
  readonly command: string;
  /** Day of the run, as 2026-01-31. */
  readonly day: string;
  readonly machine: string;
  readonly classes: readonly ClassReport[];
  readonly missing: readonly ClassMissing[];
}

export function conformanceDocument({ command, day, machine, classes, missing }: Conformance): string {
  return [
    '# Conformance',
    '',
    'Every kernel against its f64 truth on different device classes: engines, shader compilers and drivers that share no code.',
    `Written by \`${command}\` on ${day} (${machine}); do not edit by hand.`,
    '',
    ...table(
      ['class', 'engine', 'adapter', 'device class in the swarm', 'features', 'binding limit', 'cases'],
      classes.map((one) => [
        one.name,
        one.engine,
        one.adapter,
        one.deviceClass,
        one.features.filter(isForKernels).join(', ') || 'none',
        `${Math.round(one.bindingBytesMax / 2 ** 20)} MiB`,
        totals(one),
      ]),
    ),
    ...missing.flatMap(({ name, why }) => ['', `Not run: ${name}: ${why}.`]),
    '',
    `Seeds of the inputs: ${[...new Set(classes.flatMap(({ seeds }) => seeds))].join(', ')}. In the table below, \`12 (0.31)\` are twelve`,
    'cases passed, of which the worst came to 0.31 of its tolerance; a dash is a variant that needs a feature or a limit which the',
    'device lacks, and so does not apply.',
    '',
    ...table(
      ['kernel', 'variant', ...classes.map(({ name }) => name)],
      keysOf(classes).map(([kernel, variant]) => [
        kernel,
        variant,
        ...classes.map(({ rows }) => cell(rows.find((row) => row.kernel === kernel && row.variant === variant))),
      ]),
    ),
    ...goldenPart(classes),
    ...problemsOf(classes),
    '',
  ].join('\n');
}

/** Features that decide which variants run; a browser lists others too, which are for drawing. */
const isForKernels = (feature: string): boolean =>
  ['shader-f16', 'subgroups', 'timestamp-query'].includes(feature) || feature.includes('subgroup-matrix');

function totals({ rows }: ClassReport): string {
  const count = (of: (row: ConformanceRow) => number): number => rows.reduce((all, row) => all + of(row), 0);
  return (
    `${count((row) => row.passed)} passed, ${count((row) => row.failed)} failed, ` +
    `${count((row) => row.notApplicable)} not applicable`
  );
}

function keysOf(classes: readonly ClassReport[]): [string, string][] {
  const keys = new Map<string, [string, string]>();
  for (const { kernel, variant } of classes.flatMap(({ rows }) => rows)) {
    keys.set(`${kernel} ${variant}`, [kernel, variant]);
  }
  return [...keys.values()];
}

export function cell(row: ConformanceRow | undefined): string {
  if (row === undefined) return 'not run';
  if (row.passed + row.failed === 0) return '-';
  const worst = row.ofTolerance === null ? 'not finite' : row.ofTolerance.toPrecision(2);
  return row.failed > 0 ? `**${row.failed} failed**, ${row.passed} (${worst})` : `${row.passed} (${worst})`;
}

/** What became of ONNX's own cases, by operator, and why the others do not apply. */
function goldenPart(classes: readonly ClassReport[]): string[] {
  const ran = classes.filter(({ golden }) => golden.length > 0);
  const [first] = ran;
  if (first === undefined) return [];
  const counted = (row: GoldenRow): number => Object.values(row.notApplicable).reduce((sum, count) => sum + count, 0);
  const all = first.golden.reduce((sum, row) => sum + row.passed + row.failed.length + counted(row), 0);
  const skipped = first.golden.reduce((sum, row) => sum + counted(row), 0);
  const isExpressed = ({ passed, failed, notApplicable }: GoldenRow): boolean =>
    passed + failed.length > 0 || !(noKernel in notApplicable);
  const without = first.golden.filter((row) => !isExpressed(row));
  return [
    '',
    "## ONNX's own cases",
    '',
    `Of the ${all} single-operator cases of ONNX's backend tests, ${all - skipped} are run against our f64 truths and, on each class, our`,
    `kernels; ${skipped} do not apply, each for a reason. Cases run and passed:`,
    '',
    ...table(
      ['operator', ...ran.map(({ name }) => name), 'not applicable'],
      first.golden.filter(isExpressed).map((row) => [
        row.op,
        ...ran.map(({ golden }) => goldenCell(golden.find(({ op }) => op === row.op))),
        Object.entries(row.notApplicable)
          .map(([reason, count]) => `${count}: ${reason}`)
          .join('; '),
      ]),
    ),
    '',
    `No kernel of ours computes these (${without.reduce((sum, row) => sum + counted(row), 0)} cases): ` +
      `${without.map(({ op }) => op).join(', ')}.`,
  ];
}

const goldenCell = (row: GoldenRow | undefined): string => {
  if (row === undefined) return 'not run';
  return row.failed.length > 0 ? `**${row.failed.length} failed**, ${row.passed}` : String(row.passed);
};

function problemsOf(classes: readonly ClassReport[]): string[] {
  const lines = classes.flatMap(({ name, rows }) =>
    rows.flatMap(({ kernel, variant, problems }) =>
      problems.map((problem) => `- ${name}: ${[kernel, variant].filter(Boolean).join(' ')}: ${oneLine(problem)}`),
    ),
  );
  const golden = classes.flatMap(({ name, golden: rows }) =>
    rows.flatMap(({ failed }) => failed.map((problem) => `- ${name}: ONNX: ${oneLine(problem)}`)),
  );
  return lines.length + golden.length === 0 ? [] : ['', '## What failed', '', ...lines, ...golden];
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').replaceAll('|', '/').slice(0, 300);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
