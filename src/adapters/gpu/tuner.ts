/**
 * Finds each family's fastest variant on this adapter. A program asks which variant runs and gets the known winner, or
 * the safe variant, and its bucket is remembered as a wish. Whoever owns the device calls `tuneNext` while it idles: a
 * wish's candidates are first checked against the CPU truth (browsers and drivers do miscompile; what is wrong is dropped
 * and reported), then timed in turns, and the winner is kept in the store. Where records lie is the store's matter.
 */

import { createRandom } from '../../core/prng.ts';
import { shaderDigests, believedWinner, shaderDigest, winnerKey } from '../../kernels/winners.ts';
import type { DroppedVariant, Winner, WinnerStore } from '../../kernels/winners.ts';
import { selfTest } from '../../kernels/self-test.ts';
import type { KernelCase } from '../../kernels/test-case.ts';
import { medianOf, openTrial, sampleOf, type TimedDevice, type Trial } from '../../kernels/trial-run.ts';
import { safeVariant, variantsFor, type Choices, type Family, type Variant } from '../../kernels/variants.ts';

/** GPU time that a family may cost in one session; what is not tuned by then keeps its safe variant until the next. */
export const familyMsMax = 1_500;
/** Timed turns of every candidate, as far as there is time. */
const turns = 7;
/** After so many turns only those race on whose median is at most so many times the best one. */
const [turnsOfAll, close] = [3, 1.3];
/** A sample shorter than this would time the submit rather than the kernel. */
const sampleMsMin = 4;
/** A sample shorter than so many times `grainMs` would time how the browser looks; a first one is rougher. */
const [sampleGrainsMin, firstGrainsMin] = [10, 2];
const timesMax = 64;
/** A candidate this much slower than the fastest in its first sample cannot win. */
const hopeless = 2;
/** The safe variant wins ties: leaving it must be worth something. */
const worthwhile = 0.97;

export interface TunerParts extends TimedDevice {
  readonly families: readonly Family[];
  readonly store: WinnerStore;
  /** What names this adapter and browser in the store. */
  readonly adapterKey: string;
  readonly seed?: number;
  /** Default `familyMsMax`. */
  readonly familyMsMax?: number;
  /** Digests of the shaders that records may have timed; default those of this version. */
  readonly shaders?: ReadonlySet<string>;
  /** One line for each variant that was dropped, and for a store that does not keep. */
  readonly report?: (line: string) => void;
}

export interface Tuner extends Choices {
  /** Works on wishes for about this much GPU time; false once there is nothing to do. Calls do not overlap. */
  tuneNext(gpuMsMax: number): Promise<boolean>;
  /** Tunes this bucket to the end with a whole allowance of time, unless its winner is known: somebody waits for it. */
  tune(family: Family, bucket: string): Promise<Winner | undefined>;
  winners(): readonly Winner[];
  /** What was wrong on this device, now or when the winners were found. */
  dropped(): readonly DroppedVariant[];
}

interface Wish {
  readonly family: Family;
  readonly bucket: string;
}

