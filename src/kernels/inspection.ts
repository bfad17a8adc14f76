/**
 * The examination of a device, for the page `#/device` and `tabswarm doctor`: is every kernel right here, what can the
 * adapter do at most, which variants win and what fraction of the ceiling they reach. It is plain data, so that it
 * crosses a worker's border and stands in a bug report.
 */

import { createRandom } from '../core/prng.ts';
import { kernelCases } from './catalogue.ts';
import { measureCeilings, type Ceilings } from './ceilings.ts';
import type { DeviceLimits } from './device.ts';
import { selfTest, type CaseReport, type SelfTestReport } from './self-test.ts';
import { medianOf, sampleOf, openTrial, type TimedDevice } from './trial-run.ts';
import { safeVariant, type Family } from './variants.ts';
import type { DroppedVariant, Winner } from './winners.ts';

export interface InspectionProgress {
  readonly stage: 'self-test' | 'ceilings' | 'tuning';
  /** From 0 to 1, over all stages. */
  readonly done: number;
  /** The kernel or family at hand. */
  readonly what: string;
}

/** All cases of one kernel. */
export interface KernelTest {
  readonly kernel: string;
  readonly passed: number;
  readonly failed: number;
  /** Of the first case that failed. */
  readonly problem?: string;
}

/** How fast a family runs a bucket that pages show. */
export interface FamilySpeed {
  readonly family: string;
  readonly bucket: string;
  /** The winner, or the safe variant where there was no time to look for a better one. */
  readonly variant: string;
  readonly isTuned: boolean;
  readonly ms: number;
  /** Of flops or bytes a second. */
  readonly bound: Family['bound'];
  readonly perSecond: number;
  /** Of the ceiling for `bound`; f16 variants may pass that of f32. */
  readonly fraction: number;
}

export interface Inspection {
  /** As the adapter tells them; empty where the browser keeps them to itself. */
  readonly adapter: AdapterNames;
  readonly limits: DeviceLimits;
  readonly seed: number;
  readonly selfTest: Pick<SelfTestReport, 'passed' | 'failed' | 'notApplicable'>;
  readonly kernels: readonly KernelTest[];
  readonly ceilings: Ceilings;
  /** By family; on a slow adapter not every bucket at the first time. */
  readonly speeds: readonly FamilySpeed[];
  /** Every winner that is known on this adapter, also of buckets that are not shown. */
  readonly winners: readonly Winner[];
  readonly dropped: readonly DroppedVariant[];
}

export interface AdapterNames {
  readonly vendor: string;
  readonly architecture: string;
  /** Often the driver with its version. */
  readonly description: string;
}

/** What the inspection needs of a tuner. */
export interface InspectedTuner {
  tune(family: Family, bucket: string): Promise<Winner | undefined>;
  winners(): readonly Winner[];
  dropped(): readonly DroppedVariant[];
}

export interface InspectionOptions {
  readonly adapter: AdapterNames;
  readonly families: readonly Family[];
  readonly tuner: InspectedTuner;
  readonly seed?: number;
  readonly progress?: (step: InspectionProgress) => void;
}

/** Parts of the whole that the stages take. */
const selfTestShare = 0.6;
const ceilingsShare = 0.1;
/** GPU time after which buckets that nobody tuned before are left to the next inspection. */
const tuningMsMax = 20_000;

