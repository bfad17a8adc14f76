/**
 * Notices a far end that has fallen silent: both ends ping in the heartbeat's rhythm, and any byte is a sign of life. The
 * bound follows the link's own slowest recent round trip, since a busy machine answers late.
 */

import type { Clock } from '../core/clock.ts';
import { heartbeatMs, silenceMsMin } from '../core/limits.ts';
import { encodeFrame } from '../protocol/frame.ts';
import type { Link } from '../protocol/ports.ts';

/** Round trips that are remembered: half a minute of them. */
const roundTripsKept = 30;

/** Closes the link when it falls silent; `firstRoundTripMs` is what the handshake took. Returns the middle of recent round trips. */
export function watchSilence(
  link: Link,
  reader: { onPong(ponged: (id: number) => void): void },
  clock: Clock,
  firstRoundTripMs: number,
): () => number {
  const roundTrips = [firstRoundTripMs];
  const sentAt = new Map<number, number>();
  let pings = 0;
  let silentMs = 0;
  let received = link.counted.received;
  let lastTick = clock.now();
  let cancel = (): void => {};

  reader.onPong((id) => {
    const sent = sentAt.get(id);
    if (sent === undefined) return;
    sentAt.delete(id);
    roundTrips.push(clock.now() - sent);
    if (roundTrips.length > roundTripsKept) roundTrips.shift();
  });

  function tick(): void {
    const now = clock.now();
    // This end may have slept itself, in a hidden tab or on a busy machine: at most one beat of that is the other's silence.
    silentMs = link.counted.received === received ? silentMs + Math.min(now - lastTick, heartbeatMs) : 0;
    received = link.counted.received;
    lastTick = now;
    const bound = Math.max(silenceMsMin, 4 * Math.max(...roundTrips));
    if (silentMs >= bound) return link.close(`silent for ${Math.round(silentMs)} ms`);
    ping(now);
    cancel = clock.after(heartbeatMs, tick);
  }

  function ping(now: number): void {
    const id = pings++;
    sentAt.set(id, now);
    sentAt.delete(id - roundTripsKept);
    link.send('control', encodeFrame({ type: 'ping', id })).catch(() => {});
  }

  link.onClose(() => cancel());
  cancel = clock.after(heartbeatMs, tick);
  return () => {
    const sorted = roundTrips.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? firstRoundTripMs;
  };
}
