/** The process around the command line: arguments in, exit code out, and quiet when a pipe like `| head` closes. */

import { releaseRtc } from './net/rtc-globals.ts';
import { runProgram } from './program.ts';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

const exitCode = await runProgram(process.argv.slice(2));
// What was written reaches the pipe before the process ends. It must be ended: the signalling server's housekeeping
// timers cannot be stopped, and native WebRTC threads abort a process that just runs out.
for (const stream of [process.stdout, process.stderr])
  await new Promise<void>((flushed) => stream.write('', () => flushed()));
await releaseRtc();
process.exit(exitCode);
