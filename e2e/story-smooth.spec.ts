/**
 * The person at the desk: while the tab computes at full duty and a large input travels, the page's main thread stays free,
 * and Pause takes effect at once.
 */

import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, type Page } from 'playwright/test';
import { expectInsideUnit, patience, test } from './support/story.ts';
import { writeWork } from './support/work.ts';

const watchedMs = 30_000;
/** A task that the user may notice, as the Long Tasks API draws the line. */
const longTaskMs = 50;
/** On a machine whose two cores also compute for the GPU a task may wait for a core; more than this is ours. */
const taskMsMax = 120;
const pauseMsMax = 150;
const transferBytes = 32 * 2 ** 20;

/** Begins to note tasks over 50 ms; they are read by `longTasks`. */
const watchTasks = (page: Page): Promise<void> =>
  page.evaluate(() => {
    const found: number[] = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) found.push(entry.duration);
    }).observe({ type: 'longtask' });
    window.longTasksFound = found;
  });
const longTasks = (page: Page): Promise<number[]> => page.evaluate(() => window.longTasksFound);

declare global {
  interface Window {
    longTasksFound: number[];
  }
}

/** A job whose units each read 32 MiB, so that they travel to the tab. */
async function writeTransfer(folder: string): Promise<string> {
  await writeFile(join(folder, 'large.bin'), new Uint8Array(transferBytes).fill(7));
  await copyFile(new URL('./shaders/last_of_large.wgsl', import.meta.url), join(folder, 'last_of_large.wgsl'));
  const job = {
    version: 1,
    name: 'transfer',
    program: 'shader',
    shader: 'last_of_large.wgsl',
    buffers: [
      { binding: 0, kind: 'input', data: { file: 'large.bin' } },
      { binding: 1, kind: 'output', type: 'u32', count: 1 },
    ],
    grid: [1, 1, 1],
    units: { count: 1 },
    verify: { replicas: 1, absolute: 0, relative: 0 },
  };
  const path = join(folder, 'transfer.json');
  await writeFile(path, JSON.stringify(job));
  return path;
}

test('a tab at full duty keeps its page free of long tasks through a 32 MiB transfer, and pauses at once', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const tab = await stage.volunteer(hub.url);
  const submit = (path: string) => stage.command('submit', path, '--hub', hub.url, '--data', folder);
  // The first job has the GPU busy, the second brings 32 MiB in the middle, and the third is there when Pause is pressed.
  submit(await writeWork(folder, { name: 'before', units: 12, steps: 512 }));
  await expectInsideUnit(tab);

  await test.step('no long task in 30 s', async () => {
    await watchTasks(tab);
    const start = Date.now();
    const transfer = submit(await writeTransfer(folder));
    await expect.poll(async () => (await hub.jobs()).length, patience).toBe(2);
    submit(await writeWork(folder, { name: 'after', units: 2000, steps: 512 }));
    expect(await transfer.ended, transfer.stderr()).toBe(0);
    const leftMs = watchedMs - (Date.now() - start);
    if (leftMs > 0) await tab.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), leftMs);
    const tasks = await longTasks(tab);
    console.log(`tasks over ${longTaskMs} ms in ${watchedMs / 1000} s: ${JSON.stringify(tasks)}`);
    expect(tasks.length).toBeLessThanOrEqual(1);
    expect(tasks.filter((ms) => ms > taskMsMax)).toEqual([]);
  });

  await test.step('a task that is long is noticed', async () => {
    // In a task of the page's own, as a debugger's are not counted.
    await tab.evaluate((ms) => {
      setTimeout(() => {
        const end = performance.now() + ms;
        while (performance.now() < end);
      });
    }, 2 * taskMsMax);
    const tooLong = async (): Promise<number> => (await longTasks(tab)).filter((ms) => ms > taskMsMax).length;
    await expect.poll(tooLong).toBe(1);
  });

  await test.step('pause', async () => {
    await expectInsideUnit(tab);
    const pausedMs = await tab.evaluate(pauseAndWait);
    console.log(`Pause took ${pausedMs.toFixed(0)} ms`);
    expect(pausedMs).toBeLessThan(pauseMsMax);
  });
});

/** Presses Pause; milliseconds until the page shows that nothing runs any more. */
function pauseAndWait(): Promise<number> {
  const button = [...document.querySelectorAll('button')].find((own) => own.textContent?.trim() === 'Pause');
  if (button === undefined) throw new Error('no Pause button');
  return new Promise((resolve) => {
    const start = performance.now();
    const look = (): void => {
      if (document.querySelector('.stage[data-state="computing"]') === null) resolve(performance.now() - start);
      else setTimeout(look, 1);
    };
    button.click();
    look();
  });
}
