/**
 * Dawn in Node as a device class, in a process of its own for each Vulkan driver that is tried. The process prints one JSON
 * object a line: what the device is, then the rows of each kernel, then nothing more.
 */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { kernelNames, conformanceRows } from '../../e2e/pages/conformance-rows.ts';
import { goldenRows, parseGolden } from '../../e2e/pages/onnx-golden.ts';
import { openDevice } from '../../src/adapters/gpu/device.ts';
import { closeNodeGpu, openNodeGpu } from '../../src/node/open-gpu.ts';
import { vulkanDrivers, type VulkanDriver } from '../../src/node/vulkan-drivers.ts';
import { aboutOf, MissingError, reportOf, type ClassReport, type RunOptions } from './class-report.ts';

/** The report of the first driver that works. */
export async function runDawn(options: RunOptions): Promise<ClassReport> {
  const refusals: string[] = [];
  for (const driver of await vulkanDrivers()) {
    const report = await runWith(driver, options);
    if (typeof report !== 'string') return report;
    refusals.push(`${driver.name}: ${report}`);
  }
  throw new MissingError(`Dawn in Node finds no adapter (${refusals.join('; ')})`);
}

/** The word by which `run.ts` knows that it is this process. */
export const dawnWord = '--in-dawn-process';

/** What the process prints: `tell` for people, and at its end either of the others. */
type Said = { readonly tell: string } | { readonly report: ClassReport } | { readonly refusal: string };

/** The report, or why this driver has none. */
async function runWith({ env }: VulkanDriver, { seeds, only, cases, tell }: RunOptions): Promise<ClassReport | string> {
  const program = process.argv[1] ?? '';
  const words = [
    program,
    // `npm run conformance` comes through the bootstrap, which wants the command's name.
    ...(program.endsWith('bootstrap.mjs') ? ['conformance'] : []),
    dawnWord,
    '--seeds',
    seeds.join(','),
    '--only',
    only,
    ...(cases === undefined ? ['--no-onnx'] : []),
  ];
  const child = spawn(process.execPath, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const ended = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(`its process ended with ${code ?? signal}`));
  });
  let outcome: ClassReport | string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as Said;
    if ('tell' in said) tell(said.tell);
    else outcome = 'report' in said ? said.report : said.refusal;
  }
  const end = await ended;
  return outcome ?? end;
}

/** The inside of that process. */
export async function serveDawn(options: Omit<RunOptions, 'tell'>): Promise<void> {
  const say = (said: Said): void => void process.stdout.write(`${JSON.stringify(said)}\n`);
  const gpu = await openNodeGpu();
  try {
    const opened = await openDevice(gpu, { engine: 'dawn' });
    const { default: own } = await import('webgpu/package.json', { with: { type: 'json' } });
    const asked = {
      about: async () => aboutOf(opened, `Dawn (webgpu ${own.version}) in Node`, 'an adapter without a name'),
      kernelNames: async (seed: number) => kernelNames(seed),
      rows: (seed: number, kernel: string) => conformanceRows(opened.device, seed, kernel),
      goldenRows: (text: string) => goldenRows(parseGolden(text), opened.device),
    };
    say({ report: await reportOf('dawn', asked, { ...options, tell: (line) => say({ tell: line }) }) });
    opened.close();
  } catch (error) {
    say({ refusal: error instanceof Error ? error.message : String(error) });
  } finally {
    closeNodeGpu(gpu);
  }
}
