/**
 * One contender at one problem, and what keeps the race fair: results are held against the truth and against ours before
 * anything is timed, and each timed run ends with reading four bytes of the result. A library that only promised to
 * compute has to do it then, and one that returns something else is out.
 */

import type { Tolerance } from '../../src/kernels/test-case.ts';
import { measure, type Contender, type MeasuredCase } from '../measure.ts';
import { checkedSteps, type Problem } from './problem.ts';
import { truthOf, type Truth } from './truth.ts';

/** A problem laid out in a contender's own device memory. */
export interface Work {
  /** Issues the computation once; a library may put it off until somebody reads. For `train`: one step. */
  start(): void | Promise<void>;
  /** The output's first element, or the last step's loss, as the last `start` computed it; a few bytes travel. */
  peek(): Promise<number>;
  /** The whole output of the last `start`. */
  read(): Promise<Float32Array>;
  close(): void;
}

export interface Library {
  /** `ours`, or name and version. */
  readonly name: string;
  /** Undefined when the library cannot do this. */
  prepare(problem: Problem): Promise<Work | undefined>;
}

/** A result that is not right; the peer is out. */
export class WrongResult extends Error {
  override readonly name = 'WrongResult';
}

export interface RaceOptions {
  readonly rounds: number;
  /** Seconds. */
  readonly now: () => number;
  /**
   * A timed run repeats the computation until ours takes about so many seconds, as on fast adapters a look costs more
   * than the work; everybody repeats as often. Default 0: once.
   */
  readonly secondsMin?: number;
}

const repeatsMax = 256;

/** Every library at one problem: checked, then timed in paired rounds. The first is ours. */
export async function race(
  problem: Problem,
  libraries: readonly [Library, ...Library[]],
  options: RaceOptions,
): Promise<MeasuredCase> {
  const { rounds, now, secondsMin = 0 } = options;
  const [ours, ...others] = libraries;
  const truth = truthOf(problem);
  const works: Work[] = [];
  const wrong: Record<string, string> = {};
  try {
    const enter = async (library: Library, reference: ArrayLike<number> | undefined) => {
      const work = await library.prepare(problem);
      if (work === undefined) return undefined;
      works.push(work);
      return { name: library.name, work, output: await checked(problem, work, truth, reference) };
    };
    const own = await enter(ours, undefined);
    if (own === undefined) throw new Error(`${problem.name}: ours cannot do it yet`);
    const entries = [];
    for (const library of others) {
      try {
        const entered = await enter(library, own.output);
        if (entered !== undefined) entries.push(entered);
      } catch (error) {
        wrong[library.name] = error instanceof Error ? error.message : String(error);
      }
    }
    const repeats = await repeatsOf(own.work, secondsMin, now);
    const contender = (one: typeof own): Contender => contenderOf(one.name, problem, one.work, one.output, repeats);
    // Checking the result was the other warm-up.
    const report = await measure(
      { ...problem, contenders: [contender(own), ...entries.map(contender)] },
      rounds,
      now,
      1,
    );
    const all = { ...wrong, ...report.wrong };
    return Object.keys(all).length === 0 ? report : { ...report, wrong: all };
  } finally {
    for (const work of works) work.close();
  }
}

async function repeatsOf(work: Work, secondsMin: number, now: () => number): Promise<number> {
  let repeats = 1;
  while (repeats < repeatsMax) {
    const start = now();
    for (let time = 0; time < repeats; time++) await work.start();
    await work.peek();
    if (now() - start >= secondsMin) break;
    repeats *= 2;
  }
  return repeats;
}

/** What a work computes, once it is known to be right. */
async function checked(
  problem: Problem,
  work: Work,
  truth: Truth,
  reference: ArrayLike<number> | undefined,
): Promise<Float32Array> {
  const output = await outputOf(problem, work);
  const { indices, values } = truth;
  indices.forEach((place, index) =>
    compare(problem.tolerance, place, output[place] ?? NaN, values[index] ?? NaN, 1, 'the truth'),
  );
  if (reference !== undefined) {
    if (reference.length !== output.length)
      throw new WrongResult(`${output.length} elements, ours has ${reference.length}`);
    output.forEach((got, place) => compare(problem.tolerance, place, got, reference[place] ?? NaN, 2, 'ours'));
  }
  return output;
}

async function outputOf({ operation }: Problem, work: Work): Promise<Float32Array> {
  if (operation.kind !== 'train') {
    await work.start();
    return work.read();
  }
  const losses = new Float32Array(checkedSteps);
  for (let step = 0; step < checkedSteps; step++) {
    await work.start();
    losses[step] = await work.peek();
  }
  return losses;
}

/** `times` the tolerance: once against the truth, twice between two results that may err on either side of it. */
function compare(
  { absolute, relative }: Tolerance,
  place: number,
  got: number,
  want: number,
  times: number,
  what: string,
): void {
  // Said this way round, so that NaN is wrong too.
  if (!(Math.abs(got - want) <= times * (absolute + relative * Math.abs(want)))) {
    throw new WrongResult(`element ${place} is ${got}, and ${what} is ${want}`);
  }
}

/** The contender whose run is the computation and the look that forces it. */
function contenderOf(
  name: string,
  problem: Problem,
  work: Work,
  output: ArrayLike<number>,
  repeats: number,
): Contender {
  let lossBefore = NaN;
  return {
    name,
    run: async () => {
      for (let time = 0; time < repeats; time++) await work.start();
      const seen = await work.peek();
      if (problem.operation.kind === 'train') {
        // Every step changes the loss of its batch; one that was not done would show the loss before.
        if (!Number.isFinite(seen) || seen === lossBefore)
          throw new WrongResult(`the loss went from ${lossBefore} to ${seen}`);
        lossBefore = seen;
      } else compare(problem.tolerance, 0, seen, output[0] ?? NaN, 2, 'its own first result');
      return problem.work * repeats;
    },
  };
}