/** With the winners that the store holds for this adapter; a store that fails is as good as empty. */
export async function createTuner(parts: TunerParts): Promise<Tuner> {
  const { device, families, store, adapterKey, report = () => undefined } = parts;
  const shaders = parts.shaders ?? shaderDigests();
  const winners = new Map<string, Winner>();
  const dropped = new Map<string, DroppedVariant>();
  const wishes = new Map<string, Wish>();
  /** Buckets that shall not be tried again in this session. */
  const given = new Set<string>();
  const spentMs = new Map<Family, number>();
  let current: { readonly wish: Wish; readonly steps: AsyncGenerator<number, Winner | undefined> } | undefined;

  const drop = (wrong: DroppedVariant): void => {
    const key = `${winnerKey(wrong)} ${wrong.variant}`;
    if (dropped.has(key)) return;
    dropped.set(key, wrong);
    report(`kernel ${wrong.family}, variant '${wrong.variant}' (${wrong.bucket}) is wrong here: ${wrong.problem}`);
  };
  const remember = (winner: Winner): void => {
    winners.set(winnerKey(winner), winner);
    for (const { variant, problem } of winner.dropped) drop({ ...winner, variant, problem });
  };
  const allowedMs = (family: Family): number => (parts.familyMsMax ?? familyMsMax) - (spentMs.get(family) ?? 0);
  const isOpen = ({ family, bucket }: Wish): boolean => {
    const key = winnerKey({ family: family.name, bucket });
    const tried = winners.get(key)?.tried ?? [];
    const known = variantsFor(family, device, bucket);
    return !given.has(key) && known.length > 1 && known.some(({ name }) => !tried.includes(name));
  };
  /** The next step of the current wish, or of the oldest; the milliseconds it took, or undefined without wishes. */
  const step = async (): Promise<number | undefined> => {
    if (current === undefined) {
      const [key, wish] = [...wishes][0] ?? [];
      if (key === undefined || wish === undefined) return undefined;
      wishes.delete(key);
      if (!isOpen(wish)) return 0;
      const earlier = winners.get(key);
      current = { wish, steps: tuneBucket(parts, wish, earlier, () => allowedMs(wish.family), drop) };
    }
    const { wish, steps } = current;
    try {
      const next = await steps.next();
      if (next.done !== true) {
        spentMs.set(wish.family, (spentMs.get(wish.family) ?? 0) + next.value);
        return next.value;
      }
      current = undefined;
      given.add(winnerKey({ family: wish.family.name, bucket: wish.bucket }));
      if (next.value !== undefined) {
        remember(next.value);
        await store
          .save(adapterKey, next.value)
          .catch((error: unknown) => report(`winners: not kept: ${textOf(error)}`));
      }
      return 0;
    } catch (error) {
      // The device is lost or full: nothing was learnt about the variants.
      current = undefined;
      given.add(winnerKey({ family: wish.family.name, bucket: wish.bucket }));
      report(`kernel ${wish.family.name}: tuning ended: ${textOf(error)}`);
      return 0;
    }
  };

  const records = await store.load(adapterKey).catch((error: unknown) => {
    report(`winners: not read: ${textOf(error)}`);
    return [];
  });
  for (const record of records) {
    const winner = believedWinner(record, families, device, shaders);
    if (winner !== undefined) remember(winner);
  }

  return {
    variantOf(family, bucket) {
      const key = winnerKey({ family: family.name, bucket });
      const wish = { family, bucket };
      if (isOpen(wish)) wishes.set(key, wish);
      return winners.get(key)?.variant ?? safeVariant(family).name;
    },
    async tuneNext(gpuMsMax) {
      let spent = 0;
      while (spent < gpuMsMax) {
        const took = await step();
        if (took === undefined) return false;
        spent += took;
      }
      return current !== undefined || wishes.size > 0;
    },
    async tune(family, bucket) {
      const key = winnerKey({ family: family.name, bucket });
      given.delete(key);
      spentMs.delete(family);
      if (isOpen({ family, bucket })) wishes.set(key, { family, bucket });
      while (isOpen({ family, bucket }) && (await step()) !== undefined);
      return winners.get(key);
    },
    winners: () => [...winners.values()],
    dropped: () => [...dropped.values()],
  };
}

interface Candidate {
  readonly variant: string;
  readonly trial: Trial;
  readonly samples: number[];
}

/**
 * Checks and times one bucket; yields the GPU time of each step, so that the caller may pause between any two. What no
 * earlier session looked at comes early, and the safe variant last, as on some adapters it alone would take all the time.
 */
