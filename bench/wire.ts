/** The suite `wire`: what a megabyte costs the hub beside the network, which is framing it and naming it by its digest. */

import { randomBytes } from 'node:crypto';
import { sha256 } from '../src/core/hash.ts';
import { chunkBytesMax } from '../src/core/limits.ts';
import { decodeFrame, encodeFrame } from '../src/protocol/frame.ts';
import type { Case } from './measure.ts';

/** Each run repeats its work, so that the clock's grain does not show. */
const repeats = 32;

export function wireCases(): readonly Case[] {
  const chunk = new Uint8Array(randomBytes(chunkBytesMax));
  const header = { type: 'chunk', digest: sha256(chunk) };
  const frame = encodeFrame(header, [chunk]);
  const repeated =
    (work: () => unknown, times = repeats) =>
    (): number => {
      for (let time = 0; time < times; time += 1) work();
      return times * chunkBytesMax;
    };
  const ours = (name: string, run: () => number): Case => ({
    name,
    unit: 'MB/s',
    better: 'higher',
    scale: 1e6,
    contenders: [{ name: 'ours', run }],
  });
  return [
    ours(
      'frameEncode1MiB',
      repeated(() => encodeFrame(header, [chunk])),
    ),
    ours(
      'frameDecode1MiB',
      repeated(() => decodeFrame(frame)),
    ),
    ours(
      'sha256Pure1MiB',
      repeated(() => sha256(chunk), 2),
    ),
  ];
}
