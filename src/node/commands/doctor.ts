/**
 * `tabswarm doctor`: says whether this machine can contribute, through a browser or natively, and if not, why; and what its
 * GPU can do. Exit code 0 where it can, 1 where it cannot.
 */

import type { Command } from 'commander';
import { InputError } from '../../core/result.ts';
import type { Inspection } from '../../kernels/inspection.ts';
import type { DeviceDescription } from '../../protocol/messages.ts';
import { families } from '../../kernels/families.ts';
import { examine, pickLine, type DoctorReport } from '../doctor.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { printResult, WorkFailedError, type Output } from '../output.ts';

interface DoctorFlags {
  readonly native: boolean;
  readonly gpu?: string;
  readonly data: string;
  readonly tunerCheck: boolean;
  readonly family?: string;
  readonly json: boolean;
}

export function register(program: Command, output: Output): void {
  program
    .command('doctor')
    .description('say whether this machine can contribute, or why not, and what its GPU can do')
    .option('--native', 'without a browser, as `volunteer --native` computes', false)
    .option('--gpu <name>', 'with --native, a GPU by a part of its name')
    .option('--tuner-check', 'with --native, how near the tuner’s picks are to the best variants', false)
    .option('--family <name>', 'with --tuner-check, only this kernel family (default: all)')
    .option('--data <folder>', 'with --native, where the fastest variants are kept', defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((flags: DoctorFlags) => run(flags, output));
}

async function run(flags: DoctorFlags, output: Output): Promise<void> {
  if (!flags.native && flags.gpu !== undefined) {
    throw new InputError('--gpu: a browser chooses the GPU itself; add --native');
  }
  if (!flags.native && flags.tunerCheck) throw new InputError('--tuner-check: works with --native only; add it');
  checkFamily(flags);
  const report = await examine({ ...flags, progress: output.progress });
  printResult(output, flags.json, report, () => linesOf(report));
  if (!report.canContribute) throw new WorkFailedError(`this machine cannot contribute: ${report.obstacle}`);
}

function checkFamily({ family, tunerCheck }: DoctorFlags): void {
  if (family === undefined) return;
  if (!tunerCheck) throw new InputError('--family: goes with --tuner-check; add it, or leave it out');
  if (families.some(({ name }) => name === family)) return;
  throw new InputError(`--family: there is no ${family}; it is one of ${families.map(({ name }) => name).join(', ')}`);
}

/** The report for people; an obstacle stands last, as the error's own line. */
export function linesOf(report: DoctorReport): readonly string[] {
  const { node, browser, device, inspection, picks } = report;
  return [
    `Node ${node.version} on ${node.platform}`,
    ...(browser === undefined ? [] : [`browser ${browser.version}: ${browser.path}`]),
    ...(device === undefined ? [] : deviceLines(device)),
    ...(inspection === undefined ? [] : inspectionLines(inspection)),
    ...(picks ?? []).map(pickLine),
    ...(report.canContribute ? ['this machine can contribute'] : []),
  ];
}

function deviceLines(device: DeviceDescription): readonly string[] {
  const { deviceClass, fallback, features, bufferBytesMax, bindingBytesMax, numericClass, loopIterationsMax } = device;
  return [
    `GPU ${deviceClass}${fallback ? ': a software adapter, which is slow; its results count the same' : ''}`,
    `features: ${features.filter((feature) => feature !== 'core-features-and-limits').join(', ') || 'none that kernels use'}`,
    `buffers up to ${mebibytes(bufferBytesMax)}, ${mebibytes(bindingBytesMax)} in one binding`,
    `numeric class ${numericClass ?? 'unknown'}`,
    ...(loopIterationsMax === undefined ? [] : [`loops end by themselves after ${loopIterationsMax} turns`]),
  ];
}

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

function inspectionLines({ selfTest, kernels, ceilings, speeds, dropped }: Inspection): readonly string[] {
  const { passed, failed, notApplicable } = selfTest;
  const rate = (perSecond: number, unit: string): string => `${(perSecond / 1e9).toPrecision(3)} ${unit}`;
  return [
    `self-test: ${kernels.length} kernels, ${passed} checks passed, ${failed} failed, ${notApplicable} do not apply here`,
    ...kernels.filter((kernel) => kernel.failed > 0).map(({ kernel, problem }) => `wrong: ${kernel}: ${problem}`),
    ...dropped.map(
      ({ family, variant, bucket, problem }) => `left out: ${family} '${variant}' (${bucket}) is wrong: ${problem}`,
    ),
    `at most ${rate(ceilings.f32Flops, 'GFLOP/s')} in f32` +
      (ceilings.f16Flops === undefined ? '' : `, ${rate(ceilings.f16Flops, 'GFLOP/s')} in f16`) +
      `, ${rate(ceilings.copyBytes, 'GB/s')} copied; a dispatch costs ${(1000 * ceilings.dispatchMs).toFixed(1)} us`,
    ...speeds.map(
      ({ family, bucket, variant, isTuned, bound, perSecond, fraction }) =>
        `${family} ${bucket}: ${variant}${isTuned ? '' : ' (not tuned)'}, ` +
        `${rate(perSecond, bound === 'flops' ? 'GFLOP/s' : 'GB/s')}, ${(100 * fraction).toFixed(0)} % of the most`,
    ),
  ];
}
