/** `connect` in a browser: this profile's account, a link over WebRTC. */

import { expectInput } from '../core/result.ts';
import { parseHubAddress, type HubAddress } from '../protocol/hub-address.ts';
import { browserChunks, browserIdentity, browserParts } from './browser-parts.ts';
import { dialPeerHub } from './dial-peer-hub.ts';
import { openSwarm, type Swarm } from './swarm.ts';

/** Connects to a hub: `http(s)://host[:port][/path]`, or `peer:<id>@<ws(s) URL>` for one in a tab. */
export async function connectFromBrowser(hub: string | HubAddress): Promise<Swarm> {
  const address = typeof hub === 'string' ? expectInput(parseHubAddress(hub)) : hub;
  const identity = await browserIdentity();
  return openSwarm({
    ...browserParts,
    identity,
    chunks: await browserChunks('cache'),
    dial: () => dialPeerHub(address, identity, browserParts.clock.now),
  });
}
