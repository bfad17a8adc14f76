/**
 * Is the tuner's pick near the best? For every bucket that families show: a tuner without memory picks, then every right
 * variant is timed in nine turns, and the pick is compared with the variant whose median is smallest, turn by turn, so
 * that a machine that does other things meanwhile disturbs both alike. For people and reports; timing is no test.
 */

import { createRandom } from '../../core/prng.ts';
import { selfTest } from '../../kernels/self-test.ts';
import { medianOf, openTrial, type TimedDevice, type Trial } from '../../kernels/trial-run.ts';
import { safeVariant, variantsFor, type Family } from '../../kernels/variants.ts';
import type { WinnerStore } from '../../kernels/winners.ts';
import { createTuner } from './tuner.ts';

export interface PickCheck {
  readonly family: string;
  readonly bucket: string;
  readonly pick: string;
  readonly best: string;
  /** Median over the turns of the pick's time by the best one's; 1 where they are the same. */
  readonly ratio: number;
  /** Milliseconds of the safe variant by those of the pick: what tuning gained. */
  readonly gain: number;
  /** GPU time that the tuner took for this bucket. */
  readonly tunerMs: number;
}

const turns = 9;
const sampleMsMin = 4;
/** So much slower than the fastest in a first sample that it need not be timed on. */
const outOfRace = 3;

export async function checkPicks(
  timed: TimedDevice,
  families: readonly Family[],
  tell: (check: PickCheck) => void = () => undefined,
): Promise<readonly PickCheck[]> {
  const checks: PickCheck[] = [];
  for (const family of families) {
    for (const bucket of family.shown) {
      const tuner = await createTuner({ ...timed, families: [family], store: nowhere, adapterKey: '' });
      const before = timed.busyMs();
      const pick = (await tuner.tune(family, bucket))?.variant ?? safeVariant(family).name;
      const tunerMs = timed.busyMs() - before;
      const check = { ...(await race(timed, family, bucket, pick)), tunerMs };
      checks.push(check);
      tell(check);
    }
  }
  return checks;
}

const nowhere: WinnerStore = { load: async () => [], save: async () => undefined };

async function race(
  timed: TimedDevice,
  family: Family,
  bucket: string,
  pick: string,
): Promise<Omit<PickCheck, 'tunerMs'>> {
  const trial = family.trial(bucket, createRandom(1));
  const runners = new Map<string, { readonly trial: Trial; readonly firstMs: number; readonly samples: number[] }>();
  try {
    for (const { name } of variantsFor(family, timed.device, bucket)) {
      const kernelCase = trial.caseOf(name);
      if ((await selfTest(timed.device, { cases: [kernelCase] })).failed > 0) continue;
      const opened = await openTrial(timed, kernelCase);
      runners.set(name, { trial: opened, firstMs: await opened.run(1), samples: [] });
    }
    const fastest = Math.min(...[...runners.values()].map(({ firstMs }) => firstMs));
    const safe = safeVariant(family).name;
    const racing = [...runners].filter(
      ([name, { firstMs }]) => firstMs <= outOfRace * fastest || name === pick || name === safe,
    );
    const times = Math.min(64, Math.max(1, Math.ceil(sampleMsMin / Math.max(fastest, 0.01))));
    for (let turn = 0; turn < turns; turn++) {
      const from = turn % racing.length;
      for (const [, runner] of [...racing.slice(from), ...racing.slice(0, from)]) {
        runner.samples.push((await runner.trial.run(times)) / times);
      }
    }
    const best = racing.reduce((a, b) => (medianOf(b[1].samples) < medianOf(a[1].samples) ? b : a))[0];
    const ratioOf = (one: string, other: string): number => {
      const others = runners.get(other)?.samples ?? [];
      return medianOf((runners.get(one)?.samples ?? []).map((ms, turn) => ms / (others[turn] ?? ms)));
    };
    return { family: family.name, bucket, pick, best, ratio: ratioOf(pick, best), gain: ratioOf(safe, pick) };
  } finally {
    for (const runner of runners.values()) runner.trial.close();
  }
}
