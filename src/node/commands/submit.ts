/** `tabswarm submit JOB.json`: checks a shader job, submits it, and with `--wait` writes results as they are accepted. */

import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../../core/result.ts';
import type { JobState } from '../../protocol/messages.ts';
import { printResult, WorkFailedError, type Output } from '../output.ts';
import { readInput } from '../read-input.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { withSwarm } from '../with-swarm.ts';
import { sha256Large } from '../../adapters/crypto/sha256-large.ts';
import type { SwarmJob } from '../../assembly/swarm.ts';
import { hubDefault } from './options.ts';
import { checkOutput, openOutputFolder, submitSummary, type OutputFolder } from './submit-output.ts';

interface SubmitFlags {
  readonly hub: string;
  readonly wait: boolean;
  readonly out?: string;
  readonly data: string;
  readonly json: boolean;
}

export function register(program: Command, output: Output): void {
  program
    .command('submit <job>')
    .description('submit a shader job')
    .option('--hub <url>', 'the hub', hubDefault)
    .option('--wait', 'wait until it is done; --out and --json wait too', false)
    .option('--out <folder>', 'write each unit’s outputs and job.json here')
    .option('--data <folder>', 'where your account key lies', defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((path: string, flags: SubmitFlags) => run(path, flags, output));
}

async function run(path: string, flags: SubmitFlags, output: Output): Promise<void> {
  const value = await readJobJson(path);
  if (flags.out !== undefined) await checkOutput(flags.out);
  const folder = dirname(resolve(path));
  const started = performance.now();
  await withSwarm({ ...flags, tabs: 0, output }, async (swarm, signal) => {
    const job = await swarm.submitFile(value, {
      files: (name) => readInput(resolve(folder, name)),
      where: path,
      signal,
    });
    if (!flags.wait && !flags.json && flags.out === undefined) return followLater(job, flags, output);
    const out =
      flags.out === undefined
        ? undefined
        : await openOutputFolder(flags.out, job.id, job.prepared.manifest, sha256Large);
    const ended = await collect(job, out, output);
    const reduced = await job.reduced;
    if (reduced !== undefined) await out?.writeReduced(reduced);
    await out?.save(ended.state);
    const summary = submitSummary(ended, (performance.now() - started) / 1000, flags.out);
    printResult(output, flags.json, summary, () => [
      `${ended.state}: ${ended.accepted} of ${ended.units} units accepted, ${ended.attempts} attempts, ${ended.disagreements} disagreements`,
      ...(flags.out === undefined ? [] : [`outputs are in ${flags.out}`]),
    ]);
    if (ended.state !== 'done') throw new WorkFailedError(`job ${ended.state}: ${ended.reason ?? 'no reason given'}`);
  });
}

async function collect(job: SwarmJob, out: OutputFolder | undefined, output: Output): Promise<JobState> {
  const shown = { accepted: -1 };
  job.onChange(() => {
    const state = job.state();
    if (state === undefined || state.accepted === shown.accepted) return;
    shown.accepted = state.accepted;
    output.progress(`${state.accepted} of ${state.units} units accepted`);
  });
  for await (const accepted of job) await out?.write(accepted);
  return job.finished;
}

/** The hub has the whole job when it says that it waits or runs; then this process may go. */
async function followLater(job: SwarmJob, flags: SubmitFlags, output: Output): Promise<void> {
  await new Promise<void>((taken, refused) => {
    job.onChange(() => {
      if (job.state() !== undefined) taken();
    });
    job.finished.then(() => taken(), refused);
  });
  output.result(job.id);
  output.progress(`submitted; npx tabswarm job ${job.id.slice(0, 12)} --hub ${flags.hub} shows how it goes`);
}

async function readJobJson(path: string): Promise<unknown> {
  const text = (await readInput(path)).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
