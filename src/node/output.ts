/**
 * What a command says and how it ends: results on standard output, everything else on standard error. With `--json` the
 * result is exactly one JSON object. Exit codes: 0 done, 1 the work failed, 2 bad usage or bad input.
 */

import { InputError } from '../core/result.ts';
import { LinkClosedError } from '../protocol/ports.ts';

/** The command did what it should, but the work did not succeed: one line, exit code 1. */
export class WorkFailedError extends Error {
  override readonly name = 'WorkFailedError';
}

/** Where a command writes; tests give their own. */
export interface Output {
  result(line: string): void;
  progress(line: string): void;
}

export const consoleOutput: Output = {
  result: (line) => void process.stdout.write(`${line}\n`),
  progress: (line) => void process.stderr.write(`${line}\n`),
};

/** The result as one JSON object, or as lines for people. */
export function printResult(output: Output, json: boolean, value: object, toLines: () => readonly string[]): void {
  if (json) output.result(JSON.stringify(value));
  else for (const line of toLines()) output.result(line);
}

/** One line for the error, and the exit code. */
export function explainError(error: unknown): { readonly line: string; readonly exitCode: 1 | 2 } {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n', 1)[0]?.trim() ?? '';
  const name = error instanceof Error && line === '' ? error.name : line;
  // A link that closes is one that never stood: a submitter that was connected once dials again by itself.
  const badInput = error instanceof InputError || error instanceof LinkClosedError;
  return { line: name, exitCode: badInput ? 2 : 1 };
}
