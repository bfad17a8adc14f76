/** An artifact: named content-addressed bytes, cut into chunks of at most 1 MiB. Its list of leaves travels in signed manifests. */

import { chunkBytesMax, leasesPerMessageMax } from '../core/limits.ts';
import { digest, v, whole } from '../core/schema.ts';
import { problem, ok, type Result } from '../core/result.ts';

export const artifactSchema = v.strictObject({
  /** Size of the whole in bytes. */
  bytes: whole(0, 2 ** 40),
  /** SHA-256 of each chunk in order; every chunk but the last has `chunkBytesMax` bytes. */
  chunks: v.array(digest),
});

export type Artifact = v.InferOutput<typeof artifactSchema>;

/** An artifact whose number of leaves fits its size. */
export function checkArtifact(artifact: Artifact, where: string): Result<Artifact> {
  const expected = Math.ceil(artifact.bytes / chunkBytesMax);
  if (artifact.chunks.length === expected) return ok(artifact);
  return problem(
    'artifact',
    `${where}: ${artifact.bytes} bytes need ${expected} chunks, not ${artifact.chunks.length}`,
  );
}

/** Which chunks hold the bytes from `start` to `end`. */
export function chunksOfRange(start: number, end: number): { readonly first: number; readonly last: number } {
  return { first: Math.floor(start / chunkBytesMax), last: Math.max(0, Math.ceil(end / chunkBytesMax) - 1) };
}

/** Digests asked for in one message: as many as leases, for the same reason. */
export const digestsPerMessageMax = leasesPerMessageMax * 4;
