/**
 * Every kernel against its truth on the engines beside Chromium, which `kernels.spec.ts` covers: Firefox, whose shader
 * compiler and driver share no code with Chromium's, and Dawn in Node. The command that writes `docs/conformance.md` does
 * it, with one seed. A machine that has neither skips, and says why.
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'playwright/test';
import type { Conformance } from '../bench/conformance/matrix.ts';
import { root } from './support/story.ts';

const seed = 1;
/** A software adapter without cores to spare. */
const runMsMax = 600_000;

/** One class of `npm run conformance`. */
async function runClass(name: string): Promise<Conformance> {
  const words = [
    join(root, 'dist', 'node', 'conformance.js'),
    '--classes',
    name,
    '--seeds',
    String(seed),
    '--no-onnx',
    '--json',
  ];
  const command = spawn(process.execPath, words, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  command.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await new Promise((resolve) => command.once('close', resolve));
  return JSON.parse(text) as Conformance;
}

for (const name of ['firefox', 'dawn']) {
  test(`every kernel agrees with its truth on ${name}, seed ${seed}`, async () => {
    test.setTimeout(runMsMax);
    const { classes, missing } = await runClass(name);
    test.skip(missing.length > 0, missing[0]?.why);
    const rows = classes[0]?.rows ?? [];
    expect(rows.filter(({ failed }) => failed > 0)).toEqual([]);
    expect(rows.reduce((all, { passed }) => all + passed, 0)).toBeGreaterThan(140);
    expect(new Set(rows.map(({ kernel }) => kernel)).size).toBeGreaterThan(30);
  });
}
