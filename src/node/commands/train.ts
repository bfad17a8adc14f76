/** `tabswarm train CONFIG.json`: trains a small model on a swarm and leaves checkpoint, metrics and plot in a folder. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { defaultDataFolder } from '../identity-file.ts';
import { printResult, WorkFailedError, type Output } from '../output.ts';
import { readTrainFile, runTraining } from '../train-run.ts';
import { withSwarm } from '../with-swarm.ts';

interface TrainFlags {
  readonly hub?: string;
  readonly data: string;
  readonly out?: string;
  readonly json: boolean;
}

export function register(program: Command, output: Output): void {
  program
    .command('train <config>')
    .description('train a model on a swarm; without --hub, on tabs of this machine')
    .option('--hub <url>', 'the hub')
    .option('--out <folder>', 'where checkpoint, metrics and plot go; the config’s "out" where it is left out')
    .option('--data <folder>', 'where your account key lies', defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((config: string, flags: TrainFlags) => run(config, flags, output));
}

async function run(config: string, flags: TrainFlags, output: Output): Promise<void> {
  const { file, folder } = await readTrainFile(config);
  const out = flags.out ?? resolve(folder, file.out);
  const summary = await withSwarm({ ...flags, hub: flags.hub, tabs: file.method.workers, output }, (swarm, signal) =>
    runTraining({
      swarm,
      file,
      folder,
      where: config,
      out,
      signal,
      onRound: ({ round, rounds, contributors, trainLoss, validationLoss }) =>
        output.progress(
          `round ${round} of ${rounds}: ${contributors} contributors, train loss ${shown(trainLoss)}` +
            (validationLoss === null ? '' : `, validation loss ${shown(validationLoss)}`),
        ),
    }),
  );
  printResult(output, flags.json, summary, () => [
    `${summary.state}: ${summary.parameters} parameters, ${summary.tokens} tokens in ${summary.seconds.toFixed(1)} s`,
    `validation loss ${shown(summary.startValidationLoss)} -> ${shown(summary.validationLoss)} nats per token (bigram table: ${shown(summary.bigramLoss)})`,
    `sent ${summary.bytesSent} bytes; f32 data-parallel would have sent ${summary.bytesDense}`,
    `checkpoint, metrics.jsonl and loss.svg are in ${out}`,
  ]);
  if (summary.state !== 'done')
    throw new WorkFailedError(`training ${summary.state}: ${summary.reason ?? 'no reason given'}`);
}

const shown = (loss: number | null): string => (loss === null ? '-' : loss.toFixed(3));
