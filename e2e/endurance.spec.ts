/**
 * A thousand jobs in one tab, each with a shader of its own, leave nothing behind: not on the device, not in the worker's
 * heap, not in the browser's GPU process.
 */

import { readFileSync } from 'node:fs';
import { expect, test, type Browser, type CDPSession, type Page } from 'playwright/test';
import type { JobSketch } from './pages/compute.ts';
import { launch } from './support/browser.ts';
import { serveSources, type ServedSources } from './support/sources.ts';

const jobs = 1000;
/** Jobs before the first look: caches of shaders and staging buffers are full by then. */
const warmUp = 400;

let server: ServedSources;
let browser: Browser;
let page: Page;

test.beforeAll(async () => {
  server = await serveSources('endurance');
  browser = await launch();
  page = await browser.newPage();
  await page.goto(server.page('compute'));
  await page.waitForFunction(() => 'computePage' in window);
  await page.evaluate(() => window.computePage.open());
});

test.afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** What every job computes; a remark with its number makes each job's shader a text of its own. */
const shader = readFileSync(new URL('./shaders/multiples.wgsl', import.meta.url), 'utf8');
const count = 4096;
const sketch: Omit<JobSketch, 'wgsl'> = {
  buffers: [
    { binding: 0, kind: 'unit' },
    { binding: 1, kind: 'output', type: 'u32', count },
  ],
  steps: [{ entryPoint: 'main', grid: [count / 64, 1, 1] }],
  units: 2,
};

/** Runs unit 1 of these jobs; the last element of each result. */
const runJobs = (from: number, to: number): Promise<number[]> =>
  page.evaluate(
    async ([first, end, wgsl, rest]) => {
      const lasts: number[] = [];
      for (let index = first; index < end; index++) {
        const job = { ...rest, wgsl: `${wgsl}// job ${index}\n`, constants: { factor: index } };
        const bytes = Uint8Array.from(await window.computePage.run(job, 1));
        lasts.push(new Uint32Array(bytes.buffer).at(-1) ?? NaN);
      }
      return lasts;
    },
    [from, to, shader, sketch] as const,
  );
const truths = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, place) => (count - 1) * (from + place) + 1);

interface Look {
  readonly openPrograms: number;
  readonly buffers: number;
  readonly bytes: number;
  readonly heapMegabytes: number;
  readonly gpuProcessMegabytes: number | null;
}

async function look(): Promise<Look> {
  const { openPrograms, buffers, bytes } = await page.evaluate(() => window.computePage.usage());
  return {
    openPrograms,
    buffers,
    bytes,
    heapMegabytes: await workerHeapMegabytes(),
    gpuProcessMegabytes: await gpuProcessMegabytes(),
  };
}

/** What the compute worker's heap holds after a collection, asked of its own debugger. */
async function workerHeapMegabytes(): Promise<number> {
  const session = await page.context().newCDPSession(page);
  const attached = new Promise<string>((resolve) => {
    session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
      if (targetInfo.type === 'worker') resolve(sessionId);
    });
  });
  await session.send('Target.setAutoAttach', { autoAttach: true, flatten: false, waitForDebuggerOnStart: false });
  const sessionId = await attached;
  const ask = async (id: number, method: string): Promise<{ readonly usedSize?: number }> => {
    const answered = new Promise<{ readonly usedSize?: number }>((resolve) => {
      session.on('Target.receivedMessageFromTarget', ({ message }) => {
        const answer = JSON.parse(message) as {
          readonly id?: number;
          readonly result?: { readonly usedSize?: number };
        };
        if (answer.id === id) resolve(answer.result ?? {});
      });
    });
    await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) });
    return answered;
  };
  await ask(1, 'HeapProfiler.collectGarbage');
  const { usedSize = NaN } = await ask(2, 'Runtime.getHeapUsage');
  await session.detach();
  return usedSize / 2 ** 20;
}

/** Resident memory of the process that drives the GPU, where the system tells (Linux). */
async function gpuProcessMegabytes(): Promise<number | null> {
  const session: CDPSession = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const pid = processInfo.find(({ type }) => type === 'GPU')?.id;
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) / 1024;
  } catch {
    return null;
  }
}

test('a thousand jobs leave device, heap and GPU process as they were', async () => {
  test.setTimeout(600_000);
  expect(await runJobs(0, warmUp)).toEqual(truths(0, warmUp));
  const before = await look();
  expect(await runJobs(warmUp, jobs)).toEqual(truths(warmUp, jobs));
  const after = await look();
  test.info().annotations.push({ type: 'memory', description: JSON.stringify({ before, after }) });
  expect({ ...after, heapMegabytes: 0, gpuProcessMegabytes: 0 }).toEqual({
    ...before,
    heapMegabytes: 0,
    gpuProcessMegabytes: 0,
  });
  // A program of these that stayed would hold 16 kB, a compiled shader tens of kB: 600 of them would show.
  expect(after.heapMegabytes).toBeLessThan(before.heapMegabytes + 2);
  if (before.gpuProcessMegabytes !== null && after.gpuProcessMegabytes !== null) {
    expect(after.gpuProcessMegabytes).toBeLessThan(before.gpuProcessMegabytes * 1.05 + 8);
  }
});
