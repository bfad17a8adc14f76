/**
 * The SDK as the programs of other people use it, with a hub and two volunteers: the example to copy, the programs of the
 * guide in Node, and the guide's page in a browser.
 */

import { spawn } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import { serveFolder } from './support/static-site.ts';
import { patience, root, test } from './support/story.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Node in the repository's folder, where programs find `tabswarm` by its name. */
function runNode(words: readonly string[], data: string): Promise<Ended> {
  // The test runner asks for colours, which would stand between what is looked for.
  const env = { ...process.env, TABSWARM_DATA: data, FORCE_COLOR: '0' };
  const running = spawn(process.execPath, words, { cwd: root, env });
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    running[stream].setEncoding('utf8').on('data', (text: string) => (written[stream] += text));
  return new Promise((resolve) => running.once('close', (code) => resolve({ code, ...written })));
}

const blocksOf = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map((match) => match[1] ?? '');

test('the example and every program of the guide work as they stand, in Node and in a page', async ({ stage }) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  for (let count = 0; count < 2; count++) await stage.volunteer(hub.url);

  await test.step('the example: squares of 2048 numbers', async () => {
    const { code, stdout, stderr } = await runNode(['examples/sdk-map.mjs', hub.url], folder);
    expect(code, stderr).toBe(0);
    // Sums of squares below n are (n - 1) n (2n - 1) / 6.
    expect(stdout).toContain(`sum of the squares below 2048: ${(2047 * 2048 * 4095) / 6}\n`);
    expect(stdout.match(/^unit \d: /gm)).toHaveLength(8);
  });

  await test.step('the example with an address where no hub is', async () => {
    const { code, stderr } = await runNode(['examples/sdk-map.mjs', 'http://127.0.0.1:9'], folder);
    expect(code).toBe(1);
    expect(stderr).toContain('no hub answers at http://127.0.0.1:9');
  });

  const guide = await readFile(join(root, 'docs', 'sdk.md'), 'utf8');
  const programs = blocksOf(guide, 'js');
  expect(programs).toHaveLength(3);
  const said = [
    /^0 Float32Array\(4\) \[ 1, 4, 9, 16 \]$/m,
    /^done 2$/m,
    /^map: the job cancelled: cancelled by its submitter$/m,
  ];
  for (const [index, program] of programs.entries()) {
    await test.step(`program ${index + 1} of the guide`, async () => {
      const code = program.replace('http://localhost:8787', hub.url);
      const ended = await runNode(['--input-type=module', '--eval', code], folder);
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.stdout).toMatch(said[index] ?? /nothing/);
    });
  }

  await test.step('the page of the guide', async () => {
    const [page = ''] = blocksOf(guide, 'html');
    const site = join(folder, 'site');
    await cp(join(root, 'dist', 'sdk'), join(site, 'sdk'), { recursive: true });
    await cp(join(root, 'examples', 'square.wgsl'), join(site, 'square.wgsl'));
    await writeFile(
      join(site, 'index.html'),
      `<!doctype html><body>${page.replace('https://hub.example.org', hub.url)}`,
    );
    const served = await serveFolder(site, '/');
    stage.after(() => served.close());
    const opened = await stage.page(served.url);
    await expect(opened.locator('body')).toContainText('4,9', patience);
  });
});
