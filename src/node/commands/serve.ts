/** `tabswarm serve`: offers a model to a hub, whose tabs answer requests with it until this command is stopped. */

import type { Command } from 'commander';
import { InputError } from '../../core/result.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { printResult, WorkFailedError, type Output } from '../output.ts';
import { addServeOptions, offerModel, placesText, tellWhenUp, type ServeFlags } from '../serve-model.ts';
import { withSwarm } from '../with-swarm.ts';
import { hubDefault } from './options.ts';

interface Flags extends ServeFlags {
  readonly hub: string;
  readonly detach: boolean;
  readonly data: string;
  readonly json: boolean;
}

export function register(program: Command, output: Output): void {
  const command = program
    .command('serve')
    .description('let a hub’s tabs answer requests with a model, until stopped')
    .option('--hub <url>', 'the hub', hubDefault);
  addServeOptions(command)
    .option('--detach', 'leave the model served when this command ends', false)
    .option('--data <folder>', 'where your account key lies', defaultDataFolder())
    .option('--json', 'print one JSON object, once the hub has the model', false)
    .action((flags: Flags) => run(flags, output));
}

async function run(flags: Flags, output: Output): Promise<void> {
  if (flags.model === undefined) throw new InputError('--model: missing; name the model to serve');
  await withSwarm({ ...flags, tabs: 0, output }, async (swarm, signal) => {
    const offered = await offerModel(swarm, flags, signal);
    const { name, plan, handle } = offered;
    const { stages, spares, pipelines, context } = plan;
    printResult(output, flags.json, { name, job: handle.job, stages, spares, pipelines, context }, () => [
      `${name} is served; it needs ${placesText(plan)} at ${flags.hub}`,
      flags.detach
        ? `end it with: npx tabswarm cancel ${handle.job.slice(0, 12)} --hub ${flags.hub}`
        : 'Ctrl+C ends it',
    ]);
    if (flags.detach) return;
    tellWhenUp(offered, output.progress);
    const ended = await handle.finished;
    if (!signal.aborted) throw new WorkFailedError(`${name} is served no more: ${ended.reason ?? ended.state}`);
  });
}
