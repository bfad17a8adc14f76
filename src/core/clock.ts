/** Time is an argument. Machines take `now` in milliseconds; drivers get a clock, so tests and the simulator own time. */

export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Calls back once after `ms`; the returned function cancels it. */
  after(ms: number, call: () => void): () => void;
}
