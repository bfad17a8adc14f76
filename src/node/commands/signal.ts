/** `tabswarm signal`: a signalling server alone, for hubs that live in tabs and a site on any static host. */

import type { Command } from 'commander';
import { startSignalling } from '../net/signalling.ts';
import type { Output } from '../output.ts';
import { portOption } from './options.ts';

interface SignalFlags {
  readonly port: number;
  readonly host: string;
}

export function register(program: Command, output: Output): void {
  program
    .command('signal')
    .description('run a signalling server alone, for hubs in tabs (#/host)')
    .option('--port <number>', 'port to listen on; 0 takes a free one', portOption, 8788)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .action((flags: SignalFlags) => run(flags, output));
}

async function run(flags: SignalFlags, output: Output): Promise<void> {
  const server = await startSignalling({ port: flags.port, host: flags.host });
  output.result(`signalling at ${server.url}; open the site with ?signal=${server.url}#/host to host in a tab`);
  await new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve());
  });
  await server.close();
}
