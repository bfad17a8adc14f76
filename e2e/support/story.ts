/**
 * The stage of the stories: a hub and commands as processes of the built command line, volunteers as tabs of a real
 * browser, folders that go away afterwards. A story says what happens; everything that it starts here ends with it.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test as base, type Browser, type BrowserContext, type Page } from 'playwright/test';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, 'dist', 'node', 'cli.js');

/** On a busy machine everything is late; a story that hangs still ends with its test. */
export const patience = { timeout: 100_000 };
const storyMsMax = 240_000;

export interface Command {
  readonly process: ChildProcess;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Its exit code, or the signal that ended it; waits for the end. */
  readonly ended: Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
}

export interface Hub {
  readonly url: string;
  readonly port: number;
  readonly data: string;
  readonly command: Command;
  health(): Promise<HubHealth | undefined>;
  jobs(): Promise<readonly AnnouncedJob[]>;
}

export interface HubHealth {
  readonly ok: boolean;
  readonly draining: boolean;
  readonly volunteers: number;
  readonly jobs: number;
}

export interface AnnouncedJob {
  readonly job: string;
  readonly name: string;
  readonly state: string;
  readonly units: number;
  readonly accepted: number;
}

export interface HubOptions {
  readonly port?: number;
  readonly data?: string;
  readonly words?: readonly string[];
}

export interface Stage {
  readonly browser: Browser;
  folder(): Promise<string>;
  command(...words: readonly string[]): Command;
  /** The same with more in its environment. */
  commandIn(env: Readonly<Record<string, string>>, ...words: readonly string[]): Command;
  /** Runs a command with `--json` to its end and reads what it printed. */
  json(...words: readonly string[]): Promise<Record<string, unknown>>;
  hub(options?: HubOptions): Promise<Hub>;
  /** A page in a profile of its own, so an account of its own; `context` opens one more tab of a profile. */
  page(url: string, context?: BrowserContext): Promise<Page>;
  /** Opens a volunteer's page, presses Start and waits until it is connected. */
  volunteer(url: string, context?: BrowserContext): Promise<Page>;
  /** Runs when the story ends. */
  after(end: () => unknown): void;
}

export const test = base.extend<{ stage: Stage }>({
  stage: async ({ playwright, launchOptions }, use, story) => {
    story.setTimeout(storyMsMax);
    const ends: (() => unknown)[] = [];
    const pageErrors: string[] = [];
    const browser = await playwright.chromium.launch(launchOptions);
    ends.push(() => browser.close());
    await use(createStage(browser, (end) => void ends.push(end), pageErrors));
    for (const end of ends.toReversed()) await end();
    expect(pageErrors, 'errors that nobody caught on a page').toEqual([]);
  },
});

function createStage(browser: Browser, after: Stage['after'], pageErrors: string[]): Stage {
  if (!existsSync(cli)) throw new Error('dist/ is missing: run npm run build, or the whole npm test');
  const folder = async (): Promise<string> => {
    const made = await mkdtemp(join(tmpdir(), 'tabswarm-story-'));
    after(() => rm(made, { recursive: true, force: true }));
    return made;
  };
  const commandIn: Stage['commandIn'] = (env, ...words) => {
    const started = startCommand(words, env);
    after(async () => {
      started.kill('SIGKILL');
      await started.ended;
    });
    return started;
  };
  const command: Stage['command'] = (...words) => commandIn({}, ...words);
  const json: Stage['json'] = async (...words) => {
    const started = command(...words, '--json');
    expect(await started.ended, `tabswarm ${words.join(' ')}: ${started.stderr()}`).toBe(0);
    return JSON.parse(started.stdout()) as Record<string, unknown>;
  };
  const page: Stage['page'] = async (url, context) => {
    const profile = context ?? (await browser.newContext({ ignoreHTTPSErrors: true }));
    const opened = await profile.newPage();
    opened.on('pageerror', (error) => pageErrors.push(`${opened.url()}: ${error.stack ?? error.message}`));
    await opened.goto(url);
    return opened;
  };
  return {
    browser,
    after,
    folder,
    command,
    commandIn,
    json,
    page,
    hub: async ({ port = 0, data, words = [] } = {}) => {
      const own = data ?? (await folder());
      return openHub(command('hub', '--port', String(port), '--data', own, ...words), own);
    },
    volunteer: async (url, context) => {
      const opened = await page(url, context);
      await startVolunteer(opened);
      return opened;
    },
  };
}

