/**
 * Standing: how often an account's results agreed with the accepted ones. A running score (Page's CUSUM test between
 * an honest volunteer with rare float disagreement, about 1 in 50, and one that lies in 1 of 3 results or more) decides
 * exclusion: a disagreement adds 8, an agreement takes 1 away, down to a floor that a long honest history reaches. Two
 * disagreements exclude a newcomer who agreed at most once; an established account needs six close together.
 */

export interface Standing {
  agreed: number;
  disagreed: number;
  /** Evidence of lying; see above. */
  score: number;
  excluded: boolean;
}

const disagreementScore = 8;
const agreementScore = -1;
const scoreMin = -30;
const scoreOfExclusion = 15;

export const newStanding = (): Standing => ({ agreed: 0, disagreed: 0, score: 0, excluded: false });

/** Changes a standing by one judged result; an exclusion is for good. */
export function judge(standing: Standing, agreed: boolean): void {
  if (agreed) standing.agreed++;
  else standing.disagreed++;
  standing.score = Math.max(scoreMin, standing.score + (agreed ? agreementScore : disagreementScore));
  if (standing.score >= scoreOfExclusion) standing.excluded = true;
}

/**
 * A volunteer whose attempts only fail or expire gets work more and more rarely: nothing for this many milliseconds
 * after its n-th failure in a row. The first two may be the unit's fault.
 */
export const backoffMs = (failuresInARow: number): number =>
  failuresInARow < 3 ? 0 : Math.min(backoffMsMax, 2 ** (failuresInARow - 3) * 2_000);

/** A broken volunteer is tried again about once a minute, in case its owner mended it. */
const backoffMsMax = 60_000;
