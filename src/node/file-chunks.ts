/**
 * Chunks as files under `--data/chunks`: 256 folders by the digest's first byte. A file appears by a rename, so it is
 * whole or absent also after a kill; what a disk spoiled is noticed when it is read and counts as missing. Written data
 * is left to the system to flush: it survives the process's death, not the machine's.
 */

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes } from '../core/bytes.ts';
import { isDigest, type Digest } from '../core/ids.ts';
import { ChunkCorruptError, ChunkQuotaError, type ChunkStore, type DigestBytes } from '../protocol/ports.ts';
import { isSystemError } from './system-error.ts';

export interface FileChunksOptions {
  readonly folder: string;
  readonly digestBytes: DigestBytes;
}

/** The chunks of this folder, which is made where it is missing and belongs to one process. */
export async function openFileChunks({ folder, digestBytes }: FileChunksOptions): Promise<ChunkStore> {
  const temporary = join(folder, 'incoming');
  // What a killed process was writing is of no use to anybody.
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const sizes = await scan(folder);
  const counted = { bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0) };
  let writes = 0;

  async function remove(digest: Digest): Promise<void> {
    counted.bytes -= sizes.get(digest) ?? 0;
    sizes.delete(digest);
    await rm(pathOf(folder, digest), { force: true });
  }

  return {
    has: async (digest) => sizes.has(digest),
    get: async (digest) => {
      const bytes = sizes.has(digest) ? await readIfThere(pathOf(folder, digest)) : undefined;
      if (bytes !== undefined && (await digestBytes(bytes)) === digest) return bytes;
      if (sizes.has(digest)) await remove(digest);
      return undefined;
    },
    put: async (digest, bytes) => {
      const found = await digestBytes(bytes);
      if (found !== digest) throw new ChunkCorruptError(`chunk ${digest}: its bytes have the digest ${found}`);
      if (sizes.has(digest)) return;
      const incoming = join(temporary, `${digest}.${writes++}`);
      try {
        await writeFile(incoming, bytes);
        await mkdir(join(folder, digest.slice(0, 2)), { recursive: true });
        await rename(incoming, pathOf(folder, digest));
      } catch (error) {
        await rm(incoming, { force: true });
        throw asQuotaError(error, folder, bytes.byteLength);
      }
      if (!sizes.has(digest)) counted.bytes += bytes.byteLength;
      sizes.set(digest, bytes.byteLength);
    },
    delete: remove,
    usage: async () => ({ chunks: sizes.size, bytes: counted.bytes }),
    close: async () => undefined,
  };
}

const pathOf = (folder: string, digest: Digest): string => join(folder, digest.slice(0, 2), digest);

/** The size of every chunk that lies in the folder. */
async function scan(folder: string): Promise<Map<Digest, number>> {
  const sizes = new Map<Digest, number>();
  for (const shard of await readdir(folder)) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue;
    for (const file of await readdir(join(folder, shard))) {
      if (isDigest(file) && file.startsWith(shard)) sizes.set(file, (await stat(join(folder, shard, file))).size);
    }
  }
  return sizes;
}

async function readIfThere(path: string): Promise<Bytes | undefined> {
  try {
    const bytes = await readFile(path);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function asQuotaError(error: unknown, folder: string, bytes: number): unknown {
  if (!isSystemError(error, 'ENOSPC', 'EDQUOT')) return error;
  return new ChunkQuotaError(`no room for ${bytes} bytes in ${folder}: the disk is full; free space or move --data`);
}
