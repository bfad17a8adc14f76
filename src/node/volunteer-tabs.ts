/**
 * Headless volunteer tabs: one browser, a context for each tab, so that each has a profile and so an account of its own.
 * They press the page's own Start button, as a person would.
 */

import type { Browser, BrowserContext, Page } from 'playwright';
import { launchBrowser } from './browser.ts';
import { recoveryFlags, watchGpu, type GpuWatch, type GpuWatchOptions } from './gpu-watch.ts';

export interface VolunteerTab {
  readonly context: BrowserContext;
  readonly page: Page;
  close(): Promise<void>;
}

export interface VolunteerTabs {
  readonly browser: Browser;
  /** Looks after the GPU that all tabs share. */
  readonly watch: GpuWatch;
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
  /** How soon a GPU that hangs is noticed. */
  readonly watch?: Omit<GpuWatchOptions, 'report'>;
}

export async function openVolunteerTabs(options: VolunteerTabsOptions): Promise<VolunteerTabs> {
  const browser = await launchBrowser({ headless: options.headless ?? true, args: recoveryFlags });
  const pages = (): Page[] => browser.contexts().flatMap((context) => context.pages());
  const report = (line: string): void => options.report?.(line);
  const watch = watchGpu(browser, pages, { ...options.watch, report });
  return {
    browser,
    watch,
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
    close: () => {
      watch.close();
      return browser.close();
    },
  };
}
