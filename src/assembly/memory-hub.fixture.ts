/** For tests: a hub over memory links whose process can be killed and started again with what its store kept. */

import { systemClock } from '../adapters/clock/system-clock.ts';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import { createMemoryStore } from '../adapters/store/memory-store.ts';
import { createMemoryLinks } from '../adapters/net/memory-link.ts';
import { createRandom } from '../core/prng.ts';
import { LinkClosedError, type ChunkStore, type Link } from '../protocol/ports.ts';
import type { Verify } from '../protocol/identity.ts';
import { startHub, type RunningHub } from './hub.ts';

export interface MemoryHub {
  /** What the hub stores, which survives its death. */
  readonly chunks: ChunkStore;
  /** The lines that it reported. */
  readonly reports: readonly string[];
  dial(): Link;
  running(): RunningHub;
  /** Links break; nothing is saved beyond what the store has. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function createMemoryHub({ verify = verifySignature }: { verify?: Verify } = {}): Promise<MemoryHub> {
  const accountKey = await (await ed25519()).generate();
  const store = createMemoryStore();
  const chunks = createMemoryChunks({ digestBytes: sha256Large });
  const reports: string[] = [];
  let accept: ((link: Link) => void) | undefined;
  let hub: RunningHub | undefined;
  let ends: Link[] = [];

  const start = async (): Promise<void> => {
    hub = await startHub({
      identity: await createIdentity({ accountKey }),
      verify,
      digestOf: sha256Large,
      store,
      chunks,
      listeners: [
        {
          onLink: (take) => {
            accept = take;
          },
          close: async () => {
            accept = undefined;
          },
        },
      ],
      clock: systemClock,
      random: createRandom(1),
      unixSeconds: () => Math.floor(Date.now() / 1000),
      report: (line) => reports.push(line),
    });
  };
  const kill = async (): Promise<void> => {
    accept = undefined;
    for (const end of ends) end.close('killed');
    ends = [];
    await hub?.close();
    hub = undefined;
  };
  await start();
  return {
    chunks,
    reports,
    start,
    kill,
    running: () => {
      if (hub === undefined) throw new Error('the hub is down');
      return hub;
    },
    dial: () => {
      if (accept === undefined) throw new LinkClosedError('the hub is down');
      const [near, far] = createMemoryLinks();
      ends.push(far);
      accept(far);
      return near;
    },
    close: kill,
  };
}
