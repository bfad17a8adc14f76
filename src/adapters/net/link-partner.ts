/**
 * The far end of a link under test: it sends what it is told and tells what arrived. Its words are plain data, so that
 * the partner may sit in another process and be called through any wire. Frames are made from a seed on both ends.
 */

import { createRandom } from '../../core/prng.ts';
import { sha256 } from '../../core/hash.ts';
import type { Bytes } from '../../core/bytes.ts';
import type { Lane } from '../../protocol/ports.ts';
import type { FramedLink } from './framed-link.ts';

export interface Arrival {
  readonly lane: Lane;
  readonly bytes: number;
  readonly digest: string;
}

export interface Partner {
  /** Everything that arrived so far, in order. */
  arrivals(): Promise<readonly Arrival[]>;
  /** Sends frames of these sizes on a lane; frame i is `patternFrame(sizes[i], seed + i)`. */
  send(lane: Lane, sizes: readonly number[], seed: number): Promise<void>;
  /** Puts bytes on the transport as they are. */
  sendRaw(lane: Lane, bytes: readonly number[]): Promise<void>;
  close(reason: string): Promise<void>;
  /** Why the link closed, or undefined while it is open. */
  closed(): Promise<string | undefined>;
  counted(): Promise<{ sent: number; received: number }>;
  binding(): Promise<string>;
}

/** Bytes that a seed decides; large ones repeat a block, which still shows any fragment lost or out of place. */
export function patternFrame(bytes: number, seed: number): Bytes {
  const random = createRandom(seed, 77);
  const frame = new Uint8Array(bytes);
  const block = frame.subarray(0, Math.min(bytes, 4099));
  for (let index = 0; index < block.byteLength; index++) block[index] = random.below(256);
  for (let filled = block.byteLength; filled < bytes; filled *= 2) {
    frame.copyWithin(filled, 0, Math.min(filled, bytes - filled));
  }
  return frame;
}

/** Length and digest of a frame; of large ones only the ends and a stride are hashed, so that a slow machine keeps up. */
export function digestOfFrame(frame: Uint8Array): string {
  if (frame.byteLength <= 1 << 18) return sha256(frame);
  const sampled = new Uint8Array(1 << 17);
  for (let index = 0; index < sampled.byteLength; index++) {
    sampled[index] = frame[Math.floor((index * (frame.byteLength - 1)) / (sampled.byteLength - 1))] ?? 0;
  }
  return sha256(sampled);
}

export function createPartner(link: FramedLink): Partner {
  const arrivals: Arrival[] = [];
  let closedBecause: string | undefined;
  link.onFrame((lane, frame) => arrivals.push({ lane, bytes: frame.byteLength, digest: digestOfFrame(frame) }));
  link.onClose((reason) => (closedBecause = reason));
  return {
    arrivals: async () => [...arrivals],
    async send(lane, sizes, seed) {
      await Promise.all(sizes.map((bytes, index) => link.send(lane, patternFrame(bytes, seed + index))));
    },
    sendRaw: async (lane, bytes) => link.sendRaw(lane, Uint8Array.from(bytes)),
    close: async (reason) => link.close(reason),
    closed: async () => closedBecause,
    counted: async () => ({ ...link.counted }),
    binding: async () => link.binding,
  };
}
