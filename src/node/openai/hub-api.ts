/**
 * The hub's own use of itself: a link in memory over which it asks the models that it serves, as anybody does over a socket,
 * and OpenAI's API on top. The link is made for the first request; before that it costs nothing.
 */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../../adapters/clock/system-clock.ts';
import type { SigningKey } from '../../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../../adapters/crypto/identity.ts';
import { sha256Large } from '../../adapters/crypto/sha256-large.ts';
import { createMemoryListener } from '../../adapters/net/memory-link.ts';
import { openSwarm, type Swarm } from '../../assembly/swarm.ts';
import type { PeerId } from '../../core/ids.ts';
import type { ChunkStore, Listener } from '../../protocol/ports.ts';
import type { HttpRoute } from '../http-server.ts';
import { sendError, serverError } from './api-error.ts';
import { createKeyRing } from './api-keys.ts';
import { openReceipts } from './receipts.ts';
import { createOpenAiHandler } from './routes.ts';

export interface HubApiParts {
  readonly data: string;
  readonly accountKey: SigningKey;
  /** The hub that the link must lead to. */
  readonly hub: PeerId;
  /** The hub's: what it has need not be sent to itself. */
  readonly chunks: ChunkStore;
  /** Hashes of the keys in the operator's own file. */
  readonly ownKeys?: ReadonlySet<string>;
  readonly report: (line: string) => void;
}

export interface HubApi {
  /** The hub listens here for its own link. */
  readonly listener: Listener;
  readonly route: HttpRoute;
  /** A submitter with the hub's account. */
  swarm(): Promise<Swarm>;
  /** Whether requests need a key, as things stand. */
  hasKeys(): Promise<boolean>;
  close(): Promise<void>;
}

const unixSeconds = (): number => Math.floor(Date.now() / 1000);

export function createHubApi(parts: HubApiParts): HubApi {
  const listener = createMemoryListener({ names: ['the hub itself', 'the hub itself'] });
  const keys = createKeyRing(parts.data, parts.ownKeys);

  const connect = async (): Promise<Swarm> =>
    openSwarm({
      identity: await createIdentity({ accountKey: parts.accountKey }),
      verify: verifySignature,
      digestOf: sha256Large,
      clock: systemClock,
      chunks: parts.chunks,
      dial: async () => ({ link: listener.dial(), expect: { peer: parts.hub } }),
      randomBytes,
      unixSeconds,
    });
  const swarm = onceUntilItFails(connect);

  const handler = onceUntilItFails(async () => {
    const { submitter } = await swarm.get();
    return createOpenAiHandler({
      answering: submitter.answering,
      read: (artifact) => submitter.read(artifact),
      keys,
      receipts: await openReceipts(join(parts.data, 'receipts')),
      unixSeconds,
      report: parts.report,
    });
  });

  return {
    listener,
    route: {
      path: '/v1',
      handle: (request, response) => {
        handler.get().then(
          (handle) => handle(request, response),
          (error: unknown) => {
            parts.report(`api: ${error instanceof Error ? error.message : String(error)}`);
            sendError(response, serverError('The hub is not ready to answer; ask again', 503));
          },
        );
      },
    },
    swarm: swarm.get,
    hasKeys: keys.hasKeys,
    close: async () => {
      (await swarm.made()?.catch(() => undefined))?.close();
      await listener.close();
    },
  };
}

/** Made when it is first asked for; after a failure the next one who asks tries again. */
function onceUntilItFails<T>(make: () => Promise<T>): { get(): Promise<T>; made(): Promise<T> | undefined } {
  let made: Promise<T> | undefined;
  return {
    get: () => {
      if (made !== undefined) return made;
      made = make();
      made.catch(() => (made = undefined));
      return made;
    },
    made: () => made,
  };
}
