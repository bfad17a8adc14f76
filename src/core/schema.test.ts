import { describe, expect, test } from 'vitest';
import { accountId, base64Text, finite, fraction, parse, parseJson, peerId, positive, v, whole } from './schema.ts';
import type { Result } from './result.ts';

const schema = v.strictObject({
  name: v.string(),
  size: whole(1, 9),
  inner: v.optional(v.strictObject({ share: fraction })),
  list: v.optional(v.array(finite)),
});
const line = (result: Result<unknown>): string => (result.ok ? 'ok' : result.error.text);

describe('a schema', () => {
  test('gives a fresh value', () => {
    const input = { name: 'a', size: 3 };
    const parsed = parse(schema, input, 'file');
    expect(parsed.ok && parsed.value).toEqual(input);
    expect(parsed.ok && parsed.value).not.toBe(input);
  });

  test.each([
    [{ name: 'a', size: 3, extra: 1 }, 'file: extra: unknown field, remove it'],
    [{ name: 'a', size: 3, inner: { share: 1, other: 2 } }, 'file: inner.other: unknown field, remove it'],
    [{ name: 'a' }, 'file: size: missing field'],
    [{ name: 'a', size: 3, inner: {} }, 'file: inner.share: missing field'],
  ])('names the unknown or missing field of %j', (value, text) => {
    expect(line(parse(schema, value, 'file'))).toBe(text);
  });

  test.each([
    [{ name: 'a', size: 10 }, 'file: size: '],
    [{ name: 'a', size: 1.5 }, 'file: size: '],
    [{ name: 1, size: 1 }, 'file: name: '],
    [{ name: 'a', size: 1, list: [1, 'x'] }, 'file: list.1: '],
    [{ name: 'a', size: 1, list: [Infinity] }, 'file: list.0: '],
    [[], 'file: '],
    [null, 'file: '],
  ])('names the first wrong field of %j in one line', (value, start) => {
    const text = line(parse(schema, value, 'file'));
    expect(text.startsWith(start)).toBe(true);
    expect(text).not.toContain('\n');
  });

  test('says where a text is no JSON', () => {
    expect(line(parseJson(schema, '{"name":', 'job.json'))).toMatch(/^job\.json: not JSON: /);
    expect(line(parseJson(schema, '{"name":"a","size":2}', 'job.json'))).toBe('ok');
  });

  test('ids have their exact length in lower-case hex digits', () => {
    const good = (name: v.GenericSchema, value: unknown): boolean => parse(name, value, 'id').ok;
    expect(good(accountId, 'a'.repeat(64))).toBe(true);
    for (const wrong of ['a'.repeat(63), 'A'.repeat(64), `${'a'.repeat(64)}\n`, 'g'.repeat(64), 64]) {
      expect(good(accountId, wrong), JSON.stringify(wrong)).toBe(false);
    }
    expect(good(peerId, 'f'.repeat(32))).toBe(true);
    expect(good(peerId, 'f'.repeat(64))).toBe(false);
  });

  test('numbers keep to their kind', () => {
    const good = (name: v.GenericSchema, value: unknown): boolean => parse(name, value, 'number').ok;
    expect([good(positive, 1e-9), good(positive, 0), good(positive, NaN), good(positive, Infinity)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect([good(fraction, 0), good(fraction, 1), good(fraction, 1.01), good(fraction, NaN)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([good(base64Text, 'ab=='), good(base64Text, 'a b')]).toEqual([true, false]);
  });
});
