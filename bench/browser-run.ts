/**
 * The suite `kernels` in a browser: installs the peers where they are asked for, builds the page with Vite, serves it on
 * loopback, and has it race problem after problem. What is computed there is `page/page.ts`.
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { launchFirefox } from '../e2e/support/firefox.ts';
import { launchBrowser } from '../src/node/browser.ts';
import { isInstalled, root, tell } from '../src/node/prepare.mjs';
import type { InferenceReport } from './inference.ts';
import type { MeasuredCase } from './measure.ts';
import type { KernelBench, Opened } from './page/page.ts';
import { sentenceOf, type RunCeilings } from './report.ts';

export interface BrowserOptions {
  readonly browser: 'chromium' | 'firefox';
  readonly peers: boolean;
  readonly rounds: number;
  readonly problems: readonly string[];
  /** Whether a whole model is measured too. */
  readonly inference: boolean;
  readonly say: (line: string) => void;
}

export interface BrowserRun extends Opened {
  /** Name and version. */
  readonly browser: string;
  readonly ceilings: RunCeilings;
  readonly cases: readonly MeasuredCase[];
  readonly inference?: InferenceReport;
  /** Problems that ended in an error, with its text. */
  readonly broken: Readonly<Record<string, string>>;
  /** Which variants of ours ran. */
  readonly variants: readonly string[];
}

export async function raceInBrowser(options: BrowserOptions): Promise<BrowserRun> {
  const { peers, rounds, problems, say } = options;
  if (peers) installPeers();
  const server = await servePage(peers);
  try {
    const driven = await drivers[options.browser](server.url);
    try {
      const opened = await driven.call('open', peers);
      for (const [name, why] of Object.entries(opened.failed)) say(`${name} did not open: ${why}`);
      const ceilings = await driven.call('ceilings');
      say(`ceilings: ${ceilings.fmaGflops.toFixed(1)} GFLOP/s, copy ${ceilings.copyGBs.toFixed(2)} GB/s`);
      const cases: MeasuredCase[] = [];
      const broken: Record<string, string> = {};
      for (const problem of problems) {
        try {
          const raced = await driven.call('race', problem, rounds);
          cases.push(raced);
          say(sentenceOf(raced));
        } catch (error) {
          broken[problem] = firstLine(error);
          say(`${problem}: ${broken[problem]}`);
        }
      }
      const inference = options.inference ? await driven.call('inference', rounds) : undefined;
      for (const one of inference?.cases ?? []) say(sentenceOf(one));
      const variants = await driven.call('variants');
      for (const line of variants) say(`variant: ${line}`);
      return {
        ...opened,
        browser: driven.browser,
        ceilings,
        cases,
        ...(inference && { inference }),
        broken,
        variants,
      };
    } finally {
      await driven.close();
    }
  } finally {
    await server.close();
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

const peersFolder = join(root, 'bench', 'peers');

/** The peers are a package of their own, so that nobody installs them who does not race them. */
function installPeers(): void {
  if (isInstalled(peersFolder)) return;
  tell('installing the libraries to race against (npm ci in bench/peers) ...');
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: peersFolder,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (done.status !== 0) throw new Error('npm ci in bench/peers failed; its own lines above say why');
}

interface Served {
  readonly url: string;
  close(): Promise<void>;
}

async function servePage(peers: boolean): Promise<Served> {
  // Loaded late: the other suites need no bundler.
  const { build, preview } = await import('vite');
  const outDir = join(root, '.tabswarm', 'bench-page');
  const shared = { root: join(root, 'bench', 'page'), configFile: false, logLevel: 'error' } as const;
  await build({
    ...shared,
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2023',
      chunkSizeWarningLimit: 50_000,
      // Without the peers their imports stay as they are, and nothing loads them.
      rollupOptions: {
        external: peers ? [] : [/^@jax-js\/|^@tensorflow\/|^onnxruntime-web/],
        checks: { pluginTimings: false },
      },
    },
  });
  const server = await preview({ ...shared, build: { outDir }, preview: { host: '127.0.0.1' } });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('the page of the benchmark is not served');
  return { url, close: () => server.close() };
}

/** A browser at the page. */
interface Driven {
  /** Name and version. */
  readonly browser: string;
  call<Name extends keyof KernelBench>(
    name: Name,
    ...parameters: Parameters<KernelBench[Name]>
  ): Promise<Awaited<ReturnType<KernelBench[Name]>>>;
  close(): Promise<void>;
}

const drivers: Readonly<Record<BrowserOptions['browser'], (url: string) => Promise<Driven>>> = {
  chromium: async (url) => {
    const browser = await launchBrowser();
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction('globalThis.kernelBench !== undefined');
    return {
      browser: `Chromium ${browser.version()}`,
      call: (name, ...parameters) => answerOf(name, page.evaluate(callText(name, parameters))),
      close: () => browser.close(),
    };
  },
  firefox: async (url) => {
    const firefox = await launchFirefox();
    if ('why' in firefox) throw new Error(firefox.why);
    const page = await firefox.page(url);
    await page.waitForFunction('globalThis.kernelBench !== undefined');
    return {
      browser: `Firefox ${firefox.version}`,
      call: (name, ...parameters) => answerOf(name, page.evaluate(callText(name, parameters))),
      close: () => firefox.close(),
    };
  },
};

/** What the page returns is what `KernelBench` says of the function that was called. */
const answerOf = async <Name extends keyof KernelBench>(
  _name: Name,
  answer: Promise<unknown>,
): Promise<Awaited<ReturnType<KernelBench[Name]>>> => (await answer) as Awaited<ReturnType<KernelBench[Name]>>;

const callText = (name: string, parameters: readonly unknown[]): string =>
  `globalThis.kernelBench.${name}(...${JSON.stringify(parameters)})`;
