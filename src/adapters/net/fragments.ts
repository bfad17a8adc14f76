/**
 * Frames cut into fragments that every transport carries, and put together again. Pure. A fragment is
 * `u8 kind | u8 lane | u16 0 | u32 left | payload`, little endian: `left` counts the frame's bytes from this fragment's
 * payload to the end, so the first announces the size and each next one checks the order. Eight bytes of header keep a
 * frame's tails aligned in a fragment that holds the whole frame. What a frame means is left to `protocol/frame`.
 */

import { concat, fromUtf8, utf8, type Bytes } from '../../core/bytes.ts';
import { fragmentBytesMax, frameBytesMax } from '../../core/limits.ts';
import { ok, problem, type Result } from '../../core/result.ts';
import type { Lane } from '../../protocol/ports.ts';

export const lanes: readonly Lane[] = ['control', 'bulk'];

const headerBytes = 8;
export const fragmentPayloadMax = fragmentBytesMax - headerBytes;

const kinds = { frame: 1, goodbye: 2, received: 3 } as const;

/** What one fragment says. */
export type Fragment =
  | { readonly kind: 'frame'; readonly lane: Lane; readonly left: number; readonly payload: Uint8Array }
  /** The far end closes the link, and why. */
  | { readonly kind: 'goodbye'; readonly lane: Lane; readonly reason: string }
  /** The far end has received so many bytes of frame fragments on this lane, modulo 2^32. */
  | { readonly kind: 'received'; readonly lane: Lane; readonly bytes: number };

function header(kind: keyof typeof kinds, lane: Lane, left: number, payload: Uint8Array, into?: Bytes): Bytes {
  const bytes = headerBytes + payload.byteLength;
  const fragment = into?.subarray(0, bytes) ?? new Uint8Array(bytes);
  fragment[0] = kinds[kind];
  fragment[1] = lanes.indexOf(lane);
  new DataView(fragment.buffer, fragment.byteOffset).setUint32(4, left, true);
  fragment.set(payload, headerBytes);
  return fragment;
}

const nothing = new Uint8Array(0);

/**
 * The fragments of a frame, made one by one, so that a large frame is not copied at once. With `into`, of `fragmentBytesMax`
 * bytes, each is made there and stands until the next: for transports that have copied a fragment when they return.
 */
export function* fragmentsOfFrame(lane: Lane, frame: Uint8Array, into?: Bytes): Generator<Bytes, void> {
  let offset = 0;
  do {
    const payload = frame.subarray(offset, offset + fragmentPayloadMax);
    yield header('frame', lane, frame.byteLength - offset, payload, into);
    offset += payload.byteLength;
  } while (offset < frame.byteLength);
}

export const goodbyeFragment = (reason: string): Bytes => header('goodbye', 'control', 0, utf8(reason.slice(0, 500)));

export const receivedFragment = (lane: Lane, bytes: number): Bytes => header('received', lane, bytes >>> 0, nothing);

/** Whether these bytes carry part of a frame, which acknowledgements count. */
export const carriesFrame = (fragment: Uint8Array): boolean => fragment[0] === kinds.frame;

/** A fragment from the transport, or what is malformed. */
export function decodeFragment(data: unknown): Result<Fragment> {
  if (!(data instanceof ArrayBuffer)) return problem('fragment', 'malformed fragment: not binary');
  if (data.byteLength < headerBytes || data.byteLength > fragmentBytesMax) {
    return problem(
      'fragment',
      `malformed fragment: ${data.byteLength} bytes, expected ${headerBytes} to ${fragmentBytesMax}`,
    );
  }
  const view = new DataView(data);
  const lane = lanes[view.getUint8(1)];
  if (lane === undefined) return problem('fragment', `malformed fragment: no lane ${view.getUint8(1)}`);
  if (view.getUint16(2) !== 0) return problem('fragment', 'malformed fragment: reserved bytes are not zero');
  const left = view.getUint32(4, true);
  const payload = new Uint8Array(data, headerBytes);
  switch (view.getUint8(0)) {
    case kinds.frame:
      return ok({ kind: 'frame', lane, left, payload });
    case kinds.goodbye:
      return goodbye(lane, payload);
    case kinds.received:
      if (payload.byteLength > 0) return problem('fragment', 'malformed fragment: an acknowledgement has no payload');
      return ok({ kind: 'received', lane, bytes: left });
    default:
      return problem('fragment', `malformed fragment: no kind ${view.getUint8(0)}`);
  }
}

function goodbye(lane: Lane, payload: Uint8Array): Result<Fragment> {
  try {
    return ok({ kind: 'goodbye', lane, reason: fromUtf8(payload.subarray(0, 2000)) });
  } catch {
    return problem('fragment', 'malformed fragment: a goodbye that is not UTF-8');
  }
}

/** Puts one lane's frames together. */
export interface Assembler {
  /** The whole frame where this fragment ends one, undefined where more must come, or what is wrong. */
  add(left: number, payload: Uint8Array): Result<Uint8Array | undefined>;
}

export function createAssembler(): Assembler {
  let parts: Uint8Array[] = [];
  let expected: number | undefined;
  return {
    add(left, payload) {
      if (expected === undefined && left > frameBytesMax) {
        return problem('fragment', `oversize frame: ${left} bytes announced, the most is ${frameBytesMax}`);
      }
      if (expected !== undefined && left !== expected) {
        return problem('fragment', `malformed fragment: ${left} bytes left, expected ${expected}`);
      }
      if (payload.byteLength > left || (payload.byteLength === 0 && left > 0)) {
        return problem('fragment', `malformed fragment: ${payload.byteLength} bytes of payload where ${left} are left`);
      }
      parts.push(payload);
      expected = left - payload.byteLength;
      if (expected > 0) return ok(undefined);
      const [only] = parts;
      const frame = parts.length === 1 && only !== undefined ? only : concat(...parts);
      parts = [];
      expected = undefined;
      return ok(frame);
    },
  };
}
