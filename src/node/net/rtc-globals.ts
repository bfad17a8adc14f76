/**
 * PeerJS in Node: it expects a browser's WebRTC and WebSocket as globals. `installRtcGlobals` must have run before
 * `adapters/net/peer-link` opens anything.
 */

import { WebSocket as NodeWebSocket } from 'ws';
import { signalBytesMax } from '../../core/limits.ts';

/**
 * `ws` throws where a browser only reports: a socket that fails, or a handler that a malformed signal breaks, would end
 * the process. Our own signalling server passes no such signal on; another one might.
 */
class CalmWebSocket extends NodeWebSocket {
  constructor(url: string) {
    super(url, { maxPayload: signalBytesMax, perMessageDeflate: false });
    this.on('error', () => {});
  }

  override emit(event: string | symbol, ...values: unknown[]): boolean {
    if (event !== 'message') return super.emit(event, ...values);
    try {
      return super.emit(event, ...values);
    } catch {
      // Nobody's signal in particular; the connection that it was about times out.
      return true;
    }
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
  Object.assign(globalThis, polyfill, { WebSocket: CalmWebSocket });
}

/** Lets native threads end, so that the process can; nothing can be opened afterwards. */
export async function releaseRtc(): Promise<void> {
  if (installed === undefined) return;
  await installed;
  const { cleanup } = await import('node-datachannel');
  cleanup();
}
