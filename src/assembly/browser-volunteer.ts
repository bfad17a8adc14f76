/** A volunteer in a tab: compute in a dedicated worker, key and chunks in IndexedDB, the hub over WebRTC. */

import { takeTurn } from '../adapters/browser/turn.ts';
import { spawnCompute } from '../adapters/worker/spawn.ts';
import type { HubAddress } from '../protocol/hub-address.ts';
import { browserChunks, browserIdentity, browserParts } from './browser-parts.ts';
import { dialPeerHub } from './dial-peer-hub.ts';
import { createVolunteerTab, type RunningVolunteer } from './volunteer.ts';
import type { VolunteerView } from './volunteer-view.ts';

export interface BrowserVolunteerOptions {
  readonly address: HubAddress;
  readonly addressText: string;
  /** Flip bits of every result; builds without `VITE_LIAR=allowed` refuse it. */
  readonly lie: boolean;
  readonly changed: (view: VolunteerView) => void;
  readonly outdated: (reason: string) => void;
}

export const openBrowserVolunteer = (options: BrowserVolunteerOptions): RunningVolunteer =>
  createVolunteerTab({
    ...browserParts,
    address: options.addressText,
    identity: browserIdentity,
    openCompute: () => spawnCompute(options.lie ? { lie: true } : {}),
    openChunks: () => browserChunks('cache'),
    takeTurn: () => takeTurn(),
    dial: (identity) => dialPeerHub(options.address, identity, browserParts.clock.now),
    changed: options.changed,
    outdated: options.outdated,
  });
