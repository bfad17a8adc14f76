#!/usr/bin/env node
/**
 * The `tabswarm` command on a machine that may hold nothing but Node: installs the packages, builds what changed, then
 * hands its arguments to the command line in `cli.ts`. Plain JavaScript, because it runs before anything is built.
 */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkNodeVersion, ensureBuilt, ensureInstalled, PrepareError, root, tell } from './prepare.mjs';

const command = process.argv[2];

try {
  checkNodeVersion();
  await ensureInstalled();
  // The liar's build is for the demo alone; `build` makes everything and runs nothing.
  await ensureBuilt(command === 'demo' || command === 'build' ? undefined : ['site', 'node']);
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  tell(error.message);
  process.exit(1);
}
if (command !== 'build') {
  // Benchmarks and the conformance run are built with the command line and stay outside of it: they are for this
  // repository only.
  const own = command === 'bench' || command === 'conformance' ? command : undefined;
  if (own !== undefined) process.argv.splice(2, 1);
  await import(pathToFileURL(join(root, 'dist', 'node', `${own ?? 'cli'}.js`)).href);
}
