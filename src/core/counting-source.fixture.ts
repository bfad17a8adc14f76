/** A source that remembers what was read of it, and one of zeros that nobody stored: large files without files. */

import type { ByteSource } from './byte-source.ts';
import type { Bytes } from './bytes.ts';

export interface CountedRead {
  readonly start: number;
  readonly end: number;
}

export interface CountingSource extends ByteSource {
  readonly reads: readonly CountedRead[];
  /** Bytes that were read again, whole ranges or parts of them. */
  readTwice(): number;
}

/** `onRead` sees each range when its bytes are there. */
export function countingSource(source: ByteSource, onRead: (bytes: Bytes) => void = () => {}): CountingSource {
  const reads: CountedRead[] = [];
  return {
    name: source.name,
    bytes: source.bytes,
    reads,
    read: async (start, end) => {
      reads.push({ start, end });
      const bytes = await source.read(start, end);
      onRead(bytes);
      return bytes;
    },
    readTwice: () => {
      let twice = 0;
      let done = 0;
      for (const { start, end } of reads.toSorted((a, b) => a.start - b.start)) {
        twice += Math.max(0, Math.min(end, done) - start);
        done = Math.max(done, end);
      }
      return twice;
    },
  };
}

/** `head`, then zeros. */
export function sparseSource(name: string, bytes: number, head = new Uint8Array()): ByteSource {
  return {
    name,
    bytes,
    read: async (start, end) => {
      const made = new Uint8Array(end - start);
      if (start < head.length) made.set(head.subarray(start, end));
      return made;
    },
  };
}
