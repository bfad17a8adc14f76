/**
 * An artifact of the swarm as a source of bytes, so that a weight file that travels in chunks is read like one on a disk:
 * who reads a range fetches only the chunks that hold it.
 */

import { assertRange, type ByteSource } from '../../core/byte-source.ts';
import { copyBytes } from '../../core/bytes.ts';
import type { Artifact } from '../../protocol/artifact.ts';
import type { Chunks } from '../../protocol/ports.ts';

/** `name` is what problems' lines begin with. */
export const artifactSource = (name: string, chunks: Pick<Chunks, 'readRange'>, artifact: Artifact): ByteSource => ({
  name,
  bytes: artifact.bytes,
  read: async (start, end) => {
    assertRange({ name, bytes: artifact.bytes }, start, end);
    // The chunks' owner may keep what it gave.
    return copyBytes(await chunks.readRange(artifact, start, end));
  },
});
