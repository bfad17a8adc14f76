/** Files that people name on the command line or in job files: their bytes, or one line that says which is missing. */

import { readFile } from 'node:fs/promises';
import { InputError } from '../core/result.ts';
import { isSystemError } from './system-error.ts';

export async function readInput(path: string): Promise<Buffer<ArrayBuffer>> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) throw new InputError(`${path}: no such file`);
    if (isSystemError(error, 'EISDIR')) throw new InputError(`${path}: is a folder, a file was expected`);
    throw new InputError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
