/**
 * What every link must do, as named cases that run wherever there is a pair: under vitest in Node, and in a page against
 * another tab or against Node. A case throws an Error that says what went wrong.
 */

import { frameBytesMax, bufferedBytesHigh, fragmentBytesMax } from '../../core/limits.ts';
import { LinkClosedError, type Lane } from '../../protocol/ports.ts';
import type { FramedLink } from './framed-link.ts';
import { digestOfFrame, patternFrame, type Arrival, type Partner } from './link-partner.ts';

/** This end of a fresh link, and what steers the far end. */
export interface LinkPair {
  readonly near: FramedLink;
  readonly far: Partner;
}

export interface LinkCase {
  readonly name: string;
  run(pair: LinkPair): Promise<void>;
}

const megabyte = 1 << 20;
/** Awkward sizes: nothing, one byte, a fragment's payload and its neighbours, several fragments. */
const sizes = [0, 1, 315, 2179, fragmentBytesMax - 9, fragmentBytesMax - 8, fragmentBytesMax - 7, 200_003];

export const linkCases: readonly LinkCase[] = [
  {
    name: 'frames of awkward sizes arrive whole and in order on each lane, in both directions',
    async run({ near, far }) {
      const arrived = listen(near);
      await Promise.all([
        ...sizes.flatMap((bytes, index) => [
          near.send('control', patternFrame(bytes, 100 + index)),
          near.send('bulk', patternFrame(bytes, 200 + index)),
        ]),
        far.send('control', sizes, 300),
        far.send('bulk', sizes, 400),
      ]);
      await eventually('the far end to get all frames', async () => (await far.arrivals()).length === 2 * sizes.length);
      await eventually('the near end to get all frames', () => arrived.length === 2 * sizes.length);
      const theirs = await far.arrivals();
      sameFrames(theirs, 'control', sizes, 100);
      sameFrames(theirs, 'bulk', sizes, 200);
      sameFrames(arrived, 'control', sizes, 300);
      sameFrames(arrived, 'bulk', sizes, 400);
    },
  },
  {
    name: 'a frame of 8 MB arrives whole in both directions',
    async run({ near, far }) {
      const arrived = listen(near);
      await near.send('bulk', patternFrame(8 * megabyte, 1));
      await far.send('bulk', [8 * megabyte], 2);
      await eventually('the far end to get 8 MB', async () => (await far.arrivals()).length === 1);
      await eventually('the near end to get 8 MB', () => arrived.length === 1);
      sameFrames(await far.arrivals(), 'bulk', [8 * megabyte], 1);
      sameFrames(arrived, 'bulk', [8 * megabyte], 2);
    },
  },
  {
    name: 'a control frame overtakes a full bulk lane',
    async run({ near, far }) {
      const bulk = Array.from({ length: 12 }, (_, index) => near.send('bulk', patternFrame(megabyte, index)));
      await near.send('control', patternFrame(315, 50));
      await Promise.all(bulk);
      await eventually('all frames', async () => (await far.arrivals()).length === 13);
      const place = (await far.arrivals()).findIndex(({ lane }) => lane === 'control');
      check(place < 8, `the control frame arrived after ${place} of 12 bulk frames that were queued before it`);
    },
  },
  {
    name: 'a lane that is full makes the sender wait, and its queue stays bounded',
    async run({ near, far }) {
      let queued = 0;
      const sends = Array.from({ length: 24 }, async (_, index) => {
        await near.send('bulk', patternFrame(megabyte, index));
        queued += 1;
      });
      await Promise.resolve();
      await Promise.resolve();
      check(queued < 24, 'all sends of 24 MB resolved at once: nobody waits');
      await Promise.all(sends);
      const most = bufferedBytesHigh + fragmentBytesMax;
      check(near.bufferedMost <= most, `${near.bufferedMost} bytes were queued, the most is ${most}`);
      await eventually('24 frames', async () => (await far.arrivals()).length === 24);
    },
  },
  {
    name: 'closing in the middle of sending rejects what waits and what comes later with LinkClosedError',
    async run({ near, far }) {
      const sends = Array.from({ length: 24 }, (_, index) => near.send('bulk', patternFrame(megabyte, index)));
      const settled = Promise.allSettled(sends);
      near.close('changed my mind');
      const rejected = (await settled).filter((send) => send.status === 'rejected');
      check(rejected.length > 0, 'nothing was rejected');
      check(
        rejected.every(({ reason }) => reason instanceof LinkClosedError),
        'rejected with another error',
      );
      const late = await near.send('control', patternFrame(1, 1)).catch((error: unknown) => error);
      check(late instanceof LinkClosedError, 'a send after closing was not rejected with LinkClosedError');
      await eventually('the far end to close', async () => (await far.closed()) !== undefined);
      check(
        (await far.arrivals()).every(({ bytes }) => bytes === megabyte),
        'a part of a frame was delivered',
      );
    },
  },
  {
    name: 'both ends learn once why the link was closed, also those who ask late',
    async run({ near, far }) {
      const reasons: string[] = [];
      near.onClose((reason) => reasons.push(reason));
      near.close('work is done');
      near.close('again');
      near.onClose((reason) => reasons.push(reason));
      check(reasons.join('|') === 'work is done|work is done', `the near end heard ${reasons.join('|')}`);
      await eventually('the far end to close', async () => (await far.closed()) !== undefined);
      const reason = await far.closed();
      check(reason === 'closed by the other side: work is done', `the far end heard ${String(reason)}`);
    },
  },
  {
    name: 'the far end closes and this end learns why',
    async run({ near, far }) {
      let heard: string | undefined;
      near.onClose((reason) => (heard = reason));
      await far.close('enough');
      await eventually('the near end to close', () => heard !== undefined);
      check(heard === 'closed by the other side: enough', `the near end heard ${String(heard)}`);
    },
  },
  {
    name: 'both ends count the same bytes, payload and framing',
    async run({ near, far }) {
      const arrived = listen(near);
      await Promise.all([
        near.send('bulk', patternFrame(3 * megabyte, 1)),
        near.send('control', patternFrame(2179, 2)),
        far.send('bulk', [2 * megabyte], 3),
      ]);
      await eventually('all frames', async () => arrived.length === 1 && (await far.arrivals()).length === 2);
      await eventually('equal counts', async () => {
        const theirs = await far.counted();
        return near.counted.sent === theirs.received && near.counted.received === theirs.sent;
      });
      const payload = 3 * megabyte + 2179;
      const { sent } = near.counted;
      check(sent > payload && sent < payload * 1.01 + 1000, `${sent} bytes were counted for a payload of ${payload}`);
    },
  },
  {
    name: 'frames that came before anybody listened are held in order',
    async run({ near, far }) {
      await far.send('control', [315, 1, 2179], 10);
      const sent = (await far.counted()).sent;
      await eventually('the bytes to come', () => near.counted.received === sent);
      const arrived = listen(near);
      await eventually('held frames', () => arrived.length === 3);
      sameFrames(arrived, 'control', [315, 1, 2179], 10);
    },
  },
  {
    name: 'a malformed fragment closes the link with one line and delivers nothing',
    run: (pair) => closesOn(pair, [9, 0, 0, 0, 1, 0, 0, 0, 42], /^malformed fragment: no kind 9$/),
  },
  {
    name: 'a fragment shorter than its header closes the link with one line',
    run: (pair) => closesOn(pair, [1, 0, 0], /^malformed fragment: 3 bytes, expected 8 to 65536$/),
  },
  {
    name: 'an announced frame above the maximum closes the link before it is received',
    run: (pair) =>
      closesOn(pair, [1, 0, 0, 0, 1, 0, 0, 5, 42], /^oversize frame: 83886081 bytes announced, the most is 83886080$/),
  },
  {
    name: 'a frame that is larger than any may be is not sent, and the link goes on',
    async run({ near, far }) {
      const refused = await near.send('bulk', new Uint8Array(frameBytesMax + 1)).catch((error: unknown) => error);
      check(refused instanceof RangeError, 'an oversize frame was not refused with a RangeError');
      await near.send('bulk', patternFrame(315, 1));
      await eventually('the next frame', async () => (await far.arrivals()).length === 1);
    },
  },
];

