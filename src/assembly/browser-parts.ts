/** What every shell in a browser hands to the assemblies: keys, digests, time, chunks, and how to reach a hub. */

import { systemClock } from '../adapters/clock/system-clock.ts';
import { loadAccountKey } from '../adapters/crypto/browser-keys.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { openIndexedDbChunks } from '../adapters/store/indexeddb-chunks.ts';
import type { Identity } from '../protocol/identity.ts';
import type { ChunkStore } from '../protocol/ports.ts';

export const browserIdentity = async (): Promise<Identity> => createIdentity({ accountKey: await loadAccountKey() });

export const browserParts = {
  clock: systemClock,
  verify: verifySignature,
  digestOf: sha256Large,
  unixSeconds: () => Math.floor(Date.now() / 1000),
  randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
} as const;

/** A volunteer's cache may forget what it used least; a host's store may not. */
const cacheBytesMax = 2 * 1024 ** 3;

/** Chunks of this browser profile: a volunteer's and submitter's cache, or a host's store. */
export const browserChunks = (name: 'cache' | 'host'): Promise<ChunkStore> =>
  openIndexedDbChunks({
    name: `tabswarm-${name}`,
    digestBytes: sha256Large,
    ...(name === 'cache' ? { bytesMax: cacheBytesMax } : {}),
  });
