/** A set of problems as people write it: JSON Lines, one object a line with its prompt and, if it is known, its answer. */

import { expectInput, InputError } from '../core/result.ts';
import { parseJson, v } from '../core/schema.ts';
import { readInput } from './read-input.ts';

/** Whatever else stands in a line is for verifiers, who get the whole object. */
const problemSchema = v.looseObject({
  prompt: v.pipe(v.string(), v.minLength(1, 'empty, give some text')),
  answer: v.optional(v.union([v.string(), v.pipe(v.number(), v.finite())], 'expected a text or a number')),
});
export type Problem = v.InferOutput<typeof problemSchema>;

export async function readProblems(path: string): Promise<Problem[]> {
  const lines = (await readInput(path)).toString('utf8').split('\n');
  const problems = lines.flatMap((line, index) =>
    line.trim() === '' ? [] : [expectInput(parseJson(problemSchema, line, `${path}: line ${index + 1}`))],
  );
  if (problems.length === 0) throw new InputError(`${path}: no problems; give a line of {"prompt": "..."} for each`);
  return problems;
}
