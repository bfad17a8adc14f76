/** A volunteer in a tab: compute in a dedicated worker, key and chunks in IndexedDB, the hub over WebRTC. */

import { takeTurn } from '../adapters/browser/turn.ts';
import { spawnCompute } from '../adapters/worker/spawn.ts';
import type { HubAddress } from '../protocol/hub-address.ts';
import type { Identity } from '../protocol/identity.ts';
import { browserChunks, browserIdentity, browserParts } from './browser-parts.ts';
import { createPeerDoor, type PeerDoor } from './peer-door.ts';
import { createVolunteerTab, type RunningVolunteer } from './volunteer.ts';
import type { VolunteerView } from './volunteer-view.ts';

export interface BrowserVolunteerOptions {
  readonly address: HubAddress;
  readonly addressText: string;
  /** Flip bits of every result; builds without `VITE_LIAR=allowed` refuse it. */
  readonly lie: boolean;
  /** False: no links to other volunteers, who would see this machine's address. */
  readonly peers: boolean;
  readonly changed: (view: VolunteerView) => void;
  readonly outdated: (reason: string) => void;
}

export function openBrowserVolunteer(options: BrowserVolunteerOptions): RunningVolunteer {
  const { address, peers } = options;
  const { now } = browserParts.clock;
  // One place at the signalling server for each start: a tab has one peer id, for its hub and for everybody else.
  const doors = new WeakMap<Identity, PeerDoor>();
  const doorOf = (identity: Identity): PeerDoor => {
    const door = doors.get(identity) ?? createPeerDoor({ address, identity, now, peers });
    doors.set(identity, door);
    return door;
  };
  return createVolunteerTab({
    ...browserParts,
    address: options.addressText,
    identity: browserIdentity,
    openCompute: () => spawnCompute(options.lie ? { lie: true } : {}),
    openChunks: () => browserChunks('cache'),
    takeTurn: () => takeTurn(),
    dial: (identity) => doorOf(identity).dialHub(),
    peers: doorOf,
    changed: options.changed,
    outdated: options.outdated,
  });
}