function startCommand(words: readonly string[], env: Readonly<Record<string, string>>): Command {
  const running = spawn(process.execPath, [cli, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    running[stream].setEncoding('utf8').on('data', (text: string) => (written[stream] += text));
  }
  const ended = new Promise<number | string>((resolve) => {
    running.once('close', (code, signal) => resolve(code ?? signal ?? 'no reason'));
  });
  return {
    process: running,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    ended,
    kill: (signal) => void running.kill(signal),
  };
}

/** The hub that this command is, once it answers. */
async function openHub(command: Command, data: string): Promise<Hub> {
  await expect.poll(() => command.stdout() + command.stderr(), patience).toMatch(/invite volunteers: \S+|error: /);
  const url = /invite volunteers: (\S+)/.exec(command.stdout())?.[1];
  if (url === undefined) throw new Error(`the hub did not open: ${command.stderr()}`);
  const hub: Hub = {
    url,
    port: Number(new URL(url).port),
    data,
    command,
    health: () => fetchJson<HubHealth>(`${url}/healthz`),
    jobs: async () => (await fetchJson<{ jobs: readonly AnnouncedJob[] }>(`${url}/jobs.json`))?.jobs ?? [],
  };
  return hub;
}

/** Undefined where nobody answers. */
async function fetchJson<T>(url: string): Promise<T | undefined> {
  try {
    return (await (await fetch(url)).json()) as T;
  } catch {
    return undefined;
  }
}

/** Presses Start and waits until the hub knows this tab. */
export async function startVolunteer(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Start' }).click();
  await expectConnected(page);
}

export const expectConnected = (page: Page): Promise<void> =>
  expect(page.locator('header .hub')).toHaveText(/^\s*connected\s*$/, patience);

/** One of the numbers that a volunteer's page shows. */
export async function numberOf(page: Page, name: 'verified' | 'credit' | 'sent' | 'wrong'): Promise<number> {
  const shown = page.locator(`[data-number="${name}"]`);
  return (await shown.count()) === 0 ? 0 : Number(await shown.textContent());
}

/** Waits until the tab is inside a unit: some of its steps are done and not all. */
export async function expectInsideUnit(page: Page): Promise<void> {
  const progress = page.locator('[data-state="computing"] progress');
  const done = async (): Promise<number> =>
    (await progress.count()) === 0 ? 0 : Number(await progress.evaluate(doneOf).catch(() => 0));
  await expect.poll(done, { ...patience, intervals: [50] }).toBeGreaterThan(0);
}

const doneOf = (element: Element): number => (element instanceof HTMLProgressElement ? element.value : 0);

/** The same, for a tab that waits for what this command submits: its early end is the story's. */
export async function expectComputing(page: Page, submit: Command): Promise<void> {
  const failed = submit.ended.then((code) => {
    throw new Error(`tabswarm submit ended with ${code}: ${submit.stdout()}${submit.stderr()}`);
  });
  failed.catch(() => {});
  await Promise.race([expectInsideUnit(page), failed]);
}

/** Nothing is running in the tab, and it would take work. */
export const expectFree = (page: Page): Promise<void> =>
  expect(page.locator('.stage[data-state="idle"]')).toContainText('Waiting for work', patience);

/** How many units of the hub's newest job are accepted. */
export async function acceptedAt(hub: Hub): Promise<number> {
  return (await hub.jobs()).at(-1)?.accepted ?? 0;
}
