/** `tabswarm volunteer`: lends this machine through headless tabs until it is told to stop. */

import type { Command } from 'commander';
import { expectInput } from '../../core/result.ts';
import { fetchBootstrap } from '../../assembly/hub-bootstrap.ts';
import { parseHubAddress } from '../../protocol/hub-address.ts';
import { openVolunteerTabs } from '../volunteer-tabs.ts';
import { hubDefault, wholeOption } from './options.ts';
import type { Output } from '../output.ts';

interface VolunteerFlags {
  readonly hub: string;
  readonly tabs: number;
}

export function register(program: Command, output: Output): void {
  program
    .command('volunteer')
    .description('lend this machine to a hub through headless browser tabs')
    .option('--hub <url>', 'the hub', hubDefault)
    .option('--tabs <number>', 'how many tabs, each an account of its own', wholeOption(1, 64), 1)
    .action((flags: VolunteerFlags) => run(flags, output));
}

async function run(flags: VolunteerFlags, output: Output): Promise<void> {
  const address = expectInput(parseHubAddress(flags.hub));
  // Asked before the browser starts, so that a wrong address is one line and not a page that waits.
  if (address.kind === 'url') await fetchBootstrap(address);
  const url = address.kind === 'url' ? `${address.url}/` : flags.hub;
  const tabs = await openVolunteerTabs({ url, report: output.progress, ignoreCertificate: true });
  for (let index = 0; index < flags.tabs; index++) await tabs.open();
  output.progress(
    `${flags.tabs} ${flags.tabs === 1 ? 'tab computes' : 'tabs compute'} for ${flags.hub}; Ctrl+C ends it`,
  );
  await new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve());
    tabs.browser.on('disconnected', () => resolve());
  });
  await tabs.close();
}
