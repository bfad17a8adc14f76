/**
 * How often a selection is right with k samples of each problem: the mean over groups of k that follow each other, and over
 * problems. Beside coverage it shows how much of what repeated sampling reaches a selection really finds.
 */

import { meanAndError, powersUpTo } from './coverage.ts';
import { select, type Candidate, type SelectionName } from './selection.ts';

export interface GradedSample extends Candidate {
  readonly correct: boolean;
}

export interface AccuracyPoint {
  readonly k: number;
  /** Mean over problems, 0 to 1. */
  readonly accuracy: number;
  /** Of that mean, were the problems drawn anew. */
  readonly standardError: number;
}

/** For 1, 2, 4, ... samples, up to the fewest that a problem has. */
export function selectionCurve(name: SelectionName, problems: readonly (readonly GradedSample[])[]): AccuracyPoint[] {
  const most = Math.min(...problems.map((samples) => samples.length));
  return powersUpTo(most).map((k) => {
    const { mean, standardError } = meanAndError(problems.map((samples) => accuracyOf(name, samples, k)));
    return { k, accuracy: mean, standardError };
  });
}

/** Of one problem: the share of its groups of k samples whose choice is right. */
function accuracyOf(name: SelectionName, samples: readonly GradedSample[], k: number): number {
  const groups = Math.floor(samples.length / k);
  let right = 0;
  for (let group = 0; group < groups; group++) {
    const members = samples.slice(group * k, (group + 1) * k);
    if (members[select(name, members).index]?.correct === true) right++;
  }
  return right / groups;
}
