/** `tabswarm sim`: the real coordinator among simulated volunteers, in simulated time; a failure prints how to replay it. */

import { InvalidArgumentError, type Command } from 'commander';
import { expectInput } from '../../core/result.ts';
import { scenarios } from '../../sim/scenarios.ts';
import { simCommand, type SimCommandReport } from '../../sim/sim-command.ts';
import { printResult, WorkFailedError, type Output } from '../output.ts';

interface SimFlags {
  readonly volunteers?: number;
  readonly units?: number;
  readonly seed: number;
  readonly scenario?: string;
  readonly trace: boolean;
  readonly json: boolean;
}

export function register(program: Command, output: Output): void {
  program
    .command('sim')
    .description('run the coordinator in simulated time, checking its promises after every event')
    .option('--volunteers <number>', 'how many; the scenario says otherwise', whole)
    .option('--units <number>', 'how many; the scenario says otherwise', whole)
    .option('--seed <number>', 'the same seed gives the same run, event by event', whole, 1)
    .option('--scenario <name>', `one of ${[...scenarios.keys()].join(', ')}`)
    .option('--trace', 'tell every event on standard error', false)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', `\nScenarios:\n${[...scenarios.values()].map(storyOf).join('\n')}`)
    .action((flags: SimFlags) => run(flags, output));
}

function run({ trace, json, ...options }: SimFlags, output: Output): void {
  const milliseconds = (): number => performance.now();
  const report = expectInput(simCommand(options, milliseconds, trace ? (line) => output.progress(line) : undefined));
  printResult(output, json, report, () => linesOf(report));
  if (report.invariants !== 'held') throw new WorkFailedError(report.invariants);
}

function linesOf(report: SimCommandReport): readonly string[] {
  const virtual = report.virtualSeconds.toFixed(1);
  return [
    `${report.scenario}, seed ${report.seed}: ${report.volunteers} volunteers, ${report.units} units`,
    `accepted ${report.accepted}, wrongly accepted ${report.wrongAccepted}; ` +
      `${report.replicationOverhead} attempts for each; hub crashes ${report.crashes}`,
    `${virtual} s simulated, ${report.makespanOverBound} times the best possible; utilisation ${report.utilisation}`,
    `${report.events} events in ${report.wallSeconds} s (${report.eventsPerSecond} events/s); invariants ${report.invariants}`,
  ];
}

const storyOf = ({ name, story }: { readonly name: string; readonly story: string }): string =>
  `  ${name.padEnd(16)}${story}`;

/** Its bounds are the simulation's to check. */
function whole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number');
}
