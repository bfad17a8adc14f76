/**
 * PeerJS in Node: it expects a browser's WebRTC and WebSocket as globals. `installRtcGlobals` must have run before
 * `adapters/net/peer-link` opens anything.
 */

import { WebSocket as NodeWebSocket } from 'ws';

/** `ws` throws what a browser would only report: a socket that fails would end the process. */
class QuietWebSocket extends NodeWebSocket {
  constructor(url: string) {
    super(url);
    this.on('error', () => {});
  }
}

/** What PeerJS asks when it is loaded; its own probe would gather candidates at a third party's STUN and TURN servers. */
class ProbeConnection {
  createDataChannel(): { ordered: boolean; binaryType: string; close(): void } {
    return { ordered: true, binaryType: 'arraybuffer', close: () => {} };
  }
  close(): void {}
}

let installed: Promise<void> | undefined;

export function installRtcGlobals(): Promise<void> {
  installed ??= install();
  return installed;
}

async function install(): Promise<void> {
  const { default: polyfill } = await import('node-datachannel/polyfill');
  Object.assign(globalThis, { RTCPeerConnection: ProbeConnection });
  await import('peerjs');
  Object.assign(globalThis, polyfill, { WebSocket: QuietWebSocket });
}

/** Lets native threads end, so that the process can; nothing can be opened afterwards. */
export async function releaseRtc(): Promise<void> {
  if (installed === undefined) return;
  await installed;
  const { cleanup } = await import('node-datachannel');
  cleanup();
}
