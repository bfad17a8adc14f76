/**
 * Chromium and Firefox as device classes. The page comes from a Vite server, because kernels and shaders are plain sources
 * there, and runs the same self-test as every other device.
 */

import type { ViteDevServer } from 'vite';
import { launchFirefox } from '../../e2e/support/firefox.ts';
import { launchBrowser } from '../../src/node/browser.ts';
import { root } from '../../src/node/prepare.mjs';
import { aboutOf, MissingError, type Asked, type WithClass } from './class-report.ts';

export const withChromium: WithClass = async (use) => {
  const browser = await launchBrowser();
  try {
    return await withPages(async (url) => {
      const page = await browser.newPage();
      await page.goto(url);
      await page.waitForFunction(() => 'kernelsUnderTest' in window);
      return use(askPage(page, `Chromium ${browser.version()}`));
    });
  } finally {
    await browser.close();
  }
};

export const withFirefox: WithClass = async (use) => {
  const firefox = await launchFirefox();
  if ('why' in firefox) throw new MissingError(firefox.why);
  try {
    return await withPages(async (url) => {
      const page = await firefox.page(url);
      await page.waitForFunction(() => 'kernelsUnderTest' in window);
      const hasAdapter = await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) instanceof GPUAdapter);
      if (!hasAdapter) {
        throw new MissingError(`Firefox ${firefox.version} finds no WebGPU adapter: install a Vulkan driver`);
      }
      return use(askPage(page, `Firefox ${firefox.version}`));
    });
  } finally {
    await firefox.close();
  }
};

/** The part of Playwright's page and of puppeteer's that is used here. */
interface EvaluatingPage {
  evaluate<Answer>(act: (of: What) => Answer, of: What): Promise<Awaited<Answer>>;
}

interface What {
  readonly seed: number;
  readonly kernel: string;
  readonly text: string;
}

const nothing: What = { seed: 0, kernel: '', text: '' };

const askPage = (page: EvaluatingPage, engine: string): Asked => ({
  about: async () => {
    const shown = await page.evaluate(async () => {
      const { adapter, adapterInfo } = window.kernelsUnderTest;
      return { description: await adapter(), adapter: await adapterInfo() };
    }, nothing);
    return aboutOf(shown, engine, 'an adapter whose name the browser keeps private');
  },
  kernelNames: (seed) => page.evaluate((of) => window.kernelsUnderTest.kernelNames(of.seed), { ...nothing, seed }),
  rows: (seed, kernel) =>
    page.evaluate((of) => window.kernelsUnderTest.conformanceRows(of.seed, of.kernel), { ...nothing, seed, kernel }),
  goldenRows: (text) => page.evaluate((of) => window.kernelsUnderTest.goldenRows(of.text), { ...nothing, text }),
});

/** The page `e2e/pages/kernels.html`, for as long as it is used. */
async function withPages<T>(use: (url: string) => Promise<T>): Promise<T> {
  const { createServer } = await import('vite');
  const server: ViteDevServer = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    cacheDir: '.tabswarm/test/vite-conformance',
    // A file that changes, or a dependency found late, would reload the page in the middle of a run.
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    optimizeDeps: { noDiscovery: true },
  });
  try {
    await server.listen();
    return await use(`${server.resolvedUrls?.local[0] ?? ''}e2e/pages/kernels.html`);
  } finally {
    await server.close();
  }
}
