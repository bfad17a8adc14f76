/**
 * Starts the Firefox that `find-firefox.mjs` finds, with WebGPU, under puppeteer's control over WebDriver BiDi: Playwright
 * drives only its own build. Conformance, benchmarks and the story of two engines come through here. Which Vulkan driver it
 * takes is the machine's matter: `VK_DRIVER_FILES` names one and reaches it as it stands.
 */

import type { Browser, Page } from 'puppeteer-core';
import { findFirefox } from '../../src/node/find-firefox.mjs';

export interface RunningFirefox {
  readonly browser: Browser;
  /** As the program prints it, e.g. `153.7.0esr`. */
  readonly version: string;
  /** A page of a profile of its own: an account of its own. */
  page(url: string): Promise<Page>;
  close(): Promise<void>;
}

/** A loaded machine with two cores takes a minute. */
const startMsMax = 120_000;
/** Long enough for the kernels of a whole operation on a software adapter. */
const answerMsMax = 600_000;

/** What a Firefox needs to know to offer WebGPU on machines whose drivers its list does not trust, and to be quiet. */
const preferences: Readonly<Record<string, boolean | string | number>> = {
  'dom.webgpu.enabled': true,
  'dom.webgpu.workers.enabled': true,
  'gfx.webgpu.ignore-blocklist': true,
  'app.update.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.enabled': false,
  // Data channels of one machine reach each other by its addresses and not by names that nobody resolves.
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true,
};

/** A running Firefox, or why there is none, in one line. */
export async function launchFirefox(
  options: { readonly headless?: boolean } = {},
): Promise<RunningFirefox | { readonly why: string }> {
  const found = findFirefox();
  if ('why' in found) return found;
  const { launch } = await import('puppeteer-core');
  let browser: Browser;
  try {
    browser = await launch({
      browser: 'firefox',
      executablePath: found.path,
      headless: options.headless ?? true,
      timeout: startMsMax,
      protocolTimeout: answerMsMax,
      extraPrefsFirefox: { ...preferences },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { why: `Firefox ${found.version} does not start: ${reason}` };
  }
  return {
    browser,
    version: found.version,
    page: async (url) => {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      page.setDefaultTimeout(answerMsMax);
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}
