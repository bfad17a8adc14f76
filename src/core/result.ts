/**
 * An expected failure is a value: functions that read what people or peers wrote return a `Result` whose error is a
 * tagged object with a one-line text. Broken invariants use `assert`; the outside world throws named errors.
 */

export type Result<T, E = Problem> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

/** One clear line about bad input: what is wrong, where, and the mend. */
export interface Problem {
  readonly kind: string;
  readonly text: string;
}

export const ok = <T>(value: T): { readonly ok: true; readonly value: T } => ({ ok: true, value });

export const fail = <E>(error: E): { readonly ok: false; readonly error: E } => ({ ok: false, error });

/** A failed result that carries a `Problem`. */
export const problem = (kind: string, text: string): { readonly ok: false; readonly error: Problem } =>
  fail({ kind, text });

/** A text that quotes strangers, as it may stand in one line. */
export const oneLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 500);

/** Bad usage or bad input from a person, thrown by shells and the SDK; the CLI turns it into one line and exit code 2. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** The value of a result that came from a person, or an `InputError` with its line. */
export function expectInput<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new InputError(result.error.text);
}
