/** `tabswarm jobs`, `job ID` and `cancel ID`: look at a hub's jobs and stop one's own. */

import type { Command } from 'commander';
import { InputError } from '../../core/result.ts';
import type { MessageOf } from '../../protocol/messages.ts';
import { connect } from '../sdk.ts';
import { hubDefault } from './options.ts';
import { printResult, type Output } from '../output.ts';
import { defaultDataFolder } from '../identity-file.ts';

interface JobsFlags {
  readonly hub: string;
  readonly data: string;
  readonly json: boolean;
}

type JobRow = MessageOf<'jobs'>['jobs'][number];

export function register(program: Command, output: Output): void {
  const common = (command: Command): Command =>
    command
      .option('--hub <url>', 'the hub', hubDefault)
      .option('--data <folder>', 'where your account key lies', defaultDataFolder())
      .option('--json', 'print one JSON object', false);
  common(program.command('jobs').description('the jobs of a hub, newest first')).action((flags: JobsFlags) =>
    list(flags, output),
  );
  common(program.command('job <id>').description('one job, by its id or the beginning of it')).action(
    (id: string, flags: JobsFlags) => show(id, flags, output),
  );
  common(program.command('cancel <id>').description('cancel a job of yours')).action((id: string, flags: JobsFlags) =>
    cancel(id, flags, output),
  );
}

async function list(flags: JobsFlags, output: Output): Promise<void> {
  const jobs = await withHub(flags, (swarm) => swarm.jobs());
  printResult(output, flags.json, { jobs }, () => (jobs.length === 0 ? ['no jobs'] : jobs.map(lineOf)));
}

async function show(id: string, flags: JobsFlags, output: Output): Promise<void> {
  const job = await withHub(flags, async (swarm) => findJob(await swarm.jobs(), id));
  printResult(output, flags.json, job, () => [lineOf(job)]);
}

async function cancel(id: string, flags: JobsFlags, output: Output): Promise<void> {
  const job = await withHub(flags, async (swarm) => {
    const found = findJob(await swarm.jobs(), id);
    if (found.state !== 'running' && found.state !== 'waiting')
      throw new InputError(`job ${id} is ${found.state} already`);
    const handle = swarm.submitter.watch(found.job, found.units);
    handle.cancel();
    return handle.finished;
  });
  printResult(output, flags.json, job, () => [lineOf(job)]);
}

async function withHub<T>(
  flags: JobsFlags,
  act: (swarm: Awaited<ReturnType<typeof connect>>) => Promise<T>,
): Promise<T> {
  const swarm = await connect(flags.hub, { data: flags.data });
  try {
    return await act(swarm);
  } finally {
    swarm.close();
  }
}

function findJob(jobs: readonly JobRow[], id: string): JobRow {
  const found = jobs.filter((job) => job.job.startsWith(id));
  const [only] = found;
  if (only === undefined) throw new InputError(`no job ${id} at this hub; tabswarm jobs lists them`);
  if (found.length > 1) throw new InputError(`${found.length} jobs begin with ${id}; give more of it`);
  return only;
}

const lineOf = (job: JobRow): string =>
  `${job.job.slice(0, 12)}  ${job.state.padEnd(9)} ${job.program.padEnd(8)} ${job.accepted}/${job.units} units  ` +
  `${job.attempts} attempts  ${job.disagreements} disagreements  ${job.name}${job.reason === null ? '' : `  (${job.reason})`}`;
