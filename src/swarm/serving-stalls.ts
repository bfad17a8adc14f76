/**
 * Pipelines that have requests and bring no tokens. Words may have been lost between two stages: then all are asked to say again
 * what they lack. Where that does not help, some stage computes nothing, though its page is there, or keeps what it computes to
 * itself; the hub cannot see which, so one after another is replaced. Rows count: a long prompt takes its time.
 */

const askMs = 10_000;
const patienceMs = 60_000;
const rowMs = 250;

export class Stalls {
  private readonly quiet = new Map<number, { readonly since: number; isAsked: boolean }>();

  /** A token came, or another volunteer has just taken a stage. */
  moved(pipeline: number): void {
    this.quiet.delete(pipeline);
  }

  /** What to do about this pipeline, with so many rows of requests on it; to be asked about once a second. */
  look(pipeline: number, rows: number, now: number): 'ask' | 'replace' | undefined {
    if (rows === 0) {
      this.quiet.delete(pipeline);
      return undefined;
    }
    const quiet = this.quiet.get(pipeline) ?? { since: now, isAsked: false };
    this.quiet.set(pipeline, quiet);
    const ms = now - quiet.since;
    if (ms >= patienceMs + rows * rowMs) {
      this.quiet.delete(pipeline);
      return 'replace';
    }
    if (quiet.isAsked || ms < askMs) return undefined;
    quiet.isAsked = true;
    return 'ask';
  }
}
