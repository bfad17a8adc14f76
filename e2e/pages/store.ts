/** A page under test: the stores' acceptance suites on its own IndexedDB, and the account key that its tabs share. */

import { loadAccountKey } from '../../src/adapters/crypto/browser-keys.ts';
import { accountIdOf, createIdentity, verifySignature } from '../../src/adapters/crypto/identity.ts';
import { sha256Large } from '../../src/adapters/crypto/sha256-large.ts';
import { cappedChunksAcceptance, chunksAcceptance } from '../../src/adapters/store/chunks-acceptance.ts';
import { openIndexedDbChunks } from '../../src/adapters/store/indexeddb-chunks.ts';
import { openIndexedDbStore } from '../../src/adapters/store/indexeddb-store.ts';
import { storeAcceptance, type AcceptanceCase } from '../../src/adapters/store/store-acceptance.ts';
import { fromHex } from '../../src/core/bytes.ts';

let names = 0;
const digestBytes = sha256Large;

function placeOf<T>(open: (name: string) => Promise<T>): () => Promise<{ open: () => Promise<T> }> {
  return async () => {
    const name = `acceptance-${names++}`;
    return { open: () => open(name) };
  };
}

const suites: Readonly<Record<string, readonly AcceptanceCase[]>> = {
  log: storeAcceptance(placeOf(openIndexedDbStore)),
  chunks: chunksAcceptance(placeOf((name) => openIndexedDbChunks({ digestBytes, name }))),
  'chunks under a cap': cappedChunksAcceptance(
    placeOf((name) => openIndexedDbChunks({ digestBytes, name, bytesMax: 1000 })),
  ),
};

const storePage = {
  /** Each case's title with what broke it, or null. */
  async run(suite: string): Promise<readonly (readonly [string, string | null])[]> {
    const outcomes: [string, string | null][] = [];
    for (const { title, run } of suites[suite] ?? []) {
      outcomes.push([title, await run().then(() => null, String)]);
    }
    return outcomes;
  },

  /** Appends so many facts, one after another or all at once; appends per second. */
  async measure(count: number, together: boolean): Promise<number> {
    const store = await openIndexedDbStore(`measure-${names++}`);
    const epoch = await store.claim('a');
    const append = (n: number): Promise<void> => store.append([{ stream: 'a', epoch, fact: n, unique: `${n}` }]);
    const start = performance.now();
    if (together) await Promise.all(Array.from({ length: count }, (_, n) => append(n)));
    else for (let n = 0; n < count; n++) await append(n);
    const seconds = (performance.now() - start) / 1000;
    await store.close();
    return Math.round(count / seconds);
  },

  /** Appends until the page ends, and tells the test each number that was acknowledged. */
  async appendForEver(): Promise<void> {
    const store = await openIndexedDbStore('for-ever');
    const epoch = await store.claim('a');
    for (let n = 0; ; n++) {
      await store.append([{ stream: 'a', epoch, fact: n }]);
      console.log(`acknowledged ${n}`);
    }
  },

  async readAll(): Promise<readonly unknown[]> {
    const store = await openIndexedDbStore('for-ever');
    const { facts } = await store.load('a');
    await store.close();
    return facts;
  },

  async account(): Promise<{ account: string; kind: string; readable: boolean; vouched: boolean }> {
    const key = await loadAccountKey();
    const { account, session, sessionSignature } = await createIdentity({ accountKey: key });
    const { stored } = key;
    return {
      account: accountIdOf(key),
      kind: stored.kind,
      readable: stored.kind === 'noble' || stored.privateKey.extractable,
      vouched: await verifySignature(account, 'session', fromHex(session), sessionSignature),
    };
  },
};

declare global {
  interface Window {
    storePage: typeof storePage;
  }
}
window.storePage = storePage;
