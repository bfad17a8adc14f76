/** No store takes bytes under a name that is not theirs. */

import type { Digest } from '../../core/ids.ts';
import { ChunkCorruptError, type DigestBytes } from '../../protocol/ports.ts';

/** Throws `ChunkCorruptError` unless the bytes' SHA-256 is `digest`. */
export async function checkDigest(digestBytes: DigestBytes, digest: Digest, bytes: Uint8Array): Promise<void> {
  const found = await digestBytes(bytes);
  if (found !== digest) {
    throw new ChunkCorruptError(`chunk ${digest}: its ${bytes.byteLength} bytes have the digest ${found}`);
  }
}
