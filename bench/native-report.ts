/** What a native run leaves: its JSON, and a document for people, in files named after the GPU. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeReport } from './native.ts';
import { fileNameOf, percent } from './report.ts';

/** JSON and document of one run, named after the GPU; gives their paths. */
export function writeNative(report: NativeReport, folder: string): readonly string[] {
  mkdirSync(folder, { recursive: true });
  const name = fileNameOf(report.adapter);
  const files: readonly [string, string][] = [
    [join(folder, `${name}.json`), `${JSON.stringify(report, null, 1)}\n`],
    [join(folder, `${name}.md`), nativeDocument(report)],
  ];
  for (const [path, text] of files) writeFileSync(path, text);
  return files.map(([path]) => path);
}

/** The report for people. */
export function nativeDocument(report: NativeReport): string {
  const { adapter, driver, machine, ceilings, cases, broken, exact, variants, inspection } = report;
  const f16 = ceilings.fmaF16Gflops === undefined ? '' : `, f16 FMA ${ceilings.fmaF16Gflops.toFixed(0)} GFLOP/s`;
  return [
    `# Kernels on ${adapter}`,
    '',
    `Written by \`npm run bench -- --native\`. ${driver === '' ? '' : `Driver: ${driver}. `}Machine: ${machine}.`,
    '',
    `Ceilings measured in the same run: f32 FMA ${ceilings.fmaGflops.toFixed(0)} GFLOP/s${f16}, copy ` +
      `${ceilings.copyGBs.toFixed(1)} GB/s (bytes read and written together), ${(ceilings.dispatchMs * 1000).toFixed(1)} us ` +
      `a dispatch, ${(ceilings.submitMs * 1000).toFixed(0)} us a submit with its wait.`,
    '',
    `Exact programs: digests ${exact.equal ? 'equal to' : 'different from'} those of every other adapter ` +
      `(forward \`${exact.forward.slice(0, 16)}\`, training \`${exact.training.slice(0, 16)}\`).`,
    '',
    '| case | median | of the ceiling |',
    '|---|---:|---:|',
    ...cases.map(
      ({ name, ours, unit, fraction, bound }) =>
        `| ${name} | ${ours.toPrecision(4)} ${unit} | ${percent(fraction)} of ${bound === 'flops' ? 'FMA' : 'copy'} |`,
    ),
    ...Object.entries(broken).map(([name, why]) => `| ${name} | failed: ${why} | |`),
    '',
    ...(inspection === undefined ? [] : inspectionLines(inspection)),
    '## Variants that ran',
    '',
    ...variants.map((line) => `- ${line}`),
    '',
  ].join('\n');
}

function inspectionLines({ selfTest, kernels, speeds }: NonNullable<NativeReport['inspection']>): readonly string[] {
  return [
    '## Every family at the sizes that the device page shows',
    '',
    '| family | bucket | variant | ms | of the ceiling |',
    '|---|---|---|---:|---:|',
    ...speeds.map(
      ({ family, bucket, variant, ms, fraction, bound }) =>
        `| ${family} | ${bucket} | ${variant} | ${ms.toPrecision(3)} | ${percent(fraction)} of ${bound === 'flops' ? 'FMA' : 'copy'} |`,
    ),
    '',
    `Self-test: ${selfTest.passed} passed, ${selfTest.failed} failed, ${selfTest.notApplicable} do not apply.`,
    ...kernels.flatMap(({ kernel, problem }) => (problem === undefined ? [] : [`- ${kernel}: ${problem}`])),
    '',
  ];
}
