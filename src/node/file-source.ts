/** A file on this machine as a source of bytes: opened once, read range by range, closed by whoever opened it. */

import { open, type FileHandle } from 'node:fs/promises';
import { assertRange, type ByteSource } from '../core/byte-source.ts';
import { InputError } from '../core/result.ts';
import { isSystemError } from './system-error.ts';

export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

/** Throws an `InputError` where there is no such file, or it is a folder. */
export async function openFileSource(path: string): Promise<FileSource> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) throw new InputError(`${path}: no such file`);
    throw unreadable(path, error);
  });
  try {
    const found = await handle.stat();
    if (found.isDirectory()) throw new InputError(`${path}: is a folder, a file was expected`);
    return sourceOf(path, found.size, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function sourceOf(name: string, bytes: number, handle: FileHandle): FileSource {
  return {
    name,
    bytes,
    read: async (start, end) => {
      assertRange({ name, bytes }, start, end);
      const range = new Uint8Array(end - start);
      let done = 0;
      while (done < range.byteLength) {
        const { bytesRead } = await handle
          .read(range, done, range.byteLength - done, start + done)
          .catch((error: unknown) => {
            throw unreadable(name, error);
          });
        if (bytesRead === 0)
          throw new InputError(`${name}: became shorter while it was read; give it again when it is whole`);
        done += bytesRead;
      }
      return range;
    },
    close: () => handle.close(),
  };
}

const unreadable = (path: string, error: unknown): InputError =>
  new InputError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
