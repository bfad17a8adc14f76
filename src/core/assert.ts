/** Broken invariants stop the program, in production too: a wrong state must never be written to a log. */

export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function assert(condition: boolean, text: string): asserts condition {
  if (!condition) throw new InvariantError(text);
}

/** The value, which the surrounding code has made sure exists. */
export function present<T>(value: T | undefined | null, text: string): T {
  assert(value !== undefined && value !== null, text);
  return value;
}
