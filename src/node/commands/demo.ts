/** `tabswarm demo` and `npm run demo`: the whole system on this machine, in a minute or a few. */

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MultiBar, type SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { runDemo, type DemoProgress } from '../demo/demo.ts';
import { fullDemo, quickDemo } from '../demo/demo-jobs.ts';
import type { DemoSummary } from '../demo/demo-summary.ts';
import { openLocalSwarm, type LocalSwarm } from '../local-swarm.ts';
import { printResult, WorkFailedError, type Output } from '../output.ts';
import { connect } from '../sdk.ts';

interface DemoFlags {
  readonly quick: boolean;
  readonly json: boolean;
  readonly show: boolean;
  readonly text?: string;
  readonly out: string;
}

export function register(program: Command, output: Output): void {
  program
    .command('demo')
    .description('a hub, four honest tabs and a liar on this machine do all three kinds of work')
    .option('--quick', 'the small sizes: within 90 s on two cores without a GPU', false)
    .option('--json', 'print the summary as one JSON object', false)
    .option('--show', 'open the dashboard and the tabs in windows, to watch', false)
    .option('--text <file>', 'what to train on; this repository’s own text where it is left out')
    .option('--out <folder>', 'where pictures, plot, text and summary.json go', 'demo-out')
    .action((flags: DemoFlags) => run(flags, output));
}

async function run(flags: DemoFlags, output: Output): Promise<void> {
  const started = performance.now();
  const bars = progressBars(output);
  output.progress('opening a hub, four honest tabs and a liar');
  const local = await openLocalSwarm({ tabs: 4, liar: true, headless: !flags.show, report: output.progress });
  if (flags.show) await openDashboard(local);
  let summary: DemoSummary;
  try {
    const swarm = await connect(local.server.url, { data: join(local.data, 'submitter') });
    try {
      summary = await runDemo({
        root: repositoryRoot(),
        out: flags.out,
        size: flags.quick ? quickDemo : fullDemo,
        text: flags.text,
        local,
        swarm,
        progress: bars.progress,
        started,
      });
    } finally {
      swarm.close();
    }
  } finally {
    bars.stop();
    await local.close();
  }
  printResult(output, flags.json, summary, () => told(summary, flags.out));
  if (!summary.ok) throw new WorkFailedError(`the demo went wrong: ${summary.problems.join('; ')}`);
}

/** A window beside the tabs that shows what the hub does. */
async function openDashboard(local: LocalSwarm): Promise<void> {
  const page = await local.tabs.browser.newPage();
  await page.goto(`${local.server.url}/#/swarm`);
}

const told = ({ shader, train, generate, seconds }: DemoSummary, out: string): string[] => [
  `shader job: ${shader.accepted} of ${shader.units} tiles accepted, ${shader.disagreements} disagreements, liar ${shader.liarExcluded ? 'excluded' : 'NOT excluded'}`,
  `training: validation loss ${train.startValidationLoss?.toFixed(3)} -> ${train.validationLoss?.toFixed(3)}, ${train.bytesSent} bytes sent (f32 data-parallel: ${train.bytesDense})`,
  `text: ${generate.samples.length} samples, e.g. ${JSON.stringify(`${generate.prompt}${generate.samples[0]?.text ?? ''}`)}`,
  `${seconds.toFixed(0)} s; ${join(out, 'render.png')}, ${join(out, 'run', 'loss.svg')}, ${join(out, 'generated.txt')} and ${join(out, 'summary.json')}`,
];

/** Bars on a terminal, lines elsewhere; always on standard error. */
function progressBars(output: Output): { progress: DemoProgress; stop: () => void } {
  if (!process.stderr.isTTY) {
    return {
      stop: () => {},
      progress: {
        line: output.progress,
        stage: (name, total) => (done, note) => output.progress(`${name}: ${done} of ${total} ${note}`.trimEnd()),
      },
    };
  }
  const bars = new MultiBar({
    format: '{name} {bar} {value}/{total} {note}',
    stream: process.stderr,
    hideCursor: true,
  });
  return {
    stop: () => bars.stop(),
    progress: {
      line: (text) => bars.log(`${text}\n`),
      stage: (name, total) => {
        const bar: SingleBar = bars.create(total, 0, { name: name.padEnd(9), note: '' });
        return (done, note) => bar.update(done, { note });
      },
    },
  };
}

/** The folder that holds `examples` and `docs`: two above the built command line. */
const repositoryRoot = (): string => join(dirname(fileURLToPath(import.meta.url)), '..', '..');
