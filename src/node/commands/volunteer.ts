/**
 * `tabswarm volunteer`: lends this machine until it is told to stop, through headless tabs, or with `--native` without a
 * browser. What was leased goes back to the hub when it ends.
 */

import type { Command } from 'commander';
import { fetchBootstrap } from '../../assembly/hub-bootstrap.ts';
import type { VolunteerView } from '../../assembly/volunteer-view.ts';
import { expectInput, InputError } from '../../core/result.ts';
import { parseHubAddress, type HubAddress } from '../../protocol/hub-address.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { nativeDataFolder, openNativeVolunteer } from '../native-volunteer.ts';
import { listNodeGpus } from '../open-gpu.ts';
import { WorkFailedError, type Output } from '../output.ts';
import { openVolunteerTabs } from '../volunteer-tabs.ts';
import { hubDefault, numberOption, wholeOption } from './options.ts';

interface VolunteerFlags {
  readonly hub: string;
  readonly tabs?: number;
  readonly native: boolean;
  readonly gpu: readonly string[];
  readonly duty?: number;
  readonly data: string;
  readonly peers: boolean;
  readonly uploadLimit?: number;
}

const collect = (value: string, known: readonly string[]): readonly string[] => [...known, value];

export function register(program: Command, output: Output): void {
  program
    .command('volunteer')
    .description('lend this machine to a hub through headless browser tabs, or without a browser')
    .option('--hub <url>', 'the hub', hubDefault)
    .option('--tabs <number>', 'how many tabs, each an account of its own (default: 1)', wholeOption(1, 64))
    .option('--native', 'without a browser: one volunteer for each GPU, each an account of its own', false)
    .option('--gpu <name>', 'with --native, a GPU by a part of its name; may be repeated (default: all)', collect, [])
    .option('--duty <percent>', 'with --native, share of time that the GPU may be busy', numberOption(1, 100))
    .option('--no-peers', 'with --native, no links to other volunteers, who would see this machine’s address')
    .option('--upload-limit <MiB/s>', 'with --native, what they may take of the upload', numberOption(0.001, 100_000))
    .option('--data <folder>', 'with --native, where the account keys lie', defaultDataFolder())
    .action((flags: VolunteerFlags) => run(flags, output));
}

async function run(flags: VolunteerFlags, output: Output): Promise<void> {
  checkTogether(flags);
  const address = expectInput(parseHubAddress(flags.hub));
  // Asked before anything starts, so that a wrong address is one line and not a volunteer that waits.
  if (address.kind === 'url') await fetchBootstrap(address);
  await (flags.native ? lendNatively(flags, address, output) : lendTabs(flags, address, output));
}

/** Options of one way that the other does not have are refused and not ignored. */
function checkTogether({ native, tabs, gpu, duty }: VolunteerFlags): void {
  if (native && tabs !== undefined)
    throw new InputError('--tabs: a volunteer with --native has no tabs; leave one out');
  if (native) return;
  if (gpu.length > 0) throw new InputError('--gpu: a browser chooses the GPU itself; add --native');
  if (duty !== undefined) throw new InputError('--duty: tabs compute as much as they can; add --native');
}

async function lendTabs(flags: VolunteerFlags, address: HubAddress, output: Output): Promise<void> {
  const count = flags.tabs ?? 1;
  const url = address.kind === 'url' ? `${address.url}/` : flags.hub;
  const tabs = await openVolunteerTabs({ url, report: output.progress, ignoreCertificate: true });
  for (let index = 0; index < count; index++) await tabs.open();
  output.progress(`${count} ${count === 1 ? 'tab computes' : 'tabs compute'} for ${flags.hub}; Ctrl+C ends it`);
  await new Promise<void>((resolve) => {
    onInterrupt(resolve);
    tabs.browser.on('disconnected', () => resolve());
  });
  await tabs.close();
}

async function lendNatively(flags: VolunteerFlags, address: HubAddress, output: Output): Promise<void> {
  const gpus = chosenGpus(await listNodeGpus(), flags.gpu);
  const failed: string[] = [];
  let everyoneFailed: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    onInterrupt(resolve);
    everyoneFailed = resolve;
  });
  const volunteers = gpus.map((gpu, index) => {
    const report = reporter(gpu, output);
    return openNativeVolunteer({
      address,
      addressText: flags.hub,
      gpu,
      data: nativeDataFolder(flags.data, index),
      duty: (flags.duty ?? 100) / 100,
      peers: flags.peers,
      ...(flags.uploadLimit === undefined ? {} : { uploadBytesPerSecond: flags.uploadLimit * 2 ** 20 }),
      changed: (view) => {
        report(view);
        if (view.phase !== 'failed' || failed[index] !== undefined) return;
        failed[index] = view.problem ?? 'it failed without a reason';
        if (Object.keys(failed).length === gpus.length) everyoneFailed();
        else output.progress(`${gpu}: ${failed[index]}`);
      },
      outdated: (reason) => output.progress(`${gpu}: the hub is newer: ${reason}; update tabswarm`),
    });
  });
  for (const volunteer of volunteers) volunteer.start();
  await ended;
  for (const volunteer of volunteers) await volunteer.stop();
  if (Object.keys(failed).length === gpus.length) throw new WorkFailedError(failed.join('; '));
}

/** The GPUs that were asked for; without a wish every real one, or else the software driver that there is. */
export function chosenGpus(all: readonly string[], wishes: readonly string[]): readonly string[] {
  if (all.length === 0) {
    throw new WorkFailedError(
      'no GPU: Dawn finds no adapter here; install a Vulkan driver, or volunteer through --tabs',
    );
  }
  const unknown = wishes.find((wish) => !all.some((name) => matches(name, wish)));
  if (unknown !== undefined) throw new InputError(`--gpu ${unknown}: no such GPU; here are: ${all.join(', ')}`);
  if (wishes.length > 0) return all.filter((name) => wishes.some((wish) => matches(name, wish)));
  const real = all.filter((name) => !/llvmpipe|swiftshader|lavapipe|basic render/i.test(name));
  return real.length > 0 ? real : all;
}

const matches = (name: string, wish: string): boolean => name.toLowerCase().includes(wish.toLowerCase());

/** Tells each new line of a volunteer's log once. */
function reporter(gpu: string, output: Output): (view: VolunteerView) => void {
  let told = '';
  let running = false;
  return ({ phase, log, device, hub }) => {
    if (phase === 'running' && !running) {
      running = true;
      output.progress(`${gpu} computes for ${hub.address} as ${device?.deviceClass ?? 'a device'}; Ctrl+C ends it`);
    }
    const newest = log[0];
    const line = newest === undefined ? '' : `${newest.at} ${newest.text}`;
    if (newest === undefined || line === told) return;
    told = line;
    output.progress(`${gpu}: ${newest.text}`);
  };
}

function onInterrupt(act: () => void): void {
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => act());
}
