/** What every store of tuned variants must do, whichever platform keeps it. For tests only. */

import { expect, test } from 'vitest';
import type { Winner, WinnerStore } from '../../kernels/winners.ts';

const winner = (family: string, bucket: string, variant: string): Winner => ({
  family,
  bucket,
  variant,
  timed: [{ variant, ms: 1.5 }],
  dropped: [{ variant: 'wrong', problem: 'output[0] is NaN' }],
  tried: ['plain', variant, 'wrong'],
  work: 1000,
  variants: ['plain', variant],
  shaders: ['0'.repeat(64)],
});

/** `open` gives a store, each time on the same disk; `fresh` one on an empty disk. */
export function testWinnerStore(kind: string, fresh: () => Promise<() => WinnerStore>): void {
  test(`${kind}: keeps winners by adapter, family and bucket, also for whoever opens it later`, async () => {
    const open = await fresh();
    const store = open();
    expect(await store.load('one')).toEqual([]);
    await store.save('one', winner('matmul', 'rows:64', 'tile'));
    await Promise.all([
      store.save('one', winner('matmul', 'rows:128', 'wide')),
      store.save('two', winner('matmul', 'rows:64', 'other')),
    ]);
    const later = open();
    expect(new Set((await later.load('one')).map((record) => JSON.stringify(record)))).toEqual(
      new Set(
        [winner('matmul', 'rows:64', 'tile'), winner('matmul', 'rows:128', 'wide')].map((one) => JSON.stringify(one)),
      ),
    );
    expect(await later.load('two')).toEqual([winner('matmul', 'rows:64', 'other')]);
    expect(await later.load('on')).toEqual([]);
  });

  test(`${kind}: a second winner of the same bucket replaces the first`, async () => {
    const store = (await fresh())();
    await store.save('one', winner('matmul', 'rows:64', 'tile'));
    await store.save('one', winner('matmul', 'rows:64', 'wide'));
    expect(await store.load('one')).toEqual([winner('matmul', 'rows:64', 'wide')]);
  });
}
