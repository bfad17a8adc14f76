/**
 * Timing by paired rounds: in each round every contender runs once, so that a machine that slows down slows all of them,
 * and what is compared are medians over rounds. A peer that fails is told and leaves the race. Shapes of the report are
 * here too; the cases are in the files of the suites.
 */

export interface Contender {
  /** `ours`, or a library with its version. */
  readonly name: string;
  /** Does the work once, to its end; returns how much, in the case's unit times seconds (bytes, operations). */
  readonly run: () => number | Promise<number>;
}

export interface Case {
  readonly name: string;
  /** What a value is, e.g. `MB/s` or `ms`. */
  readonly unit: string;
  /** A rate (`MB/s`) is better when higher, a time (`ms`) when lower. */
  readonly better: 'higher' | 'lower';
  /** The unit's share of the base unit: a rate is work / seconds / scale, a time is seconds / work / scale. */
  readonly scale: number;
  /** The first is ours. */
  readonly contenders: readonly [Contender, ...Contender[]];
}

export interface CaseReport {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peers: Readonly<Record<string, number>>;
  /** The median over rounds of ours against the best peer of that round; above 1 when we are faster. Null without peers. */
  readonly ratio: number | null;
  /** Peers whose results were wrong or that failed, with the reason; they have no time. Left out when there are none. */
  readonly wrong?: Readonly<Record<string, string>>;
}

/** A report with what its medians were taken of, for plots. */
export interface MeasuredCase extends CaseReport {
  /** The ratio of each round, in their order; empty without peers. */
  readonly ratios: readonly number[];
}

/** A peer so many times slower than the best one, and slower than so many seconds, is timed in its first rounds only. */
const hopeless = { times: 4, seconds: 2, rounds: 2 } as const;

/**
 * Runs warm-up rounds that are not counted, then `rounds`; `now` gives seconds. Throws what ours throws. In each round
 * every contender runs once, save those that are `hopeless`: their time does not touch the ratio, and nobody has to wait
 * minutes for it.
 */
export async function measure(problem: Case, rounds: number, now: () => number, warmUps = 2): Promise<MeasuredCase> {
  const { name, unit, contenders } = problem;
  const [ours, ...peers] = contenders;
  const racing = new Map(contenders.map((contender) => [contender, { values: [] as number[], seconds: 0 }]));
  const wrong: Record<string, string> = {};
  for (let round = -warmUps; round < rounds; round++) {
    const best = Math.min(...[...racing].filter(([one]) => one !== ours).map(([, { seconds }]) => seconds));
    for (const [contender, kept] of racing) {
      const isSlow = kept.seconds > Math.max(hopeless.seconds, hopeless.times * best);
      if (contender !== ours && isSlow && round >= hopeless.rounds) continue;
      try {
        const start = now();
        const work = await contender.run();
        kept.seconds = now() - start;
        if (round >= 0) kept.values.push(valueOf(problem, work, kept.seconds));
      } catch (error) {
        if (contender === ours) throw error;
        wrong[contender.name] = error instanceof Error ? error.message : String(error);
        racing.delete(contender);
      }
    }
  }
  const valuesOf = (contender: Contender): readonly number[] => racing.get(contender)?.values ?? [];
  const ratios = paired(valuesOf(ours), peers.map(valuesOf), problem.better);
  return {
    name,
    unit,
    ours: median(valuesOf(ours)),
    peers: Object.fromEntries(
      peers.filter((peer) => racing.has(peer)).map((peer) => [peer.name, median(valuesOf(peer))]),
    ),
    ratio: ratios.length === 0 ? null : median(ratios),
    ratios,
    ...(Object.keys(wrong).length === 0 ? {} : { wrong }),
  };
}

const valueOf = ({ better, scale }: Case, work: number, seconds: number): number =>
  better === 'higher' ? work / seconds / scale : seconds / work / scale;

/** Round by round, how often the best peer's time holds ours. Peers that left the race have no values, slow ones few. */
function paired(
  ours: readonly number[],
  peers: readonly (readonly number[])[],
  better: Case['better'],
): readonly number[] {
  return ours.flatMap((value, round) => {
    const others = peers.flatMap((values) => values[round] ?? []);
    if (others.length === 0) return [];
    return better === 'higher' ? value / Math.max(...others) : Math.min(...others) / value;
  });
}

/** The middle value; of two middle values their mean. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + high) / 2 : high;
}
