import { describe, expect, test } from 'vitest';
import { concat, toHex, utf8 } from '../core/bytes.ts';
import { headerBytesMax } from '../core/limits.ts';
import { createRandom } from '../core/prng.ts';
import { decodeFrame, encodeFrame } from './frame.ts';

const refusal = (frame: Uint8Array): string => {
  const decoded = decodeFrame(frame);
  return decoded.ok ? 'taken' : decoded.error.text;
};
/** A frame around any header text, for what `encodeFrame` would never write. */
const frameOf = (text: string, ...tails: Uint8Array[]): Uint8Array => {
  const header = utf8(text);
  return concat(new Uint8Array(Uint32Array.of(header.byteLength).buffer), header, ...tails);
};

describe('a frame', () => {
  test.each([[[]], [[0]], [[1]], [[7, 8, 9]], [[315, 0, 2179]]])(
    'brings back its header and tails of %j bytes',
    (lengths) => {
      const tails = lengths.map((length, index) => new Uint8Array(length).fill(index + 1));
      const decoded = decodeFrame(encodeFrame({ type: 'x', text: 'größer' }, tails));
      expect(decoded.ok && decoded.value.header).toEqual({ type: 'x', text: 'größer' });
      expect(decoded.ok && decoded.value.tails.map((tail) => toHex(tail))).toEqual(tails.map((tail) => toHex(tail)));
    },
  );

  test('keeps every tail at a multiple of 8 and copies none', () => {
    const frame = encodeFrame({ a: 1 }, [Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
    const decoded = decodeFrame(frame);
    const tails = decoded.ok ? decoded.value.tails : [];
    expect(tails.map((tail) => tail.byteOffset % 8)).toEqual([0, 0]);
    expect(tails.every((tail) => tail.buffer === frame.buffer)).toBe(true);
  });

  test('is read where it lies inside a larger buffer', () => {
    const frame = encodeFrame({ a: 1 }, [Uint8Array.of(5)]);
    const padded = concat(Uint8Array.of(9, 9, 9), frame, Uint8Array.of(9));
    const decoded = decodeFrame(padded.subarray(3, 3 + frame.byteLength));
    expect(decoded.ok && [...(decoded.value.tails[0] ?? [])]).toEqual([5]);
  });

  test.each([
    ['nothing', new Uint8Array(0), 'frame: shorter than its header length'],
    ['a header that never comes', Uint8Array.of(200, 0, 0, 0, 1), 'frame: cut off in its header'],
    [
      'a header longer than allowed',
      Uint8Array.of(1, 0, 1, 0),
      `frame: header of 65537 bytes, the most is ${headerBytesMax}`,
    ],
    ['no JSON', frameOf('{'), 'frame: header is not JSON'],
    ['no UTF-8', Uint8Array.of(2, 0, 0, 0, 0xff, 0xff), 'frame: header is not JSON'],
    ['a list', frameOf('[]'), 'frame: header is not an object'],
    ['null', frameOf('null'), 'frame: header is not an object'],
    ['tails that are no list', frameOf('{"tails":3}'), 'frame: tails is not a short list of lengths'],
    [
      'too many tails',
      frameOf(JSON.stringify({ tails: Array(65).fill(0) })),
      'frame: tails is not a short list of lengths',
    ],
    ['a negative tail', frameOf('{"tails":[-1]}'), 'frame: a tail has no whole length'],
    ['half a byte', frameOf('{"tails":[0.5]}'), 'frame: a tail has no whole length'],
    ['a tail that never comes', frameOf('{"tails":[1e300]}'), 'frame: cut off in a tail'],
    ['bytes after the last tail', frameOf('{}', Uint8Array.of(1, 2)), 'frame: 2 bytes after its last tail'],
  ])('with %s is refused', (_what, frame, text) => {
    expect(refusal(frame)).toBe(text);
  });

  test('cut off anywhere is refused', () => {
    const frame = encodeFrame({ type: 'result', n: 12 }, [Uint8Array.of(1, 2, 3)]);
    for (let length = 0; length < frame.byteLength; length++)
      expect(refusal(frame.subarray(0, length))).not.toBe('taken');
  });

  test.each([1, 2, 3])('of random or damaged bytes never throws (seed %i)', (seed) => {
    const random = createRandom(seed);
    const good = encodeFrame({ type: 'result', job: 'a'.repeat(64), list: [1, { b: null }] }, [new Uint8Array(100)]);
    for (let turn = 0; turn < 2000; turn++) {
      const frame =
        random.below(4) === 0 ? new Uint8Array(random.below(64)) : good.slice(0, random.below(good.length + 1));
      for (let damage = random.below(5); damage > 0 && frame.byteLength > 0; damage--) {
        frame[random.below(frame.byteLength)] = random.below(256);
      }
      expect(() => decodeFrame(frame), `seed ${seed}, turn ${turn}: ${toHex(frame)}`).not.toThrow();
    }
  });

  test('a header above the limit is never sent', () => {
    expect(() => encodeFrame({ text: 'x'.repeat(headerBytesMax) })).toThrow(/frame header of/);
  });
});
