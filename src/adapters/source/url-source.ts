/**
 * A file on a web server as a source of bytes, by range requests (RFC 9110, section 14). A server that ignores ranges is
 * refused: each range would cost the whole file. A file that changes between two ranges is refused too, as its tensors would
 * be of two versions. What may pass by itself (a lost connection, a busy server) is tried again a few times.
 */

import { assertRange, type ByteSource } from '../../core/byte-source.ts';
import { concatAll, type Bytes } from '../../core/bytes.ts';
import { InputError } from '../../core/result.ts';

export interface UrlSourceOptions {
  readonly fetch?: typeof fetch;
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
  /** Resolves after that many milliseconds. */
  readonly wait?: (ms: number) => Promise<void>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Waits between tries of one range, in milliseconds; then the range is given up. */
const triesAfterMs = [250, 1000, 4000];

/** What all ranges of one file have in common. */
interface Version {
  readonly bytes: number;
  readonly tag: string | undefined;
}

/** Asks for the first byte, to learn how long the file is. Throws an `InputError` of one line. */
export async function openUrlSource(url: string, options: UrlSourceOptions = {}): Promise<ByteSource> {
  const { version } = await request(url, 0, 1, options, undefined);
  return {
    name: url,
    bytes: version.bytes,
    read: async (start, end) => {
      assertRange({ name: url, bytes: version.bytes }, start, end);
      return start === end ? new Uint8Array() : (await request(url, start, end, options, version)).bytes;
    },
  };
}

/** A small file whole, or undefined where the server has none. Throws an `InputError` of one line. */
export const readUrlText = (url: string, options: UrlSourceOptions = {}): Promise<string | undefined> =>
  retried(url, options, async () => {
    const response = await send(url, options, {});
    if (response.status === 404 || response.status === 410) return undefined;
    if (response.status !== 200) throw await refused(url, response);
    return readText(url, response);
  });

/** A tokenizer of 250,000 pieces is 35 MB of text. */
const textBytesMax = 128 * 1024 * 1024;

async function readText(url: string, { body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body ?? []) {
    bytes += piece.byteLength;
    if (bytes > textBytesMax)
      throw new InputError(`${url}: longer than ${textBytesMax} bytes; is this the right file?`);
    parts.push(piece);
  }
  return new TextDecoder().decode(concatAll(parts));
}

interface Answer {
  readonly version: Version;
  readonly bytes: Bytes;
}

const request = (
  url: string,
  start: number,
  end: number,
  options: UrlSourceOptions,
  expected: Version | undefined,
): Promise<Answer> => retried(url, options, () => ask(url, start, end, options, expected));

/** `once` throws an `InputError` where another try is in vain. */
async function retried<T>(url: string, options: UrlSourceOptions, once: () => Promise<T>): Promise<T> {
  const { wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms)), signal } = options;
  for (let tries = 0; ; tries++) {
    try {
      return await once();
    } catch (error) {
      const pause = triesAfterMs[tries];
      if (error instanceof InputError) throw error;
      if (signal?.aborted === true) throw new InputError(`${url}: given up, as asked`);
      if (pause === undefined) throw new InputError(`${url}: ${tries + 1} tries failed, the last: ${reasonOf(error)}`);
      await wait(pause);
    }
  }
}

const send = (
  url: string,
  { fetch: ask = fetch, signal, headers }: UrlSourceOptions,
  more: Readonly<Record<string, string>>,
): Promise<Response> => ask(url, { headers: { ...headers, ...more }, ...(signal === undefined ? {} : { signal }) });

/** `fetch failed` hides its reason one deeper. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** One try. */
async function ask(
  url: string,
  start: number,
  end: number,
  options: UrlSourceOptions,
  expected: Version | undefined,
): Promise<Answer> {
  const response = await send(url, options, { range: `bytes=${start}-${end - 1}` });
  if (response.status !== 206) throw await refused(url, response);
  const version = versionOf(url, response, start, end);
  if (expected !== undefined && (version.bytes !== expected.bytes || version.tag !== expected.tag)) {
    await response.body?.cancel();
    throw new InputError(`${url}: changed on the server while it was read; start again`);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  const wanted = Math.min(end, version.bytes) - start;
  if (bytes.byteLength !== wanted) throw new Error(`${bytes.byteLength} of ${wanted} bytes came`);
  return { version, bytes };
}

/** What another try cannot mend is an `InputError`. */
async function refused(url: string, { status, body }: Response): Promise<Error> {
  await body?.cancel();
  if (status === 408 || status === 429 || status >= 500) return new Error(`the server answers ${status}`);
  return new InputError(`${url}: ${refusalOf(status)}`);
}

function refusalOf(status: number): string {
  if (status === 404 || status === 410) return `no such file on the server (${status})`;
  if (status === 401 || status === 403) return `the server wants a permission that you did not give (${status})`;
  if (status === 416) return 'the file is empty, or shorter than it was (416)';
  if (status === 200) return 'the server does not know range requests; download the file and give its path';
  return `the server answers ${status}; the file was expected`;
}

function versionOf(url: string, { headers }: Response, start: number, end: number): Version {
  const range = headers.get('content-range');
  if (range === null) {
    throw new InputError(
      `${url}: the answer has no Content-Range that may be read; the server must send it, and to pages of other sites expose it`,
    );
  }
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
  const bytes = Number(total);
  if (Number(first) !== start || Number(last) !== Math.min(end, bytes) - 1 || !Number.isSafeInteger(bytes)) {
    throw new InputError(
      `${url}: asked for bytes ${start} to ${end - 1}, the server answers with ${JSON.stringify(range.slice(0, 60))}`,
    );
  }
  return { bytes, tag: headers.get('etag') ?? undefined };
}
