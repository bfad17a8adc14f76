/**
 * A volunteer without a browser: the same machine and programs as in a tab, computing on Dawn in a thread of its own, with
 * its key in a data folder, chunks in memory, and the hub over its socket (or over WebRTC, where the hub lives in a tab).
 * One volunteer for each GPU; each is an account of its own, as each tab is.
 */

import { join } from 'node:path';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import { dialSocketHub } from '../assembly/dial-socket-hub.ts';
import { createPeerDoor, type PeerDoor } from '../assembly/peer-door.ts';
import type { VolunteerView } from '../assembly/volunteer-view.ts';
import { createVolunteerTab, type RunningVolunteer } from '../assembly/volunteer.ts';
import type { HubAddress } from '../protocol/hub-address.ts';
import type { Identity } from '../protocol/identity.ts';
import { loadAccountKeyFile } from './identity-file.ts';
import { lockDataFolder } from './lock-file.ts';
import { openNativeCompute } from './native-compute.ts';
import { dialNodeSocketLink } from './net/dial-socket.ts';
import { installRtcGlobals } from './net/rtc-globals.ts';

export interface NativeVolunteerOptions {
  readonly address: HubAddress;
  readonly addressText: string;
  /** The GPU's name; left out, Dawn chooses. */
  readonly gpu: string | undefined;
  /** Where this volunteer's account key lies; one process at a time has it. */
  readonly data: string;
  /** Share of time, above 0 and up to 1, that the GPU may be busy. */
  readonly duty: number;
  /** False: no links to other volunteers, who would see this machine's address. */
  readonly peers: boolean;
  /** What is passed on to them, at most; no cap where it is left out. */
  readonly uploadBytesPerSecond?: number;
  readonly changed: (view: VolunteerView) => void;
  /** The hub speaks of programs that this version does not have. */
  readonly outdated: (reason: string) => void;
}

/** Chunks kept between units; a hub serves them again after a restart. */
const chunkBytesMax = 512 * 2 ** 20;

export function openNativeVolunteer(options: NativeVolunteerOptions): RunningVolunteer {
  let released: Promise<void> | undefined;
  const doors = new WeakMap<Identity, PeerDoor>();
  const doorOf = (identity: Identity): PeerDoor => {
    const door = doors.get(identity) ?? openDoor(options, identity);
    doors.set(identity, door);
    return door;
  };
  const volunteer = createVolunteerTab({
    address: options.addressText,
    identity: async () => createIdentity({ accountKey: await loadAccountKeyFile(options.data) }),
    openCompute: () => openNativeCompute({ adapter: options.gpu, data: options.data }, { duty: options.duty }),
    openChunks: async () => createMemoryChunks({ digestBytes: sha256Large, bytesMax: chunkBytesMax }),
    takeTurn: async () => {
      const lock = await lockDataFolder(options.data);
      return () => (released = lock.release());
    },
    dial: async (identity) => {
      if (options.address.kind === 'url') return dialSocketHub(options.address, dialNodeSocketLink);
      return doorOf(identity).dialHub();
    },
    peers: doorOf,
    ...(options.uploadBytesPerSecond === undefined ? {} : { uploadBytesPerSecond: options.uploadBytesPerSecond }),
    verify: verifySignature,
    digestOf: sha256Large,
    clock: systemClock,
    changed: options.changed,
    outdated: options.outdated,
  });
  // A process that ends right after it must not leave its lock behind.
  const stop = async (): Promise<void> => {
    await volunteer.stop();
    await released;
  };
  return { ...volunteer, stop };
}

/** WebRTC is loaded when somebody is first to be reached by it: to a hub with an address there is a socket. */
function openDoor({ address, peers }: NativeVolunteerOptions, identity: Identity): PeerDoor {
  const door = createPeerDoor({ address, identity, now: systemClock.now, peers });
  return {
    ...door,
    open: () => installRtcGlobals().then(door.open),
    dial: (peer) => installRtcGlobals().then(() => door.dial(peer)),
    dialHub: () => installRtcGlobals().then(door.dialHub),
  };
}

/** The folder of the volunteer of one GPU, below that of the commands. */
export const nativeDataFolder = (data: string, index: number): string => join(data, `native-${index + 1}`);
