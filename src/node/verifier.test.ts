/** Verifiers as people write them, good and bad: each failure is one line that names the file. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openVerifier } from './verifier.ts';

const folder = await mkdtemp(join(tmpdir(), 'tabswarm-verifier-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

let modules = 0;
async function write(text: string): Promise<string> {
  const path = join(folder, `verifier-${modules++}.mjs`);
  await writeFile(path, text);
  return path;
}

describe('a verifier', () => {
  test('scores texts in the order in which they are asked about, with the problem beside them', async () => {
    const path = await write(`
      let asked = 0;
      export default async (problem, text) => {
        asked += 1;
        if (text === 'late') await new Promise((resolve) => setTimeout(resolve, 20));
        return text === problem.answer ? true : text === 'late' || text === 'next' ? asked : 0.25;
      }`);
    const verifier = await openVerifier(path);
    const problem = { prompt: 'a', answer: 'b' };
    const scores = ['b', 'late', 'next', 'c'].map((text) => verifier.score(problem, text));
    expect(await Promise.all(scores)).toEqual([true, 2, 3, 0.25]);
    await verifier.close();
  });

  test('has no environment, and what it prints goes nowhere', async () => {
    const path = await write(`export default () => { console.log('noise'); return Object.keys(process.env).length; }`);
    const verifier = await openVerifier(path);
    expect(await verifier.score({}, '')).toBe(0);
    await verifier.close();
  });

  test.each([
    ['is no JavaScript', 'export default (', /^--verifier \S+: cannot be loaded: SyntaxError: [^\n]+$/],
    [
      'throws while it is loaded',
      'throw new Error("early\\nmore")',
      /^--verifier \S+: cannot be loaded: Error: early$/,
    ],
    ['exports nothing', 'const a = 1;', /^--verifier \S+: has no default export that is a function: [^\n]+$/],
    ['exports no function', 'export default 5', /^--verifier \S+: has no default export that is a function/],
    ['never gets loaded', 'for (;;) {}', /^--verifier \S+: no answer within 0\.5 s$/],
  ])('that %s is refused before anything starts', async (_what, text, line) => {
    const options = text.includes('for (;;)') ? { loadMsMax: 500 } : {};
    await expect(openVerifier(await write(text), options)).rejects.toThrow(line);
  });

  test.each([
    ['throws', 'export default () => { throw new TypeError("odd") }', /: threw TypeError: odd, for the text "x"$/],
    ['never ends', 'export default () => { for (;;) {} }', /: no answer within 0\.5 s, for the text "x"$/],
    ['ends its thread', 'export default () => process.exit(0)', /: its thread ended, for the text "x"$/],
    ['says nothing', 'export default () => {}', /: gave undefined, expected true, false or a finite number/],
    ['says NaN', 'export default () => NaN', /: gave NaN, expected true, false or a finite number/],
  ])('whose function %s fails in one line', async (_what, text, line) => {
    const verifier = await openVerifier(
      await write(text),
      text.includes('for (;;)') ? { msMax: 500 } : { msMax: 20_000 },
    );
    await expect(verifier.score({}, 'x')).rejects.toThrow(line);
    await verifier.close();
  });

  test('that is not there is named', async () => {
    await expect(openVerifier(join(folder, 'none.mjs'))).rejects.toThrow(/none\.mjs: no such file$/);
  });
});
