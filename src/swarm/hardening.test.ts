/** What strangers may say to the machine, and what jobs may ask of it, without stopping the hub or its volunteers. */

import { describe, expect, it } from 'vitest';
import { present } from '../core/assert.ts';
import { leasesPerMessageMax, priceMax, unitsPerJobMax } from '../core/limits.ts';
import { encodeFrame } from '../protocol/frame.ts';
import { decodeManifest, encodeManifest, type Manifest, type ManifestOf } from '../protocol/manifest.ts';
import { parseMessage } from '../protocol/messages.ts';
import { sampleManifest, sampleTraining } from './sample-manifests.ts';
import { digestNamed, jobOne, peerNamed, submitterAccount, TestHub } from './test-hub.ts';
import { checkTraining } from './training-manifest.ts';

const units = (count: number, replicas = 1): Manifest =>
  sampleManifest({ units: count, replicas, unitSeconds: 30 }, submitterAccount);
const training = (workers = 2): ManifestOf<'train'> =>
  sampleTraining({ workers, rounds: 2, method: 'diloco' }, 30, submitterAccount) as ManifestOf<'train'>;
const first = <T>(list: readonly T[]): T => present(list[0], 'a first one');

describe('a manifest', () => {
  it('with a price that would drown every other credit is refused, and the highest price is not', () => {
    const read = (price: number) => decodeManifest(encodeManifest({ ...units(1), price }));
    expect(read(Number.MAX_VALUE)).toMatchObject({ ok: false });
    expect(read(priceMax)).toMatchObject({ ok: true });
  });

  it('that trusts a unit with more time than a lease may last is refused', () => {
    const read = (unitSeconds: number) => decodeManifest(encodeManifest({ ...units(1), limits: { unitSeconds } }));
    expect(read(1e300)).toMatchObject({ ok: false });
    expect(read(3600)).toMatchObject({ ok: true });
  });

  it('of a training whose model, results or report a hub cannot carry is refused with the size', () => {
    const of = (change: object, method: object = {}) => {
      const manifest = training();
      const { train } = manifest;
      const model = { ...train.model, ...change };
      return checkTraining({ ...manifest, train: { ...train, model, method: { ...train.method, ...method } } });
    };
    expect(of({})).toBeUndefined();
    expect(of({ layers: 256, width: 65_536, hidden: 262_144 })).toMatch(/model: .* bytes of parameters/);
    // 20 M parameters: as bytes they fit a result, as f32 they do not.
    const twenty = { vocabulary: 2, layers: 1, width: 1024, hidden: 5376, heads: 8, keyValueHeads: 8 };
    expect(of(twenty, { compress: 'uint8' })).toBeUndefined();
    expect(of(twenty, { compress: 'none' })).toMatch(/a seat returns .* bytes/);
  });

  it('is objected to before its chunks are asked for', () => {
    const hub = new TestHub().connect('5ub', { role: 'submitter' });
    hub.input({
      type: 'submitted',
      from: peerNamed('5ub'),
      job: jobOne,
      signature: '',
      missing: [digestNamed('c1')],
      manifest: { ...units(1), expires: 1 },
      unixSeconds: 2,
    });
    expect(hub.sent('5ub', 'refused')).toMatchObject([{ reason: expect.stringContaining('expired') as string }]);
    expect(hub.sent('5ub', 'chunks-wanted')).toEqual([]);
  });
});

describe('a stranger', () => {
  it('that claims to have a million units two thousand times over does not hold up the hub', () => {
    const hub = new TestHub().submit(units(unitsPerJobMax));
    hub.connect('a9', { role: 'submitter' });
    const started = performance.now();
    hub.say('a9', {
      type: 'watch',
      job: jobOne,
      have: Array.from({ length: 2000 }, () => [0, unitsPerJobMax] as [number, number]),
    });
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it('gets the units that its runs leave out, wherever they lie', () => {
    const hub = new TestHub().submit(units(6)).join('a1', { slots: 6 });
    for (let unit = 0; unit < 6; unit++) {
      hub.pull('a1', 1);
      for (const lease of hub.leases('a1')) hub.finish('a1', lease, `f${lease.unit}`);
    }
    hub.connect('a9', { role: 'submitter' });
    const have: [number, number][] = [
      [4, 1],
      [0, 2],
      [1, 2],
    ];
    hub.say('a9', { type: 'watch', job: jobOne, have });
    const got = hub.sent('a9', 'unit-accepted').map(({ unit }) => unit);
    expect(got.toSorted((a, b) => a - b)).toEqual([3, 5]);
  });

  it('holds only so many leases, however often it asks', () => {
    const hub = new TestHub().submit(units(1000)).connect('a1');
    const device = {
      deviceClass: 'fast',
      fallback: false,
      features: [],
      bindingBytesMax: 2 ** 27,
      bufferBytesMax: 2 ** 27,
    };
    hub.say('a1', { type: 'ready', device, speeds: { shader: 1e9 } });
    for (let n = 0; n < 10; n++) hub.pull('a1', leasesPerMessageMax);
    expect(hub.leases('a1').length).toBeLessThanOrEqual(leasesPerMessageMax);
  });

  it('that only takes units and gives them back gets them more and more rarely', () => {
    const hub = new TestHub().submit(units(1)).join('a1');
    for (let n = 0; n < 100; n++) {
      for (const { job, unit, attempt } of hub.leases('a1'))
        hub.say('a1', { type: 'release', leases: [{ job, unit, attempt }], reason: 'refused' });
      hub.pull('a1', 1);
    }
    expect(hub.facts('leased').length).toBeLessThan(10);
  });

  it('cannot name a device class that makes acceptance outgrow a message', () => {
    const device = {
      deviceClass: '\u0001'.repeat(1000),
      fallback: false,
      features: [],
      bindingBytesMax: 1,
      bufferBytesMax: 1,
    };
    expect(parseMessage({ type: 'ready', device, speeds: {} })).toMatchObject({ ok: false });
    const longest = { ...device, deviceClass: '\u0001'.repeat(200) };
    expect(parseMessage({ type: 'ready', device: longest, speeds: {} })).toMatchObject({ ok: true });
    const by = Array.from({ length: 18 }, () => ({
      account: submitterAccount,
      peer: peerNamed('a1'),
      deviceClass: longest.deviceClass,
      receipt: digestNamed('f1'),
    }));
    encodeFrame({ type: 'unit-accepted', job: jobOne, unit: 1, digest: digestNamed('f1'), by });
  });
});

it('a training that is cancelled lets go of results that were being looked at', () => {
  const hub = new TestHub().submit(training());
  hub.input({ type: 'initialised', job: jobOne, parameters: { bytes: 4, chunks: [digestNamed('b2')] } });
  hub.join('a1').join('a2');
  hub.finish('a1', first(hub.leases('a1')), 'f1');
  expect(hub.hub.needs(digestNamed('f1'))).toBe(true);
  hub.say('5ub', { type: 'cancel', job: jobOne });
  expect(hub.hub.needs(digestNamed('f1'))).toBe(false);
});
