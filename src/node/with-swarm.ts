/**
 * Commands that need a swarm: the hub that was named, or one of this machine with as many tabs as the command needs.
 * Whatever was started ends with the command, also when it is interrupted.
 */

import type { CheckShader } from '../assembly/job.ts';
import { checkShader } from './compile-check.ts';
import { openLocalSwarm, type LocalSwarm } from './local-swarm.ts';
import type { Output } from './output.ts';
import { connect, type Swarm } from './sdk.ts';

export interface WithSwarmOptions {
  readonly hub: string | undefined;
  readonly data: string;
  /** Tabs to open where no hub was named. */
  readonly tabs: number;
  readonly output: Output;
}

/** The compiler of the SDK in the CLI: errors with line and column of the user's file, before anything is sent. */
const compile: CheckShader = (wgsl, use, file) => checkShader(wgsl, { ...use, file });

/** `signal` aborts on Ctrl+C, so that the job is cancelled before the command ends. */
export async function withSwarm<T>(
  options: WithSwarmOptions,
  act: (swarm: Swarm, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  let local: LocalSwarm | undefined;
  let swarm: Swarm | undefined;
  try {
    if (options.hub === undefined) {
      options.output.progress(
        `no --hub: starting one here with ${options.tabs} ${options.tabs === 1 ? 'tab' : 'tabs'}`,
      );
      local = await openLocalSwarm({ tabs: options.tabs, report: options.output.progress });
    }
    swarm = await connect(options.hub ?? local?.server.url ?? '', { data: options.data, check: compile });
    return await act(swarm, interrupted.signal);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    swarm?.close();
    await local?.close();
  }
}