async function* tuneBucket(
  timed: TunerParts,
  { family, bucket }: Wish,
  earlier: Winner | undefined,
  allowedMs: () => number,
  drop: (wrong: DroppedVariant) => void,
): AsyncGenerator<number, Winner | undefined> {
  const { device } = timed;
  const trial = family.trial(bucket, createRandom(timed.seed ?? 1));
  const safe = safeVariant(family).name;
  const wrong: { variant: string; problem: string }[] = [...(earlier?.dropped ?? [])];
  const tried = new Set(earlier?.tried);
  const looked = new Set<string>();
  const shaders = new Set<string>(earlier?.shaders);
  let candidates: Candidate[] = [];
  /** Of one run of the safe variant, once that is known to be right. */
  let safeMs: number | undefined;
  try {
    const variants = variantsFor(family, device, bucket);
    const leaders = new Map(variants.map(({ name, follows }) => [name, follows]));
    for (const variant of inOrder(variants, safe, earlier)) {
      // What was right is compared with the safe variant in any case, be it by one run.
      if (allowedMs() <= 0 && !(variant === safe && candidates.length > 0)) continue;
      tried.add(variant);
      looked.add(variant);
      if (variant !== earlier?.variant && isHopeless(leaders.get(variant), candidates, looked)) continue;
      const before = timed.busyMs();
      const kernelCase = trial.caseOf(variant);
      const problem = await problemOf(timed, kernelCase);
      const checkMs = timed.busyMs() - before;
      if (problem !== undefined) {
        wrong.push({ variant, problem: problem.slice(0, 1000) });
        drop({ family: family.name, bucket, variant, problem });
      } else if (checkMs <= hopelessCheckMs(candidates)) {
        const opened = await openTrial(timed, kernelCase);
        for (const { pipeline } of opened.dispatches) shaders.add(shaderDigest(pipeline.wgsl));
        const candidate = { variant, trial: opened, samples: [await firstSample(opened, timed)] };
        candidates.push(candidate);
        await sampleAgain(candidate, candidates, timed);
      }
      if (variant === safe && problem === undefined) safeMs = candidates.at(-1)?.variant === safe ? 0 : checkMs;
      // A driver may compile when it checks, at the first run; of that only what the kernel itself takes counts.
      const [last] = candidates.slice(-1);
      const ranMs = last?.variant === variant ? firstOf(last) : Infinity;
      yield Math.min(checkMs, ranMs) + (timed.busyMs() - before - checkMs);
    }
    // Without a safe variant to stand on nothing here can be trusted; the self-test says so too.
    if (safeMs === undefined || candidates.length === 0) return undefined;
    for (const one of candidates) yield await sampleAgain(one, candidates, timed);
    const fastest = Math.min(...candidates.map(firstOf));
    safeMs ||= firstOf(candidates.find(({ variant }) => variant === safe));
    candidates = closeExcept(candidates, (one) => firstOf(one) <= hopeless * fastest);
    const sampleMs = Math.max(sampleMsMin, sampleGrainsMin * (timed.grainMs ?? 0));
    const times = Math.min(timesMax, Math.max(1, Math.ceil(sampleMs / Math.max(fastest, 0.01))));
    const turnMs = times * candidates.reduce((sum, one) => sum + firstOf(one), 0);
    for (let turn = 0; turn < turns && turnMs <= allowedMs(); turn++) {
      // The first samples warmed up; they only count where there is time for no others.
      if (turn === 0) for (const { samples } of candidates) samples.length = 0;
      const racing = turn < turnsOfAll ? candidates : candidates.filter((one) => isClose(one, candidates));
      if (racing.length === 1 && candidates.length > 1) break;
      for (const one of rotated(racing, turn)) {
        const took = await one.trial.run(times);
        one.samples.push(took / times);
        yield took;
      }
    }
    const timedVariants = candidates.map(({ variant, samples }) => ({ variant, ms: medianOf(samples) }));
    if (!timedVariants.some(({ variant }) => variant === safe)) timedVariants.push({ variant: safe, ms: safeMs });
    // Where there was no time to time the earlier winner again, what it took then counts.
    const won = earlier?.timed.find(({ variant }) => variant === earlier.variant);
    if (won !== undefined && !timedVariants.some(({ variant }) => variant === won.variant)) timedVariants.push(won);
    return {
      family: family.name,
      bucket,
      variant: fastestOf(timedVariants, safe),
      timed: timedVariants,
      tried: [...tried],
      dropped: wrong,
      work: trial.work,
      variants: family.variants.map(({ name }) => name),
      shaders: [...shaders],
    };
  } finally {
    closeExcept(candidates, () => false);
  }
}

