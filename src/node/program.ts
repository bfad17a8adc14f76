/**
 * The command line `tabswarm`: its commands, each registered by a file in `commands/`, and how all of them fail. A new
 * command is a file there that exports `register(program, output)` and a line in the list below.
 */

import { Command, CommanderError } from 'commander';
import { version } from '../../package.json';
import * as apiKeys from './commands/api-keys.ts';
import * as demo from './commands/demo.ts';
import * as doctor from './commands/doctor.ts';
import * as evaluate from './commands/evaluate.ts';
import * as generate from './commands/generate.ts';
import * as hub from './commands/hub.ts';
import * as jobs from './commands/jobs.ts';
import * as keys from './commands/keys.ts';
import * as ledger from './commands/ledger.ts';
import * as serve from './commands/serve.ts';
import * as signal from './commands/signal.ts';
import * as sim from './commands/sim.ts';
import * as submit from './commands/submit.ts';
import * as train from './commands/train.ts';
import * as volunteer from './commands/volunteer.ts';
import { consoleOutput, explainError, type Output } from './output.ts';

/** In the order of the help. */
const commands: readonly { register(program: Command, output: Output): void }[] = [
  hub,
  volunteer,
  submit,
  train,
  generate,
  serve,
  evaluate,
  jobs,
  signal,
  sim,
  keys,
  apiKeys,
  ledger,
  doctor,
  demo,
];

/** The program with every command. It throws `CommanderError` where commander would end the process. */
export function createProgram(output: Output): Command {
  const program = new Command('tabswarm')
    .description('a volunteer compute network that lives in browser tabs')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.result(text.trimEnd()),
      writeErr: (text) => output.progress(text.trimEnd()),
      // Commander puts its guess at what was meant on a second line.
      outputError: (text, write) => write(text.trim().replaceAll(/\s*\n\s*/g, ' ')),
    });
  for (const command of commands) command.register(program, output);
  return program;
}

/** Runs one command line, without the program's own name; the exit code. */
export async function runProgram(words: readonly string[], output: Output = consoleOutput): Promise<number> {
  try {
    await createProgram(output).parseAsync(words, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has written its line already; the help of nothing at all and a wrong option are bad usage alike.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { line, exitCode } = explainError(error);
    output.progress(`error: ${line}`);
    if (process.env['TABSWARM_DEBUG'] !== undefined && error instanceof Error) output.progress(error.stack ?? '');
    return exitCode;
  }
}
