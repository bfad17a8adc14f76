/**
 * Bytes that lie somewhere else and are read range by range: a file, a URL, a file chosen in the page. Readers of weight
 * files see nothing else, so that no file must fit into memory. The walls implement it (`node/file-source.ts`,
 * `adapters/source`); here is the one that needs no platform.
 */

import { assert } from './assert.ts';
import { copyBytes, type Bytes } from './bytes.ts';

export interface ByteSource {
  /** What a person calls it: a path or a URL; every problem's line begins with it. */
  readonly name: string;
  /** Its length. */
  readonly bytes: number;
  /** The bytes from `start` to before `end`, in memory of their own. Rejects with an `InputError` that names the source. */
  read(start: number, end: number): Promise<Bytes>;
}

export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    bytes: bytes.byteLength,
    read: async (start, end) => {
      assertRange({ name, bytes: bytes.byteLength }, start, end);
      return copyBytes(bytes.subarray(start, end));
    },
  };
}

/** Readers ask only for ranges that they have checked. */
export function assertRange({ name, bytes }: Pick<ByteSource, 'name' | 'bytes'>, start: number, end: number): void {
  const within = Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= bytes;
  assert(within, `${name}: bytes ${start} to ${end} asked of ${bytes}`);
}
