/** The sources of bytes that a page has: a chosen file, and a URL on a server that behaves well, badly, or changes its mind. */

import { describe, expect, test } from 'vitest';
import { equalBytes } from '../../core/bytes.ts';
import { InputError } from '../../core/result.ts';
import { blobSource } from './blob-source.ts';
import { openUrlSource, readUrlText } from './url-source.ts';

const file = Uint8Array.from({ length: 2179 }, (_, index) => index % 251);
const url = 'https://models.example/model.gguf';

interface Asked {
  readonly start: number;
  readonly end: number;
}
type Answer = (asked: Asked, count: number) => Response | Promise<Response>;

const part = (
  { start, end }: Asked,
  { bytes = file, etag = '"one"', range }: { bytes?: Uint8Array; etag?: string; range?: string } = {},
): Response => {
  const stop = Math.min(end, bytes.length);
  const headers = { etag, 'content-range': range ?? `bytes ${start}-${stop - 1}/${bytes.length}` };
  return new Response(bytes.slice(start, stop), { status: 206, headers });
};

/** A server that answers so, and how long its client waited between tries. */
function serverOf(answer: Answer) {
  const waits: number[] = [];
  const asked: Asked[] = [];
  const fetch = async (_url: string | URL | Request, options?: RequestInit): Promise<Response> => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(new Headers(options?.headers).get('range') ?? '') ?? [];
    const one = { start: Number(first), end: Number(last) + 1 };
    asked.push(one);
    return answer(one, asked.length);
  };
  return { waits, asked, options: { fetch, wait: async (ms: number) => void waits.push(ms) } };
}

async function readAll(answer: Answer) {
  const server = serverOf(answer);
  const source = await openUrlSource(url, server.options);
  return { ...server, source, bytes: await source.read(315, 2179) };
}

describe('a URL', () => {
  test('is read by ranges, after one question for its length', async () => {
    const { source, asked, bytes, waits } = await readAll((one) => part(one));
    expect([source.name, source.bytes]).toEqual([url, 2179]);
    expect(equalBytes(bytes, file.subarray(315))).toBe(true);
    expect(await source.read(7, 7)).toHaveLength(0);
    expect(asked).toEqual([
      { start: 0, end: 1 },
      { start: 315, end: 2179 },
    ]);
    expect(waits).toEqual([]);
  });

  test('is asked again when the server is busy, the line breaks or less comes than was asked for', async () => {
    const { bytes, waits, asked } = await readAll((one, count) => {
      if (count === 1) return new Response('', { status: 503 });
      if (count === 3) throw new TypeError('fetch failed');
      if (count === 4) return part(one, { bytes: file.subarray(0, 500), range: `bytes 315-2178/2179` });
      return part(one);
    });
    expect(equalBytes(bytes, file.subarray(315))).toBe(true);
    expect(waits).toEqual([250, 250, 1000]);
    expect(asked).toHaveLength(5);
  });

  test.each<[string, Answer, RegExp, number]>([
    ['that is not there', () => new Response('', { status: 404 }), /no such file on the server \(404\)/, 1],
    ['that is not for everybody', () => new Response('', { status: 401 }), /wants a permission/, 1],
    ['that is empty', () => new Response('', { status: 416 }), /is empty/, 1],
    ['of a server without ranges', () => new Response(file), /does not know range requests; download/, 1],
    [
      'of a server that hides the range',
      (one) => new Response(file.slice(one.start, one.end), { status: 206 }),
      /no Content-Range/,
      1,
    ],
    [
      'of a server that gives another range',
      (one) => part(one, { range: 'bytes 5-5/2179' }),
      /asked for bytes 0 to 0, .*"bytes 5-5\/2179"/,
      1,
    ],
    [
      'of a server that does not say the length',
      (one) => part(one, { range: 'bytes 0-0/*' }),
      /answers with "bytes 0-0\/\*"/,
      1,
    ],
    ['whose tag changes', (one, count) => part(one, { etag: `"${count}"` }), /changed on the server/, 2],
    [
      'whose length changes',
      (one, count) => part(one, { bytes: count === 1 ? file : new Uint8Array(3000) }),
      /changed on the server/,
      2,
    ],
    ['that vanishes', (one, count) => (count === 1 ? part(one) : new Response('', { status: 410 })), /no such file/, 2],
    [
      'of a server that stays busy',
      () => new Response('', { status: 500 }),
      /4 tries failed, the last: the server answers 500/,
      4,
    ],
    [
      'of a server that nobody reaches',
      () => Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })),
      /4 tries failed, the last: connect ECONNREFUSED/,
      4,
    ],
  ])('%s is refused in one line, after as many tries as make sense', async (_what, answer, line, tries) => {
    const server = serverOf(answer);
    const reading = openUrlSource(url, server.options).then((source) => source.read(315, 2179));
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(line);
    await expect(reading).rejects.toThrow(/^https:\/\/models\.example\/model\.gguf: [^\n]+$/);
    expect(server.asked).toHaveLength(tries);
  });

  test('is left alone when its reader gives up', async () => {
    const abort = new AbortController();
    const server = serverOf(() => {
      abort.abort();
      throw new DOMException('aborted', 'AbortError');
    });
    const opening = openUrlSource(url, { ...server.options, signal: abort.signal });
    await expect(opening).rejects.toThrow(/given up, as asked/);
    expect(server.asked).toHaveLength(1);
  });
});

describe('a small file whole', () => {
  const text = (answer: Answer) => readUrlText(url, serverOf(answer).options);

  test('is its text, nothing where the server has none, and a line where it will not say', async () => {
    expect(await text(() => new Response('{}'))).toBe('{}');
    expect(await text(() => new Response('', { status: 404 }))).toBeUndefined();
    expect(await text((_one, count) => (count === 1 ? new Response('', { status: 429 }) : new Response('a')))).toBe(
      'a',
    );
    await expect(text(() => new Response('', { status: 403 }))).rejects.toThrow(/wants a permission/);
  });
});

describe('a chosen file', () => {
  test('is read range by range', async () => {
    const source = blobSource('model.gguf', new Blob([file]));
    expect(source.bytes).toBe(2179);
    expect(equalBytes(await source.read(65, 97), file.subarray(65, 97))).toBe(true);
    await expect(source.read(2000, 2180)).rejects.toThrow(/bytes 2000 to 2180 asked of 2179/);
  });

  test('that was changed meanwhile is told in one line', async () => {
    class Gone extends Blob {
      override slice(): Blob {
        throw new DOMException('gone', 'NotReadableError');
      }
    }
    const source = blobSource('model.gguf', new Gone([file]));
    await expect(source.read(0, 1)).rejects.toThrow(/^model\.gguf: cannot be read \(gone\); .* choose it again$/);
  });
});
