/** What `tabswarm sim` does: options in, the JSON of `job-format.md` out. Wall time comes from the caller's clock. */

import { problem, ok, type Result } from '../core/result.ts';
import { scenarios } from './scenarios.ts';
import { simulate, type SimReport } from './simulate.ts';
import type { Trace } from './trace.ts';

export interface SimCommandOptions {
  readonly volunteers?: number;
  readonly units?: number;
  readonly seed?: number;
  readonly scenario?: string;
}

export interface SimCommandReport extends SimReport {
  readonly scenario: string;
  readonly wallSeconds: number;
  readonly eventsPerSecond: number;
}

const volunteersMax = 100_000;
const unitsMax = 1_000_000;

/** `milliseconds` reads a clock; the report's `invariants` is `held` or the first violation with its seed. */
export function simCommand(
  options: SimCommandOptions,
  milliseconds: () => number,
  trace?: Trace,
): Result<SimCommandReport> {
  const name = options.scenario ?? 'steady';
  const base = scenarios.get(name);
  if (base === undefined) {
    return problem('sim', `sim: no scenario "${name}"; there are ${[...scenarios.keys()].join(', ')}`);
  }
  const { volunteers = base.volunteers, units = base.units, seed = 1 } = options;
  if (!isWhole(volunteers, 1, volunteersMax)) return problem('sim', `sim: --volunteers must be 1 to ${volunteersMax}`);
  if (!isWhole(units, base.training === undefined ? 1 : 0, unitsMax)) {
    return problem('sim', `sim: --units must be 1 to ${unitsMax}`);
  }
  if (!isWhole(seed, 0, Number.MAX_SAFE_INTEGER)) return problem('sim', 'sim: --seed must be a whole number from 0');
  if (volunteers < base.replicas) {
    return problem('sim', `sim: ${base.replicas} agreeing results need as many volunteers, not ${volunteers}`);
  }
  const start = milliseconds();
  const report = simulate({
    scenario: { ...base, volunteers, units },
    seed,
    ...(trace === undefined ? {} : { trace }),
  });
  const wallSeconds = Math.max(0.001, (milliseconds() - start) / 1000);
  const eventsPerSecond = Math.round(report.events / wallSeconds);
  return ok({ scenario: name, ...report, wallSeconds: Math.round(wallSeconds * 1000) / 1000, eventsPerSecond });
}

const isWhole = (value: number, low: number, high: number): boolean =>
  Number.isInteger(value) && value >= low && value <= high;