/** What was not tried yet, then the earlier winner, then the safe one. */
function inOrder(variants: readonly Variant[], safe: string, earlier: Winner | undefined): readonly string[] {
  const names = variants.map(({ name }) => name).filter((name) => name !== safe);
  const untried = names.filter((name) => earlier?.tried.includes(name) !== true);
  const winner = names.filter((name) => name === earlier?.variant);
  return [...new Set([...untried, ...winner, safe])];
}

const isClose = (one: Candidate, all: readonly Candidate[]): boolean =>
  medianOf(one.samples) <= close * Math.min(...all.map(({ samples }) => medianOf(samples)));

/** Nobody leads twice, so that what comes before a sample favours none. */
const rotated = <T>(all: readonly T[], by: number): T[] => [
  ...all.slice(by % all.length),
  ...all.slice(0, by % all.length),
];

/** A check that took longer than this, compiling and reading back included, was of a variant that cannot win. */
const hopelessCheckMs = (candidates: readonly Candidate[]): number =>
  100 + 2 * hopeless * Math.min(...candidates.map(firstOf));

/** Whether the variant that another follows was looked at in this session, and was wrong or far behind. */
function isHopeless(
  leader: string | undefined,
  candidates: readonly Candidate[],
  looked: ReadonlySet<string>,
): boolean {
  if (leader === undefined || !looked.has(leader)) return false;
  const led = candidates.find(({ variant }) => variant === leader);
  return firstOf(led) > hopeless * Math.min(...candidates.map(firstOf));
}

/**
 * A first sample that would end a candidate's race by little is taken again, and the better one counts: other work on the
 * machine may have disturbed it. Gives the milliseconds that this took.
 */
async function sampleAgain(one: Candidate, candidates: readonly Candidate[], timed: TimedDevice): Promise<number> {
  const bound = hopeless * Math.min(...candidates.map(firstOf));
  if (firstOf(one) <= bound || firstOf(one) > 2 * hopeless * bound) return 0;
  const before = timed.busyMs();
  one.samples[0] = Math.min(firstOf(one), await firstSample(one.trial, timed));
  return timed.busyMs() - before;
}

const firstSample = (trial: Trial, { grainMs = 0 }: TimedDevice): Promise<number> =>
  sampleOf(trial, firstGrainsMin * grainMs);

const firstOf = (one: Candidate | undefined): number => one?.samples[0] ?? Infinity;

function closeExcept(candidates: readonly Candidate[], keep: (one: Candidate) => boolean): Candidate[] {
  for (const one of candidates) if (!keep(one)) one.trial.close();
  return candidates.filter(keep);
}

/** The variant with the smallest median; the safe one where it is as good as that. */
export function fastestOf(timed: readonly { readonly variant: string; readonly ms: number }[], safe: string): string {
  const best = timed.reduce((a, b) => (b.ms < a.ms ? b : a));
  const own = timed.find(({ variant }) => variant === safe);
  return own !== undefined && best.ms >= worthwhile * own.ms ? safe : best.variant;
}

/** What is wrong with this variant's numbers here. Throws where the device itself is gone. */
async function problemOf({ device }: TimedDevice, kernelCase: KernelCase): Promise<string | undefined> {
  const { cases } = await selfTest(device, { cases: [kernelCase] });
  const problem = cases[0]?.problem;
  if (problem === undefined) return undefined;
  // The first wait throws what the variant did; a device that is well takes the second.
  await device.flush().catch(() => undefined);
  await device.flush();
  return problem;
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
