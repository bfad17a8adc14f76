/**
 * The thread in which a person's verifier runs: it loads their module, and answers one question after another. Whatever
 * goes wrong in it becomes an answer, save a function that never ends; `verifier.ts` ends the thread then. Plain
 * JavaScript, because it runs as it stands, from the sources and from the built command line alike.
 */

import { parentPort, workerData } from 'node:worker_threads';

/** @param {unknown} error */
const textOf = (error) =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).split('\n', 1)[0];

/** @param {object} what */
const say = (what) => parentPort?.postMessage(what, []);

/** @type {(problem: unknown, text: string) => unknown} */
let verify = () => false;
try {
  const loaded = await import(workerData.url);
  if (typeof loaded.default === 'function') {
    verify = loaded.default;
    say({ ready: true });
  } else {
    say({
      problem: 'has no default export that is a function: export default (problem, text) => ...',
    });
  }
} catch (error) {
  say({ problem: `cannot be loaded: ${textOf(error)}` });
}

parentPort?.on('message', async ({ problem, text }) => {
  try {
    const score = await verify(problem, text);
    const isScore = typeof score === 'boolean' || (typeof score === 'number' && Number.isFinite(score));
    say(
      isScore
        ? { score }
        : {
            problem: `gave ${typeof score === 'number' ? score : typeof score}, expected true, false or a finite number`,
          },
    );
  } catch (error) {
    say({ problem: `threw ${textOf(error)}` });
  }
});