async function closesOn({ near, far }: LinkPair, bytes: readonly number[], expected: RegExp): Promise<void> {
  const arrived = listen(near);
  let heard: string | undefined;
  near.onClose((reason) => (heard = reason));
  await far.sendRaw('control', bytes);
  await eventually('the link to close', () => heard !== undefined);
  check(expected.test(heard ?? ''), `closed with "${String(heard)}"`);
  check(arrived.length === 0, 'something was delivered');
  await eventually(
    'the far end to hear why',
    async () => (await far.closed()) === `closed by the other side: ${String(heard)}`,
  );
}

function listen(link: FramedLink): Arrival[] {
  const arrived: Arrival[] = [];
  link.onFrame((lane, frame) => arrived.push({ lane, bytes: frame.byteLength, digest: digestOfFrame(frame) }));
  return arrived;
}

function sameFrames(arrivals: readonly Arrival[], lane: Lane, expected: readonly number[], seed: number): void {
  const got = arrivals.filter((arrival) => arrival.lane === lane).map(({ bytes, digest }) => `${bytes}:${digest}`);
  const wanted = expected.map((bytes, index) => `${bytes}:${digestOfFrame(patternFrame(bytes, seed + index))}`);
  const first = wanted.findIndex((text, index) => text !== got[index]);
  check(
    first === -1 && got.length === wanted.length,
    `${lane} frame ${first} from seed ${seed} differs: ${got[first] ?? 'missing'}`,
  );
}

function check(condition: boolean, text: string): void {
  if (!condition) throw new Error(text);
}

/** Looks again until it holds; a real network tells nobody when a frame has arrived at the far end. */
async function eventually(what: string, holds: () => boolean | Promise<boolean>, msMax = 30_000): Promise<void> {
  const end = performance.now() + msMax;
  // Looking costs time that the link could use, most of all where the far end is in another process.
  for (let pause = 2; !(await holds()); pause = Math.min(2 * pause, 100)) {
    if (performance.now() > end) throw new Error(`waited ${msMax / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** MB/s of bulk frames of 1 MB from this end to the far end, and back. */
export async function measureLink({ near, far }: LinkPair, megabytes: number): Promise<{ out: number; back: number }> {
  const arrived = listen(near);
  const frames = Array.from({ length: megabytes }, () => megabyte);
  const start = performance.now();
  await Promise.all(frames.map((bytes, index) => near.send('bulk', patternFrame(bytes, index))));
  await eventually('all frames', async () => (await far.arrivals()).length === megabytes, 120_000);
  const middle = performance.now();
  await far.send('bulk', frames, 1);
  await eventually('all frames back', () => arrived.length === megabytes, 120_000);
  const rate = (ms: number): number => (megabytes * megabyte) / 1e6 / (ms / 1000);
  return { out: rate(middle - start), back: rate(performance.now() - middle) };
}
