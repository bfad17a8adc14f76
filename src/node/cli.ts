/** The process around the command line: arguments in, exit code out, and quiet when a pipe like `| head` closes. */

import { runProgram } from './program.ts';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

// Set, not called: what was written is flushed before the process ends by itself.
process.exitCode = await runProgram(process.argv.slice(2));
