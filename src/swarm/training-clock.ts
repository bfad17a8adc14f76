/** How long a round of training may take: learnt from the slowest seat of the round before and of this one. */

/** A round may take twice the slowest seat of the last one and this much more. */
const roundMargin = 2;
const roundGraceMs = 5_000;
/** How many times a round's allowed time its slow but steady seats get. */
const patience = 3;

export class RoundClock {
  private start = 0;
  /** Time from the round's start until its slowest contribution so far. */
  private slowestMs = 0;
  /** What a round may take by what the one before took. */
  private roundMs: number;

  /** Before any round was seen it may take twice the `unitSeconds` of the manifest. */
  constructor(unitSeconds: number) {
    this.roundMs = 2_000 * unitSeconds;
  }

  /** The first round begins, or one begins again. */
  begin(now: number): void {
    this.start = now;
  }

  contributed(now: number): void {
    this.slowestMs = Math.max(this.slowestMs, now - this.start);
  }

  /** The round is over and the next begins. */
  next(now: number): void {
    this.roundMs = this.seenMs;
    this.start = now;
    this.slowestMs = 0;
  }

  /** When the round is over for who shows no progress, and for who does; `doneShare` is that of the seats done. */
  deadlines(doneShare: number): { readonly idle: number; readonly steady: number } {
    // Once half of the seats are done, what they took says more than the round before.
    const allowedMs = doneShare >= 0.5 ? Math.min(this.roundMs, this.seenMs) : this.roundMs;
    return { idle: this.start + allowedMs, steady: this.start + patience * allowedMs };
  }

  private get seenMs(): number {
    return roundMargin * this.slowestMs + roundGraceMs;
  }
}
