/**
 * What `tabswarm doctor` looks at: whether this machine's browser, or Dawn in Node, can contribute, and if not, why. The
 * browser is examined through the page `#/device` of the built site, so that it is asked exactly as a volunteer's tab is.
 */

import type { Page } from 'playwright';
import { checkPicks, type PickCheck } from '../adapters/gpu/tuner-check.ts';
import { openTunedDevice } from '../adapters/gpu/tuned-device.ts';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { families } from '../kernels/families.ts';
import type { Inspection } from '../kernels/inspection.ts';
import type { DeviceDescription } from '../protocol/messages.ts';
import { browserCommand, launchBrowser } from './browser.ts';
import { createFileWinners } from './file-winners.ts';
import { startHttpServer } from './http-server.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';
import { siteFolder } from './site-folder.ts';

export interface DoctorReport {
  readonly canContribute: boolean;
  /** Why not, in one line with the mend. */
  readonly obstacle?: string;
  readonly node: { readonly version: string; readonly platform: string };
  /** Absent with `--native`. */
  readonly browser?: { readonly path: string; readonly version: string };
  readonly device?: DeviceDescription;
  readonly inspection?: Inspection;
  /** With `--tuner-check`. */
  readonly picks?: readonly PickCheck[];
}

export interface DoctorOptions {
  readonly native: boolean;
  /** With `native`, a GPU by a part of its name. */
  readonly gpu?: string;
  /** Where `native` keeps its winners. */
  readonly data: string;
  readonly tunerCheck: boolean;
  /** With `tunerCheck`, only this one; all when left out. */
  readonly family?: string;
  readonly progress: (line: string) => void;
}

const node = { version: process.versions.node, platform: `${process.platform} ${process.arch}` };

export async function examine(options: DoctorOptions): Promise<DoctorReport> {
  try {
    return options.native ? await examineNative(options) : await examineBrowser(options);
  } catch (error) {
    // Whatever keeps the device from being asked is the finding.
    const obstacle = error instanceof Error ? (error.message.split('\n', 1)[0] ?? error.name) : String(error);
    return { canContribute: false, obstacle, node };
  }
}

async function examineNative({
  gpu: name,
  data,
  tunerCheck,
  family: only,
  progress,
}: DoctorOptions): Promise<DoctorReport> {
  const gpu = await openNodeGpu(name === undefined ? {} : { adapter: name });
  try {
    const store = createFileWinners(data);
    const device = await openTunedDevice(gpu, { engine: 'dawn', clock: systemClock, store, report: progress });
    try {
      if (tunerCheck) {
        const timed = { device: device.device, busyMs: device.busyMs };
        const chosen = families.filter(({ name }) => only === undefined || name === only);
        const tell = (pick: PickCheck): void => progress(pickLine(pick));
        return { canContribute: true, node, device: device.description, picks: await checkPicks(timed, chosen, tell) };
      }
      const say = stageTeller(progress);
      const inspection = await device.inspect(({ stage }) => say(stage));
      return judged({ node, device: device.description, inspection });
    } finally {
      device.close();
    }
  } finally {
    closeNodeGpu(gpu);
  }
}

async function examineBrowser({ progress }: DoctorOptions): Promise<DoctorReport> {
  // Before the server: without a browser there is nothing to serve.
  const { executablePath: path } = await browserCommand();
  const site = siteFolder();
  const server = await startHttpServer({
    port: 0,
    host: '127.0.0.1',
    siteFolder: site,
    health: () => ({ ok: true }),
    bootstrap: () => ({}),
  });
  try {
    const browser = await launchBrowser();
    try {
      const about = { node, browser: { path, version: browser.version() } };
      const page = await browser.newPage();
      await page.goto(`${server.url}/#/device`);
      return judged({ ...about, ...(await examinePage(page, progress)) });
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

const openMsMax = 120_000;
const inspectMsMax = 900_000;

async function examinePage(
  page: Page,
  progress: (line: string) => void,
): Promise<Pick<DoctorReport, 'device' | 'inspection' | 'obstacle'>> {
  await page.locator('main[data-phase=ready], main[data-phase=gone]').waitFor({ timeout: openMsMax });
  const alert = page.getByRole('alert').first();
  const obstacleOf = async (): Promise<{ obstacle: string }> => ({
    obstacle: (await alert.textContent())?.trim() ?? '',
  });
  if ((await page.locator('main[data-phase=gone]').count()) > 0) return obstacleOf();
  await page.getByRole('button', { name: 'Run' }).click();
  const say = stageTeller(progress);
  const status = page.locator('.stage [role=status]');
  const watching = setInterval(() => {
    status.textContent({ timeout: 500 }).then(
      (text) => say(text?.split(':')[0]?.trim().toLowerCase() ?? ''),
      () => undefined,
    );
  }, 1000);
  try {
    // Either the report, or the page's reason for having none.
    const whole = page.locator('[data-report=whole]');
    await whole.or(page.locator('main[data-phase=gone]')).first().waitFor({ state: 'attached', timeout: inspectMsMax });
    if ((await whole.count()) === 0) return obstacleOf();
    return JSON.parse((await whole.textContent()) ?? '') as Pick<DoctorReport, 'device' | 'inspection'>;
  } finally {
    clearInterval(watching);
  }
}

export const pickLine = ({ family, bucket, pick, best, ratio, gain, tunerMs }: PickCheck): string =>
  `${family} ${bucket}: picked ${pick}, best ${best}, ${ratio.toFixed(2)} of its time; ` +
  `${gain.toFixed(2)} times as fast as the safe variant, found in ${tunerMs.toFixed(0)} ms`;

/** Tells each stage once. */
function stageTeller(progress: (line: string) => void): (stage: string) => void {
  let last = '';
  return (stage) => {
    if (stage !== '' && stage !== last) progress(`${stage} ...`);
    last = stage;
  };
}

/** Whether what was found suffices. */
export function judged(found: Omit<DoctorReport, 'canContribute'>): DoctorReport {
  if (found.obstacle !== undefined) return { ...found, canContribute: false };
  const wrong = found.inspection?.kernels.filter(({ failed }) => failed > 0) ?? [];
  if (wrong.length === 0) return { ...found, canContribute: true };
  const [first] = wrong;
  const obstacle =
    `${wrong.length} of this device's kernels are wrong (${wrong.map(({ kernel }) => kernel).join(', ')}); ` +
    `${first?.kernel}: ${first?.problem}: update the GPU driver or the browser`;
  return { ...found, canContribute: false, obstacle };
}
