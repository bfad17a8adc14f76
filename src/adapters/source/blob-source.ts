/** A file that a person chose in the page as a source of bytes; the browser reads it from the disk range by range. */

import { assertRange, type ByteSource } from '../../core/byte-source.ts';
import { InputError } from '../../core/result.ts';

export function blobSource(name: string, blob: Blob): ByteSource {
  const bytes = blob.size;
  return {
    name,
    bytes,
    read: async (start, end) => {
      assertRange({ name, bytes }, start, end);
      try {
        return new Uint8Array(await blob.slice(start, end).arrayBuffer());
      } catch (error) {
        // What browsers throw (`NotReadableError`) says nothing of the usual reason.
        const why = error instanceof Error ? error.message : String(error);
        throw new InputError(`${name}: cannot be read (${why}); was it changed or moved? choose it again`);
      }
    },
  };
}
