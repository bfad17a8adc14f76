/**
 * Starts the browser that `find-browser.mjs` finds, with WebGPU, under Playwright's control. The demo, `tabswarm
 * volunteer --tabs` and every end-to-end test come through here; what they do with the browser is theirs.
 */

import type { Browser } from 'playwright';
import { browserFlags, findBrowser } from './find-browser.mjs';

export interface LaunchOptions {
  /** Which adapter; `auto` takes the software one where the machine shows no GPU, and says so. */
  readonly gpu?: 'auto' | 'software' | 'hardware';
  /** Flags beside the usual ones. */
  readonly args?: readonly string[];
  /** False opens windows. */
  readonly headless?: boolean;
}

/** A running browser; throws `BrowserMissingError`, whose text says what to install. */
export async function launchBrowser(options: LaunchOptions = {}): Promise<Browser> {
  // Loaded late: most commands start no browser.
  const { chromium } = await import('playwright');
  const { executablePath, args } = await browserCommand(options);
  // Playwright's own headless switch is the old mode, which has no WebGPU; the flag `--headless=new` is among ours.
  return chromium.launch({ executablePath, args, headless: options.headless ?? true });
}

/** The program and flags with which `launchBrowser` starts. */
export async function browserCommand(options: LaunchOptions = {}): Promise<{ executablePath: string; args: string[] }> {
  const flags = browserFlags({ gpu: options.gpu ?? 'auto' });
  const shown = options.headless === false ? flags.filter((flag) => !flag.startsWith('--headless')) : flags;
  return { executablePath: await findBrowser(), args: [...shown, ...(options.args ?? [])] };
}
