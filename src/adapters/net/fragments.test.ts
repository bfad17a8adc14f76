import { expect, test } from 'vitest';
import { frameBytesMax, fragmentBytesMax } from '../../core/limits.ts';
import {
  createAssembler,
  decodeFragment,
  fragmentPayloadMax,
  fragmentsOfFrame,
  goodbyeFragment,
  receivedFragment,
} from './fragments.ts';
import { patternFrame } from './link-partner.ts';

function roundTrip(frame: Uint8Array): { fragments: number; largest: number; frame: Uint8Array | undefined } {
  const assembler = createAssembler();
  let whole: Uint8Array | undefined;
  const fragments = [...fragmentsOfFrame('bulk', frame)];
  for (const fragment of fragments) {
    expect(whole).toBeUndefined();
    const decoded = decodeFragment(fragment.buffer);
    if (!decoded.ok || decoded.value.kind !== 'frame') throw new Error('not a frame fragment');
    expect(decoded.value.lane).toBe('bulk');
    const added = assembler.add(decoded.value.left, decoded.value.payload);
    if (!added.ok) throw new Error(added.error.text);
    whole = added.value;
  }
  return { fragments: fragments.length, largest: Math.max(...fragments.map((f) => f.byteLength)), frame: whole };
}

test('frames of awkward sizes come back equal from fragments that fit a channel', () => {
  for (const bytes of [0, 1, 315, 2179, fragmentPayloadMax, fragmentPayloadMax + 1, 3 * fragmentPayloadMax]) {
    const frame = patternFrame(bytes, bytes);
    const trip = roundTrip(frame);
    expect(trip.frame, `${bytes} bytes`).toEqual(frame);
    expect(trip.largest).toBeLessThanOrEqual(fragmentBytesMax);
    expect(trip.fragments).toBe(Math.max(1, Math.ceil(bytes / fragmentPayloadMax)));
  }
});

test('a frame in one fragment is not copied and stays 8-byte aligned', () => {
  const [fragment] = [...fragmentsOfFrame('control', patternFrame(64, 1))];
  const decoded = decodeFragment(fragment?.buffer);
  if (!decoded.ok || decoded.value.kind !== 'frame') throw new Error('not a frame fragment');
  const whole = createAssembler().add(decoded.value.left, decoded.value.payload);
  if (!whole.ok || whole.value === undefined) throw new Error('not whole');
  expect(whole.value.buffer).toBe(fragment?.buffer);
  expect(whole.value.byteOffset % 8).toBe(0);
});

test('goodbyes and acknowledgements carry their reason and count', () => {
  expect(decodeFragment(goodbyeFragment('fünf').buffer)).toMatchObject({
    ok: true,
    value: { kind: 'goodbye', reason: 'fünf' },
  });
  expect(decodeFragment(receivedFragment('bulk', 2 ** 32 + 5).buffer)).toMatchObject({
    ok: true,
    value: { kind: 'received', lane: 'bulk', bytes: 5 },
  });
});

const bytes = (...values: number[]): ArrayBuffer => Uint8Array.from(values).buffer;

test.each([
  ['text', 'hello', 'malformed fragment: not binary'],
  ['nothing', bytes(), 'malformed fragment: 0 bytes, expected 8 to 65536'],
  ['too much', new ArrayBuffer(fragmentBytesMax + 1), 'malformed fragment: 65537 bytes, expected 8 to 65536'],
  ['an unknown kind', bytes(7, 0, 0, 0, 0, 0, 0, 0), 'malformed fragment: no kind 7'],
  ['an unknown lane', bytes(1, 2, 0, 0, 0, 0, 0, 0), 'malformed fragment: no lane 2'],
  ['reserved bytes', bytes(1, 0, 1, 0, 0, 0, 0, 0), 'malformed fragment: reserved bytes are not zero'],
  [
    'a goodbye that is not UTF-8',
    bytes(2, 0, 0, 0, 0, 0, 0, 0, 255),
    'malformed fragment: a goodbye that is not UTF-8',
  ],
  [
    'an acknowledgement with payload',
    bytes(3, 0, 0, 0, 0, 0, 0, 0, 1),
    'malformed fragment: an acknowledgement has no payload',
  ],
])('%s is refused with one line', (_name, data, text) => {
  expect(decodeFragment(data)).toEqual({ ok: false, error: { kind: 'fragment', text } });
});

test('fragments out of place are refused with one line', () => {
  const refusal = (...added: [number, number][]): string => {
    const assembler = createAssembler();
    for (const [left, payload] of added) {
      const result = assembler.add(left, new Uint8Array(payload));
      if (!result.ok) return result.error.text;
    }
    return 'accepted';
  };
  expect(refusal([10, 4], [6, 6])).toBe('accepted');
  expect(refusal([10, 4], [5, 5])).toBe('malformed fragment: 5 bytes left, expected 6');
  expect(refusal([10, 11])).toBe('malformed fragment: 11 bytes of payload where 10 are left');
  expect(refusal([10, 0])).toBe('malformed fragment: 0 bytes of payload where 10 are left');
  expect(refusal([frameBytesMax, 1])).toBe('accepted');
  expect(refusal([frameBytesMax + 1, 1])).toBe(
    `oversize frame: ${frameBytesMax + 1} bytes announced, the most is ${frameBytesMax}`,
  );
});
