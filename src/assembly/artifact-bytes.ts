/** Artifacts into a chunk store and out of it. */

import { concat, type Bytes } from '../core/bytes.ts';
import type { Artifact } from '../protocol/artifact.ts';
import type { ChunkStore, DigestBytes } from '../protocol/ports.ts';
import { createChunkCutter } from './job.ts';

export async function storeArtifact(bytes: Uint8Array, chunks: ChunkStore, digestOf: DigestBytes): Promise<Artifact> {
  const cutter = createChunkCutter(digestOf);
  const artifact = await cutter.artifactOf(bytes);
  for (const [digest, chunk] of cutter.chunks) await chunks.put(digest, chunk);
  return artifact;
}

/** The artifact's bytes; throws with the digest of the first chunk that the store lacks. */
export async function loadArtifact(artifact: Artifact, chunks: ChunkStore): Promise<Bytes> {
  const parts: Bytes[] = [];
  for (const digest of artifact.chunks) {
    const part = await chunks.get(digest);
    if (part === undefined) throw new Error(`chunk ${digest} of an artifact is missing from the store`);
    parts.push(part);
  }
  return concat(...parts);
}
