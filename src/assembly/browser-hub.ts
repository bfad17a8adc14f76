/** A hub in a tab: the same coordinator as in Node, with IndexedDB for its log and chunks, reached over WebRTC only. */

import { loadAccountKey, loadHostSessionKey } from '../adapters/crypto/browser-keys.ts';
import { createIdentity } from '../adapters/crypto/identity.ts';
import { openPeerListener } from '../adapters/net/peer-link.ts';
import { openIndexedDbStore } from '../adapters/store/indexeddb-store.ts';
import { createRandom } from '../core/prng.ts';
import { formatPeerAddress, type SignalPlace } from '../protocol/hub-address.ts';
import { createSignalToken, signalKey } from '../protocol/signal-token.ts';
import { browserChunks, browserParts } from './browser-parts.ts';
import { startHub, type RunningHub } from './hub.ts';

export interface BrowserHub {
  readonly hub: RunningHub;
  /** What others put into `?hub=`. */
  readonly address: string;
}

export interface BrowserHubOptions {
  readonly signal: SignalPlace;
  readonly iceServers: readonly RTCIceServer[];
  readonly report: (line: string) => void;
  readonly changed: () => void;
}

export async function openBrowserHub(options: BrowserHubOptions): Promise<BrowserHub> {
  const identity = await createIdentity({ accountKey: await loadAccountKey(), sessionKey: await loadHostSessionKey() });
  const listener = await openPeerListener({
    peer: identity.peer,
    token: () => createSignalToken(identity, browserParts.clock.now()),
    signal: { ...options.signal, key: signalKey },
    iceServers: options.iceServers,
  });
  const hub = await startHub({
    ...browserParts,
    identity,
    store: await openIndexedDbStore('tabswarm-host-log'),
    chunks: await browserChunks('host'),
    listeners: [listener],
    random: createRandom(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)),
    report: options.report,
    changed: options.changed,
  });
  return { hub, address: formatPeerAddress(identity.peer, options.signal) };
}
