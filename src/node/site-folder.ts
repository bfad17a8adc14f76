/** Where the built site lies: beside the built command line, whichever of its files the bundler put this into. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../core/result.ts';

/** `dist/site`, or `dist/site-demo` with the liar in it; an `InputError` where it was not built. */
export function siteFolder(kind: 'site' | 'site-demo' = 'site'): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const places = [join(here, '..', kind), join(here, '..', '..', kind), join(here, '..', '..', 'dist', kind)];
  const folder = places.find((one) => existsSync(join(one, 'index.html')));
  if (folder === undefined) throw new InputError(`the site is not built (dist/${kind}): run npm run build`);
  return folder;
}
