/**
 * The two ends of the suite `network`, in a tab or in Node alike: one on a framed link of ours, one on a data channel as the
 * platform gives it. Either sends so many bytes and hears when the far end has them all, and goes to the far end and back.
 */

import type { FramedLink } from '../../src/adapters/net/framed-link.ts';
import { sha256 } from '../../src/core/hash.ts';
import { bufferedBytesHigh, bufferedBytesLow, chunkBytesMax, fragmentBytesMax } from '../../src/core/limits.ts';
import { decodeFrame, encodeFrame } from '../../src/protocol/frame.ts';

export interface End {
  /** Sends so many MiB; resolves when the far end has all of them. */
  send(mebibytes: number): Promise<void>;
  /** To the far end and back, so often, one after another. */
  roundTrips(count: number): Promise<void>;
  close(): void;
}

/** `expect` so many `bytes`; `all` of them are there; `ping` and `pong`. */
interface Word {
  readonly word: string;
  readonly bytes?: number;
}

const wordOf = (said: Readonly<Record<string, unknown>>): Word => ({
  word: String(said['word']),
  bytes: Number(said['bytes'] ?? 0),
});

/** What both kinds share: who is told to expect bytes answers when they are there, and pings come back. */
function createEnd(say: (word: Word) => void, put: (mebibytes: number) => Promise<void>, close: () => void) {
  let expected = 0;
  let arrived = 0;
  let answered = (): void => {};
  const answer = (): Promise<void> => new Promise((resolve) => (answered = resolve));
  const check = (): void => {
    if (expected === 0 || arrived < expected) return;
    expected = 0;
    arrived = 0;
    say({ word: 'all' });
  };
  const end: End = {
    async send(mebibytes) {
      const all = answer();
      say({ word: 'expect', bytes: mebibytes * chunkBytesMax });
      await put(mebibytes);
      await all;
    },
    async roundTrips(count) {
      for (let trip = 0; trip < count; trip++) {
        const back = answer();
        say({ word: 'ping' });
        await back;
      }
    },
    close,
  };
  const heard = (word: Word): void => {
    if (word.word === 'ping') return say({ word: 'pong' });
    if (word.word !== 'expect') return answered();
    expected = word.bytes ?? 0;
    check();
  };
  const took = (bytes: number): void => {
    arrived += bytes;
    check();
  };
  return { end, heard, took };
}

/** Random enough that nothing on the way could make less of it. */
function megabyte(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunkBytesMax);
  for (let start = 0; start < bytes.byteLength; start += 65_536)
    crypto.getRandomValues(bytes.subarray(start, start + 65_536));
  return bytes;
}

/** Bytes go as chunks do: a header and a MiB behind it, encoded and decoded, on the bulk lane. */
export function createLinkEnd(link: FramedLink): End {
  const chunk = megabyte();
  const header = { type: 'chunk', digest: sha256(chunk) };
  const { end, heard, took } = createEnd(
    (word) => void link.send('control', encodeFrame({ ...word })).catch(() => {}),
    async (mebibytes) => {
      for (let sent = 0; sent < mebibytes; sent++) await link.send('bulk', encodeFrame(header, [chunk]));
    },
    () => link.close('the race is over'),
  );
  link.onFrame((lane, bytes) => {
    const frame = decodeFrame(bytes);
    if (!frame.ok) throw new Error(frame.error.text);
    if (lane === 'control') heard(wordOf(frame.value.header));
    else took(frame.value.tails[0]?.byteLength ?? 0);
  });
  return end;
}

/** The same bytes in messages of the same size, with the same marks for when to wait; nothing is framed or checked. */
export function createRawEnd(channel: RTCDataChannel, close: () => void): End {
  channel.binaryType = 'arraybuffer';
  channel.bufferedAmountLowThreshold = bufferedBytesLow;
  const chunk = megabyte();
  const drained = (): Promise<void> =>
    new Promise((resolve) => channel.addEventListener('bufferedamountlow', () => resolve(), { once: true }));
  const { end, heard, took } = createEnd(
    (word) => channel.send(JSON.stringify(word)),
    async (mebibytes) => {
      for (let sent = 0; sent < mebibytes; sent++) {
        for (let start = 0; start < chunk.byteLength; start += fragmentBytesMax) {
          if (channel.bufferedAmount >= bufferedBytesHigh) await drained();
          channel.send(chunk.subarray(start, start + fragmentBytesMax));
        }
      }
    },
    close,
  );
  channel.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data === 'string') heard(wordOf(JSON.parse(data) as Record<string, unknown>));
    else took(data.byteLength);
  });
  return end;
}

/** A connection with one data channel, its signals carried by whoever holds both ends. */
export interface RawPeer {
  offer(): Promise<string>;
  answer(offer: string): Promise<string>;
  accept(answer: string): Promise<void>;
  end(): Promise<End>;
}

export function createRawPeer(): RawPeer {
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel('raw', { negotiated: true, id: 0, ordered: true });
  const open = new Promise<void>((resolve) => channel.addEventListener('open', () => resolve(), { once: true }));
  const described = async (type: 'offer' | 'answer'): Promise<string> => {
    const gathered = new Promise<void>((resolve) => {
      connection.addEventListener('icegatheringstatechange', () => {
        if (connection.iceGatheringState === 'complete') resolve();
      });
    });
    await connection.setLocalDescription(
      type === 'offer' ? await connection.createOffer() : await connection.createAnswer(),
    );
    if (connection.iceGatheringState !== 'complete') await gathered;
    return connection.localDescription?.sdp ?? '';
  };
  return {
    offer: () => described('offer'),
    async answer(offer) {
      await connection.setRemoteDescription({ type: 'offer', sdp: offer });
      return described('answer');
    },
    accept: (answer) => connection.setRemoteDescription({ type: 'answer', sdp: answer }),
    async end() {
      await open;
      return createRawEnd(channel, () => connection.close());
    },
  };
}
