/**
 * The task of this folder: sums of two numbers with three digits, as lines of text, some with their working. 357 + 468 is
 * asked as pupils write it, column by column from the ones, `78 56 34:`; then come, as the thought, the sums of columns with
 * what is carried, `15 12 08`; `=`, which ends the thought; and the answer, `0825`. Thoughts of none, one, two and all three
 * columns occur, so that a model may be asked to think as little or as much as one likes.
 *
 *     node examples/addition/make-data.mjs [lines]
 *
 * writes `lines.txt` to train on and `problems.jsonl` to be asked, which has no problem that is in the lines.
 */

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const linesByDefault = 100_000;
const problemCount = 100;
const columns = 3;

/** Numbers in (0, 1) from a seed above 0: Lehmer's generator with the constants of Park and Miller. @param {number} seed */
function createRandom(seed) {
  let state = seed;
  return () => (state = (state * 48_271) % 0x7fffffff) / 0x7fffffff;
}

/** @param {() => number} random */
const number = (random) => 100 + Math.floor(random() * 900);

/** Both digits of each column, from the ones. @param {number} a @param {number} b */
const columnsOf = (a, b) =>
  Array.from({ length: columns }, (_, column) => [a, b].map((of) => Math.floor(of / 10 ** column) % 10));

/** @param {number} a @param {number} b */
export const questionOf = (a, b) =>
  `${columnsOf(a, b)
    .map((digits) => digits.join(''))
    .join(' ')}:`;

/** @param {number} a @param {number} b */
export const answerOf = (a, b) => String(a + b).padStart(4, '0');

/** @param {number} a @param {number} b @param {number} worked columns of the thought */
export function thoughtOf(a, b, worked) {
  let carried = 0;
  const sums = columnsOf(a, b).map(([x = 0, y = 0]) => {
    const sum = x + y + carried;
    carried = Math.floor(sum / 10);
    return String(sum).padStart(2, '0');
  });
  return sums.slice(0, worked).join(' ');
}

/** @param {number} a @param {number} b @param {number} worked columns of the thought */
export const lineOf = (a, b, worked) => `${questionOf(a, b)}${thoughtOf(a, b, worked)}=${answerOf(a, b)}\n`;

/** Different questions and their answers. @param {number} seed */
export function makeProblems(seed = 1_000_003, count = problemCount) {
  const random = createRandom(seed);
  /** @type {Map<string, string>} */
  const answers = new Map();
  while (answers.size < count) {
    const [a, b] = [number(random), number(random)];
    answers.set(questionOf(a, b), String(a + b));
  }
  return [...answers].map(([prompt, answer]) => ({ prompt, answer }));
}

/** Lines without the problems. @param {number} count */
export function makeLines(count, seed = 2_000_003, problems = makeProblems()) {
  const asked = new Set(problems.map(({ prompt }) => prompt));
  const random = createRandom(seed);
  /** @type {string[]} */
  const lines = [];
  while (lines.length < count) {
    const [a, b, worked] = [number(random), number(random), Math.floor(random() * (columns + 1))];
    if (!asked.has(questionOf(a, b))) lines.push(lineOf(a, b, worked));
  }
  return lines.join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = new URL('./', import.meta.url);
  await writeFile(new URL('lines.txt', folder), makeLines(Number(process.argv[2] ?? linesByDefault)));
  await writeFile(
    new URL('problems.jsonl', folder),
    makeProblems()
      .map((problem) => `${JSON.stringify(problem)}\n`)
      .join(''),
  );
}
