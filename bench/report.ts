/** What a run of the benchmarks leaves: the JSON object of the command, and a page with plots in `bench/results`. */

import type { CaseReport, MeasuredCase } from './measure.ts';

/** The case as the JSON object has it. */
export function reportOf({ name, unit, ours, peers, ratio, wrong }: MeasuredCase): CaseReport {
  return { name, unit, ours, peers, ratio, ...(wrong === undefined ? {} : { wrong }) };
}
