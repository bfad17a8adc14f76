/**
 * Frames: `u32 header length | JSON header | 8-byte aligned raw tails`, little endian. The header lists its tails'
 * lengths under `tails`. Decoding copies nothing: tails are views into the frame.
 */

import { alignUp, fromUtf8, utf8, type Bytes } from '../core/bytes.ts';
import { frameBytesMax, headerBytesMax } from '../core/limits.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { assert } from '../core/assert.ts';

export interface Frame {
  readonly header: Readonly<Record<string, unknown>>;
  readonly tails: readonly Uint8Array[];
}

export function encodeFrame(header: object, tails: readonly Uint8Array[] = []): Bytes {
  const text = utf8(
    JSON.stringify(tails.length === 0 ? header : { ...header, tails: tails.map((tail) => tail.byteLength) }),
  );
  assert(text.byteLength <= headerBytesMax, `frame header of ${text.byteLength} bytes, the most is ${headerBytesMax}`);
  let size = 4 + text.byteLength;
  for (const tail of tails) size = alignUp(size, 8) + tail.byteLength;
  assert(size <= frameBytesMax, `frame of ${size} bytes, the most is ${frameBytesMax}`);
  const frame = new Uint8Array(size);
  new DataView(frame.buffer).setUint32(0, text.byteLength, true);
  frame.set(text, 4);
  let offset = 4 + text.byteLength;
  for (const tail of tails) {
    offset = alignUp(offset, 8);
    frame.set(tail, offset);
    offset += tail.byteLength;
  }
  return frame;
}

/** The header without `tails`, and the tails; or what is malformed. */
export function decodeFrame(frame: Uint8Array): Result<Frame> {
  if (frame.byteLength > frameBytesMax)
    return problem('frame', `frame: ${frame.byteLength} bytes, the most is ${frameBytesMax}`);
  if (frame.byteLength < 4) return problem('frame', 'frame: shorter than its header length');
  const headerLength = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
  if (headerLength > headerBytesMax)
    return problem('frame', `frame: header of ${headerLength} bytes, the most is ${headerBytesMax}`);
  if (4 + headerLength > frame.byteLength) return problem('frame', 'frame: cut off in its header');
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(frame.subarray(4, 4 + headerLength)));
  } catch {
    return problem('frame', 'frame: header is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return problem('frame', 'frame: header is not an object');
  const { tails: lengths = [], ...header } = value as Record<string, unknown>;
  if (!Array.isArray(lengths) || lengths.length > 64)
    return problem('frame', 'frame: tails is not a short list of lengths');
  const tails: Uint8Array[] = [];
  let offset = 4 + headerLength;
  for (const length of lengths as unknown[]) {
    if (typeof length !== 'number' || !Number.isInteger(length) || length < 0)
      return problem('frame', 'frame: a tail has no whole length');
    offset = alignUp(offset, 8);
    if (offset + length > frame.byteLength) return problem('frame', 'frame: cut off in a tail');
    tails.push(frame.subarray(offset, offset + length));
    offset += length;
  }
  if (offset !== frame.byteLength)
    return problem('frame', `frame: ${frame.byteLength - offset} bytes after its last tail`);
  return ok({ header, tails });
}
