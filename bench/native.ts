/**
 * `npm run bench -- --native`: our kernels in Node, on Dawn and whatever GPU the machine has. Each problem is checked
 * against its truth and timed, and its fraction of the ceilings measured in the same run is told. On a GPU that is no
 * software adapter the problems are larger, every kernel is tested, and every family's winner is timed.
 * `native-main.ts` is the same for machines that hold nothing but Node.
 */

import { arch, cpus, platform } from 'node:os';
import { openTunedDevice, type TunedDevice } from '../src/adapters/gpu/tuned-device.ts';
import { createMemoryWinners } from '../src/adapters/store/memory-winners.ts';
import { measureCeilings } from '../src/kernels/ceilings.ts';
import type { Inspection } from '../src/kernels/inspection.ts';
import { exactDigests, exactDigestsExpected } from '../src/models/exact-digest.ts';
import { closeNodeGpu, openNodeGpu } from '../src/node/open-gpu.ts';
import { oursOn } from './kernels/ours.ts';
import { fractionOf, largeProblems, problems, type Problems } from './kernels/problem.ts';
import { race } from './kernels/work.ts';
import type { CaseReport } from './measure.ts';
import { ceilingsOf, percent, reportOf, sentenceOf, variantsOf, type RunCeilings } from './report.ts';

export interface NativeOptions {
  readonly rounds: number;
  /** Names of problems; undefined takes those that suit the adapter. */
  readonly cases: readonly string[] | undefined;
  /** A part of the GPU's name. */
  readonly gpu: string | undefined;
  readonly say: (line: string) => void;
}

export interface NativeCase extends CaseReport {
  /** Of the ceiling that bounds it, and which one that is. */
  readonly fraction: number;
  readonly bound: 'flops' | 'bytes';
}

export interface NativeReport {
  readonly machine: string;
  /** The GPU's name as the driver tells it, and the driver. */
  readonly adapter: string;
  readonly driver: string;
  readonly deviceClass: string;
  readonly fallback: boolean;
  readonly features: readonly string[];
  readonly ceilings: RunCeilings & {
    readonly fmaF16Gflops?: number;
    readonly dispatchMs: number;
    readonly submitMs: number;
  };
  readonly cases: readonly NativeCase[];
  readonly broken: Readonly<Record<string, string>>;
  /** Digests of the integer programs, and whether they are those of every other adapter. */
  readonly exact: { readonly forward: string; readonly training: string; readonly equal: boolean };
  readonly variants: readonly string[];
  /** Only where the adapter is no software: the self-test and each family's speed. */
  readonly inspection?: Pick<Inspection, 'selfTest' | 'kernels' | 'speeds' | 'dropped'>;
}

/** Each timed run lasts at least so long, so that the look at its end does not count. */
const secondsMin = 0.05;

/** Names of all problems that `--native` knows. */
export const nativeProblems: Problems = { ...problems, ...largeProblems };

export async function benchNative({ rounds, cases, gpu: name, say }: NativeOptions): Promise<NativeReport> {
  const gpu = await openNodeGpu(name === undefined ? {} : { adapter: name });
  try {
    const info = (await gpu.requestAdapter({ powerPreference: 'high-performance' }))?.info;
    const tuned = await openTunedDevice(gpu, { engine: 'dawn', store: createMemoryWinners(), report: say });
    try {
      const { description } = tuned;
      const adapter = info?.device || tuned.adapter.description || description.deviceClass;
      say(`${adapter}${description.fallback ? ', a software adapter' : ''}`);
      const measured = await measureCeilings(tuned);
      const ceilings = {
        ...ceilingsOf(measured),
        ...(measured.f16Flops === undefined ? {} : { fmaF16Gflops: measured.f16Flops / 1e9 }),
        dispatchMs: measured.dispatchMs,
        submitMs: measured.submitMs,
      };
      say(`ceilings: ${ceilings.fmaGflops.toFixed(1)} GFLOP/s, copy ${ceilings.copyGBs.toFixed(2)} GB/s`);
      const digests = await exactDigests(tuned.device);
      const exact = {
        ...digests,
        equal: digests.forward === exactDigestsExpected.forward && digests.training === exactDigestsExpected.training,
      };
      say(`exact programs: digests ${exact.equal ? 'equal to' : 'DIFFER from'} those of every other adapter`);
      const names = cases ?? Object.keys(description.fallback ? problems : nativeProblems);
      const run = await runAll(tuned, names, { rounds, ceilings, say });
      const inspection = description.fallback ? undefined : await inspect(tuned, say);
      return {
        machine: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, ${platform()} ${arch()}, Node ${process.versions.node}`,
        adapter,
        driver: info?.description ?? '',
        deviceClass: description.deviceClass,
        fallback: description.fallback,
        features: description.features,
        ceilings,
        ...run,
        exact,
        variants: variantsOf(tuned.tuner),
        ...(inspection && { inspection }),
      };
    } finally {
      tuned.close();
    }
  } finally {
    closeNodeGpu(gpu);
  }
}

async function runAll(
  tuned: TunedDevice,
  names: readonly string[],
  { rounds, ceilings, say }: { rounds: number; ceilings: RunCeilings; say: (line: string) => void },
): Promise<Pick<NativeReport, 'cases' | 'broken'>> {
  const cases: NativeCase[] = [];
  const broken: Record<string, string> = {};
  for (const name of names) {
    try {
      const problem = nativeProblems[name]?.();
      if (problem === undefined) throw new Error('no such problem');
      const now = (): number => performance.now() / 1000;
      const raced = await race(problem, [oursOn(tuned)], { rounds, now, secondsMin });
      const fraction = fractionOf(problem, raced.ours, ceilings);
      cases.push({ ...reportOf(raced), fraction, bound: problem.bound.of });
      say(`${sentenceOf(raced)}, ${percent(fraction)} of the ceiling of ${problem.bound.of}`);
    } catch (error) {
      broken[name] = error instanceof Error ? error.message : String(error);
      say(`${name}: ${broken[name]}`);
    }
  }
  return { cases, broken };
}

async function inspect(tuned: TunedDevice, say: (line: string) => void): Promise<NativeReport['inspection']> {
  let stage = '';
  const { selfTest, kernels, speeds, dropped } = await tuned.inspect((step) => {
    if (step.stage !== stage) say(`${step.stage} ...`);
    stage = step.stage;
  });
  say(`self-test: ${selfTest.passed} passed, ${selfTest.failed} failed, ${selfTest.notApplicable} do not apply`);
  return { selfTest, kernels, speeds, dropped };
}
