/** What the demo trains on: a file that was named, else the repository's own documentation and source. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readInput } from '../read-input.ts';

/** Enough that the small model never sees a text twice, little enough to travel in a moment. */
const textBytesMax = 400_000;

export async function demoText(root: string, path: string | undefined): Promise<Uint8Array> {
  if (path !== undefined) return readInput(path);
  const files = [...(await filesUnder(root, 'docs', '.md')), 'README.md', ...(await filesUnder(root, 'src', '.ts'))];
  const parts: Buffer[] = [];
  let bytes = 0;
  for (const file of files) {
    if (bytes >= textBytesMax) break;
    const part = await readFile(join(root, file));
    parts.push(part);
    bytes += part.byteLength;
  }
  return Buffer.concat(parts).subarray(0, textBytesMax);
}

/** In a fixed order, so that the same checkout trains on the same text. */
async function filesUnder(root: string, folder: string, ending: string): Promise<string[]> {
  const names = await readdir(join(root, folder), { recursive: true });
  return names
    .filter((name) => name.endsWith(ending) && !name.includes('.test.'))
    .toSorted()
    .map((name) => join(folder, name));
}
