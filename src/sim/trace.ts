/** A readable story of a simulation: when, where in the code, what. Lines cost nothing unless somebody listens. */

export type Trace = (line: string) => void;

export const traceLine = (now: number, where: string, what: string): string =>
  `${(now / 1000).toFixed(3).padStart(9)} s  ${where.padEnd(24)} ${what}`;
