/**
 * Headless volunteer tabs: one browser, a context for each tab, so that each has a profile and so an account of its own.
 * They press the page's own Start button, as a person would.
 */

import type { Browser, BrowserContext, Page } from 'playwright';
import { launchBrowser } from './browser.ts';

export interface VolunteerTab {
  readonly context: BrowserContext;
  readonly page: Page;
  close(): Promise<void>;
}

export interface VolunteerTabs {
  readonly browser: Browser;
  /** Opens one more tab and starts it; `lie` needs a site built for demonstrations. */
  open(options?: { readonly lie?: boolean }): Promise<VolunteerTab>;
  close(): Promise<void>;
}

export interface VolunteerTabsOptions {
  /** The page, with `?hub=` where the hub is elsewhere. */
  readonly url: string;
  /** One line for each error that a page reports. */
  readonly report?: (line: string) => void;
  /** True for a hub with a certificate of its own making. */
  readonly ignoreCertificate?: boolean;
  /** False opens windows. */
  readonly headless?: boolean;
}

export async function openVolunteerTabs(options: VolunteerTabsOptions): Promise<VolunteerTabs> {
  const browser = await launchBrowser({ headless: options.headless ?? true });
  return {
    browser,
    open: async ({ lie = false } = {}) => {
      const context = await browser.newContext({ ignoreHTTPSErrors: options.ignoreCertificate ?? false });
      const page = await context.newPage();
      page.on('pageerror', (error) => options.report?.(`page: ${error.message}`));
      const url = new URL(options.url);
      if (lie) url.searchParams.set('lie', '');
      await page.goto(url.href);
      await page.getByRole('button', { name: 'Start' }).click();
      return { context, page, close: () => context.close() };
    },
    close: () => browser.close(),
  };
}
