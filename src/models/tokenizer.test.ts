/** The way from ids to text, which all vocabularies share, on the smallest of them. */

import { expect, test } from 'vitest';
import { byteTokenizer, createDecoding } from './tokenizer.ts';

test('bytes become text as they arrive, each character with its last byte', () => {
  const ids = byteTokenizer.encode('é€🦙.');
  const stream = byteTokenizer.stream();
  expect(ids.map((token) => stream.push(token)).join('|')).toBe('|é|||€||||🦙|.');
  expect(stream.end()).toBe('');
  expect(byteTokenizer.decode([0xf0, 0x9f])).toBe('\ufffd');
  expect(byteTokenizer.decode([0xff, 0x61])).toBe('\ufffda');
});

test('a byte order mark is a character like any other', () => {
  expect(byteTokenizer.decode(byteTokenizer.encode('\ufeffa\ufeff'))).toBe('\ufeffa\ufeff');
});

test('half a character and ids outside the vocabulary are refused', () => {
  expect(() => byteTokenizer.encode('a\udc00')).toThrow('text: half a character (lone surrogate U+DC00) at position 1');
  expect(byteTokenizer.encode('\ud83e\udd99')).toHaveLength(4);
  expect(() => byteTokenizer.decode([97, 256])).toThrow('token 256 is outside the vocabulary, whose ids are 0 to 255');
});

test("the space that is not the text's is dropped at a beginning and after the start token, nowhere else", () => {
  const word = new TextEncoder().encode(' a');
  const { decode } = createDecoding({
    vocabulary: 3,
    bytesOf: (token) => (token === 0 ? new TextEncoder().encode('<s>') : word),
    isSpecial: (token) => token === 0,
    spaceBefore: { start: 0 },
  });
  expect(decode([1, 2])).toBe('a a');
  expect(decode([1, 2], { previous: 2 })).toBe(' a a');
  expect(decode([1, 0, 2], { previous: 0 })).toBe('aa');
  expect(decode([0, 1], { special: true })).toBe('<s>a');
});
