#!/usr/bin/env node
/**
 * The `tabswarm` command on a machine that may hold nothing but Node: installs the packages, builds what changed, then
 * hands its arguments to the command line in `cli.ts`. Plain JavaScript, because it runs before anything is built.
 */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkNodeVersion, ensureBuilt, ensureInstalled, PrepareError, root, tell } from './prepare.mjs';

try {
  checkNodeVersion();
  await ensureInstalled();
  await ensureBuilt();
} catch (error) {
  if (!(error instanceof PrepareError)) throw error;
  tell(error.message);
  process.exit(1);
}
await import(pathToFileURL(join(root, 'dist', 'node', 'cli.js')).href);
