/**
 * The last line against a GPU that hangs: a headless browser whose pages get no answer from the GPU any more is given a
 * new GPU process. Terminating a worker or destroying a device does not free a GPU that runs an endless dispatch, and no
 * tab of that browser computes from then on. The tabs find their device lost, open another and go on.
 */

import type { Browser, Page } from 'playwright';

export interface GpuWatchOptions {
  /** Between two questions to the GPU. */
  readonly everyMs?: number;
  /** Without an answer for so long, the GPU hangs. Work comes in pieces of 50 ms, so a busy one answers soon. */
  readonly answerMsMax?: number;
  /** One line for each recovery. */
  readonly report?: (line: string) => void;
}

export interface GpuWatch {
  /** GPU processes that were ended so far. */
  recoveries(): number;
  close(): void;
}

/** Without these Chromium gives up on WebGPU after a few crashes, or keeps the page from it. */
export const recoveryFlags: readonly string[] = [
  '--disable-gpu-process-crash-limit',
  '--disable-domain-blocking-for-3d-apis',
];

/** Asks through one of the pages, again and again until closed. */
export function watchGpu(
  browser: Browser,
  pages: () => readonly Page[],
  { everyMs = 10_000, answerMsMax = 30_000, report = () => {} }: GpuWatchOptions = {},
): GpuWatch {
  let recoveries = 0;
  let closed = false;
  let wake: () => void = () => {};
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  /** What is said within the time; undefined where nothing is. A page that closes says nothing of the GPU. */
  const within = <T>(answer: Promise<T>): Promise<T | 'gone' | undefined> =>
    Promise.race([answer.catch(() => 'gone' as const), rest(answerMsMax).then(() => undefined)]);

  const look = async (): Promise<void> => {
    const page = pages().find((candidate) => !candidate.isClosed());
    if (page === undefined || (await within(page.evaluate(askGpu))) !== undefined || closed) return;
    // A page that answers nothing at all has troubles of its own.
    if ((await within(page.evaluate(() => true))) !== true || closed) return;
    recoveries++;
    report(`the GPU has not answered for ${Math.round(answerMsMax / 1000)} s; its process starts anew`);
    const session = await browser.newBrowserCDPSession();
    // The protocol's types leave this method out, and the answer may be lost with the process.
    await session.send('Browser.crashGpuProcess' as 'Browser.close').catch(() => undefined);
    await session.detach().catch(() => undefined);
  };
  const loop = async (): Promise<void> => {
    while (!closed) {
      await look().catch((error: unknown) => report(`the GPU cannot be watched: ${String(error)}`));
      if (!closed) await rest(everyMs);
    }
  };
  void loop();
  return {
    recoveries: () => recoveries,
    close: () => {
      closed = true;
      wake();
    },
  };
}

/** Runs in the page: the least that makes the GPU do something and say so. */
async function askGpu(): Promise<boolean> {
  const adapter = await navigator.gpu?.requestAdapter();
  const device = await adapter?.requestDevice();
  if (device === undefined) return false;
  const buffer = device.createBuffer({ size: 4, usage: GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.clearBuffer(buffer);
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  device.destroy();
  return true;
}
