import { describe, expect, test } from 'vitest';
import {
  alignUp,
  concat,
  concatAll,
  copyBytes,
  equalBytes,
  fromBase64,
  fromHex,
  fromUtf8,
  toBase64,
  toHex,
  utf8,
  viewBytes,
} from './bytes.ts';
import { sha256, sha256Text } from './hash.ts';
import { createRandom } from './prng.ts';

const seed = 3;
const random = createRandom(seed);
const someBytes = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, () => random.below(256));

describe('bytes', () => {
  test.each([0, 1, 2, 3, 315, 0x8000, 0x8001, 70_001])('%i bytes survive base64 and hex (seed 3)', (length) => {
    const bytes = someBytes(length);
    expect(equalBytes(fromBase64(toBase64(bytes)) ?? new Uint8Array(0), bytes)).toBe(true);
    expect(equalBytes(fromHex(toHex(bytes)), bytes)).toBe(true);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
  });

  test('a text that is no base64 gives nothing', () => {
    expect(fromBase64('a')).toBeUndefined();
    expect(fromBase64('ab$=')).toBeUndefined();
  });

  test('joined parts stand one after another', () => {
    expect([...concat(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3))]).toEqual([1, 2, 3]);
    expect(concat().byteLength).toBe(0);
    expect(concatAll(Array(600_000).fill(Uint8Array.of(1))).byteLength).toBe(600_000);
  });

  test('equal means the same length and every byte', () => {
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
  });

  test('a view shares memory and a copy does not', () => {
    const words = Uint32Array.of(1, 2, 3).subarray(1);
    const view = viewBytes(words);
    const copy = copyBytes(view);
    words[0] = 9;
    expect([view[0], copy[0], copy.byteOffset]).toEqual([9, 2, 0]);
  });

  test('text that is not UTF-8 is refused rather than mended', () => {
    expect(fromUtf8(utf8('größer 🌍'))).toBe('größer 🌍');
    expect(() => fromUtf8(Uint8Array.of(0xff, 0xfe))).toThrow();
  });

  test('alignment rounds up, and leaves what is aligned', () => {
    expect([alignUp(0, 8), alignUp(1, 8), alignUp(8, 8), alignUp(9, 4)]).toEqual([0, 8, 8, 12]);
  });

  test('digests are those of FIPS 180-4', () => {
    expect(sha256Text('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256(new Uint8Array(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});
