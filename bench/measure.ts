/**
 * Timing by paired rounds: in each round every contender runs once, so that a machine that slows down slows all of them,
 * and what is compared are medians over rounds. Shapes of the report are here too; the cases are beside this file.
 */

export interface Contender {
  /** `ours`, or a library with its version. */
  readonly name: string;
  /** Does the work once; returns how much, in the case's unit times seconds (bytes, operations). */
  readonly run: () => number | Promise<number>;
}

export interface Case {
  readonly name: string;
  /** What a value is, e.g. `MB/s`. Higher is better. */
  readonly unit: string;
  /** Divides what `run` returned for each second, e.g. 1e6. */
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
}

/** Runs warm-up rounds that are not counted, then `rounds`; `now` gives seconds. */
export async function measure(
  { name, unit, scale, contenders }: Case,
  rounds: number,
  now: () => number,
): Promise<CaseReport> {
  const values = contenders.map((): number[] => []);
  const warmUps = 2;
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      const start = now();
      const done = await contender.run();
      if (round >= 0) values[index]?.push(done / scale / (now() - start));
    }
  }
  const [ours = [], ...peers] = values;
  const ratios = ours.map((value, round) => value / Math.max(...peers.map((peer) => peer[round] ?? 0)));
  return {
    name,
    unit,
    ours: median(ours),
    peers: Object.fromEntries(contenders.slice(1).map((peer, index) => [peer.name, median(peers[index] ?? [])])),
    ratio: peers.length === 0 ? null : median(ratios),
  };
}

/** The middle value; of two middle values their mean. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)] ?? NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + high) / 2 : high;
}