export async function inspectDevice(timed: TimedDevice, options: InspectionOptions): Promise<Inspection> {
  const { families, tuner, seed = 1, progress = () => undefined } = options;
  const cases = kernelCases(seed);
  let tested = 0;
  const test = await selfTest(timed.device, {
    seed,
    cases,
    onCase: ({ kernel }) =>
      progress({ stage: 'self-test', done: (selfTestShare * ++tested) / cases.length, what: kernel }),
  });
  progress({ stage: 'ceilings', done: selfTestShare, what: 'ceilings' });
  const ceilings = await measureCeilings(timed);
  const shown = shownInTurns(families);
  const speeds: FamilySpeed[] = [];
  const tuningSince = timed.busyMs();
  for (const [index, { family, bucket }] of shown.entries()) {
    const isKnown = tuner.winners().some((winner) => winner.family === family.name && winner.bucket === bucket);
    if (!isKnown && timed.busyMs() - tuningSince > tuningMsMax) continue;
    const before = selfTestShare + ceilingsShare;
    progress({ stage: 'tuning', done: before + ((1 - before) * index) / shown.length, what: family.name });
    const speed = await speedOf(timed, tuner, family, bucket, ceilings);
    if (speed !== undefined) speeds.push(speed);
  }
  return {
    adapter: options.adapter,
    limits: timed.device.limits,
    seed,
    selfTest: { passed: test.passed, failed: test.failed, notApplicable: test.notApplicable },
    kernels: byKernel(test.cases),
    ceilings,
    speeds: families.flatMap(({ name }) => speeds.filter(({ family }) => family === name)),
    winners: tuner.winners(),
    dropped: tuner.dropped(),
  };
}

/** Every family's first bucket, then every one's second: where time is short, each family has its say. */
export function shownInTurns(
  families: readonly Family[],
): readonly { readonly family: Family; readonly bucket: string }[] {
  const turns = Math.max(0, ...families.map(({ shown }) => shown.length));
  return Array.from({ length: turns }, (_, turn) =>
    families.flatMap((family) => {
      const bucket = family.shown[turn];
      return bucket === undefined ? [] : [{ family, bucket }];
    }),
  ).flat();
}

/** Undefined where the safe variant does not even run; the self-test tells why. */
async function speedOf(
  timed: TimedDevice,
  tuner: InspectedTuner,
  family: Family,
  bucket: string,
  ceilings: Ceilings,
): Promise<FamilySpeed | undefined> {
  const winner = await tuner.tune(family, bucket);
  const known = winner?.timed.find(({ variant }) => variant === winner.variant);
  const variant = winner?.variant ?? safeVariant(family).name;
  const measured =
    winner !== undefined && known !== undefined
      ? { ms: known.ms, work: winner.work }
      : await timeOnce(timed, family, bucket, variant).catch(() => undefined);
  if (measured === undefined) return undefined;
  const perSecond = measured.work / (Math.max(measured.ms, 1e-3) / 1000);
  const ceiling = family.bound === 'flops' ? ceilings.f32Flops : ceilings.copyBytes;
  const of = { family: family.name, bucket, variant, bound: family.bound };
  return { ...of, isTuned: winner !== undefined, ms: measured.ms, perSecond, fraction: perSecond / ceiling };
}

/** A sample must last so many of the browser's grains. */
const sampleGrains = 10;

async function timeOnce(
  timed: TimedDevice,
  family: Family,
  bucket: string,
  variant: string,
): Promise<{ readonly ms: number; readonly work: number }> {
  const { caseOf, work } = family.trial(bucket, createRandom(1));
  const trial = await openTrial(timed, caseOf(variant));
  try {
    await trial.run(1);
    const samples: number[] = [];
    for (let sample = 0; sample < 3; sample++) samples.push(await sampleOf(trial, sampleGrains * (timed.grainMs ?? 0)));
    return { ms: medianOf(samples), work };
  } finally {
    trial.close();
  }
}

/** In the order of the catalogue. */
export function byKernel(cases: readonly CaseReport[]): readonly KernelTest[] {
  const tests = new Map<string, KernelTest>();
  for (const { kernel, title, passed, problem } of cases) {
    const before = tests.get(kernel) ?? { kernel, passed: 0, failed: 0 };
    tests.set(kernel, {
      ...before,
      passed: before.passed + (passed ? 1 : 0),
      failed: before.failed + (passed ? 0 : 1),
      ...(passed || before.problem !== undefined ? {} : { problem: `${title}: ${problem ?? 'failed'}` }),
    });
  }
  return [...tests.values()];
}
