/**
 * The kernels' self-test as rows of the conformance matrix: a row for each variant of each kernel, with what passed, what
 * failed and what this device cannot run. `kernels.ts` runs it in browsers, `bench/conformance/dawn.ts` on Dawn in Node.
 */

import { kernelCases } from '../../src/kernels/catalogue.ts';
import type { Device } from '../../src/kernels/device.ts';
import { refereeDigest, refereeDigestExpected } from '../../src/kernels/referee-digest.ts';
import { selfTest, type CaseReport } from '../../src/kernels/self-test.ts';
import type { KernelCase } from '../../src/kernels/test-case.ts';
import { canRun } from '../../src/kernels/variants.ts';
import { exactDigests, exactDigestsExpected } from '../../src/models/exact-digest.ts';

export interface ConformanceRow {
  readonly kernel: string;
  /** Empty for a kernel that has only one way. */
  readonly variant: string;
  readonly passed: number;
  readonly failed: number;
  /** Cases of a variant that needs what this device lacks. */
  readonly notApplicable: number;
  /** The largest error as a fraction of its tolerance; null where nothing ran, or an error was not finite. */
  readonly ofTolerance: number | null;
  /** Of each case that failed, its title and what went wrong first. */
  readonly problems: readonly string[];
}

/** The last seed's cases stay, because making their truths takes longer than running them. */
let made: { readonly seed: number; readonly cases: readonly KernelCase[] } | undefined;

function casesOf(seed: number): readonly KernelCase[] {
  if (made?.seed !== seed) made = { seed, cases: kernelCases(seed) };
  return made.cases;
}

/** The digests of whole exact programs, a row each; they know no seed and no tolerance. */
const exactPrograms = 'exact programs';

/** What can be asked of `conformanceRows`, in the order of the catalogue. */
export const kernelNames = (seed: number): string[] => [
  ...new Set(casesOf(seed).map(({ kernel }) => kernel)),
  exactPrograms,
];

/** The rows of one kernel. */
export async function conformanceRows(device: Device, seed: number, kernel: string): Promise<ConformanceRow[]> {
  if (kernel === exactPrograms) return exactRows(device);
  const cases = casesOf(seed).filter((one) => one.kernel === kernel);
  const variants = [...new Set(cases.map(({ variant }) => variant?.name ?? ''))];
  const rows: ConformanceRow[] = [];
  for (const variant of variants) {
    const own = cases.filter((one) => (one.variant?.name ?? '') === variant);
    const applicable = own.filter((one) => one.variant === undefined || canRun(one.variant, device));
    const reports = await reportsOf(device, seed, applicable);
    rows.push(rowOf(kernel, variant, reports, own.length - applicable.length));
  }
  return rows;
}

async function exactRows(device: Device): Promise<ConformanceRow[]> {
  const { forward, training } = await exactDigests(device);
  const row = (variant: string, digest: string, expected: string): ConformanceRow => ({
    kernel: exactPrograms,
    variant,
    passed: digest === expected ? 1 : 0,
    failed: digest === expected ? 0 : 1,
    notApplicable: 0,
    ofTolerance: digest === expected ? 0 : null,
    problems: digest === expected ? [] : [`the digest is ${digest}, and every device must give ${expected}`],
  });
  return [
    row('forward pass', forward, exactDigestsExpected.forward),
    row('ten training steps', training, exactDigestsExpected.training),
    row('referee on the CPU', refereeDigest(), refereeDigestExpected),
  ];
}

/** Cases that run at once: each waits for readbacks, and a browser may take a tenth of a second for one. */
const lanes = 4;

/**
 * Several cases at once, and those that failed once more alone: work of one case may hear of an error of another's, and
 * what counts is what a case does by itself.
 */
async function reportsOf(device: Device, seed: number, cases: readonly KernelCase[]): Promise<CaseReport[]> {
  const reports: CaseReport[] = [];
  const runAlone = async (index: number): Promise<void> => {
    const report = (await selfTest(device, { seed, cases: cases.slice(index, index + 1) })).cases[0];
    if (report !== undefined) reports[index] = report;
  };
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < cases.length) await runAlone(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  for (const [index, report] of reports.entries()) if (!report.passed) await runAlone(index);
  return reports;
}

function rowOf(kernel: string, variant: string, reports: readonly CaseReport[], notApplicable: number): ConformanceRow {
  const failures = reports.filter((own) => !own.passed);
  const worst = Math.max(-Infinity, ...reports.map((own) => own.ofTolerance));
  return {
    kernel,
    variant,
    passed: reports.length - failures.length,
    failed: failures.length,
    notApplicable,
    ofTolerance: Number.isFinite(worst) ? worst : null,
    problems: failures.map(({ title, problem }) => `${title}: ${problem ?? 'no reason'}`),
  };
}
