/**
 * Hub, volunteers and submitter put together over memory links: real machines, real handshakes and signatures; only the
 * GPU is a function of the test.
 */

import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryHub, type MemoryHub } from './memory-hub.fixture.ts';
import type { Bytes } from '../core/bytes.ts';
import { openSwarm, type Swarm } from './swarm.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import { createVolunteerTab, type RunningVolunteer } from './volunteer.ts';
import type { Compute } from './unit-runner.ts';
import type { ShaderJobInput } from '../protocol/job-file.ts';

const wgsl = `
  @group(0) @binding(0) var<uniform> unit: vec4u;
  @group(0) @binding(1) var<storage, read_write> squares: array<u32>;
  @compute @workgroup_size(1) fn main() { squares[0] = unit.x * unit.x; }
`;

const job = (units: number, replicas: number): ShaderJobInput => ({
  version: 1,
  name: 'squares',
  program: 'shader',
  shader: 'squares.wgsl',
  entryPoint: 'main',
  buffers: [
    { binding: 0, kind: 'unit' },
    { binding: 1, kind: 'output', type: 'u32', count: 4 },
  ],
  grid: [1, 1, 1],
  units: { count: units },
  verify: { replicas, absolute: 0, relative: 0 },
});

const square = (unit: number): Bytes => new Uint8Array(new Uint32Array([unit * unit, unit, 7, 9]).buffer);

function computeWith(run: (unit: number) => Promise<Bytes> | Bytes): Compute {
  return {
    device: { deviceClass: 'test', fallback: true, features: [], bindingBytesMax: 2 ** 27, bufferBytesMax: 2 ** 28 },
    run: async ({ lease }) => run(lease.unit),
    gone: new Promise(() => {}),
    close: () => {},
  };
}

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function volunteer(hub: MemoryHub, compute: Compute): Promise<RunningVolunteer> {
  const identity = await createIdentity({ accountKey: await (await ed25519()).generate() });
  const tab = createVolunteerTab({
    address: 'memory',
    identity: async () => identity,
    openCompute: async () => compute,
    openChunks: async () => createMemoryChunks({ digestBytes: sha256Large }),
    takeTurn: async () => () => {},
    dial: async () => ({ link: hub.dial() }),
    verify: verifySignature,
    digestOf: sha256Large,
    clock: systemClock,
    changed: () => {},
    outdated: () => {},
  });
  tab.start();
  closers.push(() => tab.stop());
  return tab;
}

async function submitter(hub: MemoryHub): Promise<Swarm> {
  const swarm = await openSwarm({
    identity: await createIdentity({ accountKey: await (await ed25519()).generate() }),
    verify: verifySignature,
    digestOf: sha256Large,
    clock: systemClock,
    chunks: createMemoryChunks({ digestBytes: sha256Large }),
    dial: async () => ({ link: hub.dial() }),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    unixSeconds: () => Math.floor(Date.now() / 1000),
  });
  closers.push(() => swarm.close());
  return swarm;
}

const open = async (): Promise<MemoryHub> => {
  const hub = await createMemoryHub();
  closers.push(() => hub.close());
  return hub;
};

const files = { 'squares.wgsl': wgsl };

describe('a hub, volunteers and a submitter', () => {
  it('do a job of 16 units with two replicas, every result right and paid once', async () => {
    const hub = await open();
    for (let index = 0; index < 3; index++) await volunteer(hub, computeWith(square));
    const swarm = await submitter(hub);
    const running = await swarm.submit(job(16, 2), { files });
    const seen = new Map<number, number>();
    for await (const { unit, outputs } of running) seen.set(unit, outputs[0]?.data[0] ?? -1);
    const ended = await running.finished;
    expect(ended.state).toBe('done');
    expect([...seen.entries()].toSorted(([a], [b]) => a - b)).toEqual(
      Array.from({ length: 16 }, (_, unit) => [unit, unit * unit]),
    );
    expect(ended.disagreements).toBe(0);
    const { ledger } = hub.running().view();
    expect(new Set(ledger.map((entry) => `${entry.unit}/${entry.account}`)).size).toBe(ledger.length);
    expect(ledger.length).toBeGreaterThanOrEqual(32);
  });

  it('catch a liar: its results are found wrong and it gets no more work', async () => {
    const hub = await open();
    const liar = await volunteer(
      hub,
      computeWith((unit) => square(unit).map((byte) => byte ^ 0x40)),
    );
    for (let index = 0; index < 3; index++) await volunteer(hub, computeWith(square));
    const swarm = await submitter(hub);
    const running = await swarm.submit(job(24, 2), { files });
    for await (const { unit, outputs } of running) expect(outputs[0]?.data[0]).toBe(unit * unit);
    const ended = await running.finished;
    expect(ended.state).toBe('done');
    expect(ended.disagreements).toBeGreaterThan(0);
    expect(liar.view().excluded).toBe(true);
    expect(liar.view().credit).toBe(0);
  });

  it('fail a job whose unit fails on three volunteers, with the reason', async () => {
    const hub = await open();
    const failing = computeWith((unit) => {
      if (unit === 3) throw new Error('unit 3 divides by zero');
      return square(unit);
    });
    for (let index = 0; index < 3; index++) await volunteer(hub, failing);
    const swarm = await submitter(hub);
    const running = await swarm.submit(job(8, 1), { files });
    const ended = await running.finished;
    expect(ended.state).toBe('failed');
    expect(ended.reason).toContain('divides by zero');
  });

  it('go on after the hub died and came back with its log: accepted units are not run again', async () => {
    const hub = await open();
    const runs = new Map<number, number>();
    const holds: (() => void)[] = [];
    const slow = computeWith(async (unit) => {
      runs.set(unit, (runs.get(unit) ?? 0) + 1);
      if (unit >= 6) await new Promise<void>((resolve) => holds.push(resolve));
      return square(unit);
    });
    await volunteer(hub, slow);
    const swarm = await submitter(hub);
    const running = await swarm.submit(job(12, 1), { files });
    const results = running[Symbol.asyncIterator]();
    for (let index = 0; index < 6; index++) await results.next();
    await hub.kill();
    await hub.start();
    const release = setInterval(() => holds.splice(0).forEach((resume) => resume()), 10);
    closers.push(() => clearInterval(release));
    const rest: number[] = [];
    for (let next = await results.next(); next.done !== true; next = await results.next()) rest.push(next.value.unit);
    expect((await running.finished).state).toBe('done');
    expect(rest.toSorted((a, b) => a - b)).toEqual([6, 7, 8, 9, 10, 11]);
    for (let unit = 0; unit < 6; unit++) expect(runs.get(unit)).toBe(1);
    expect(hub.running().view().ledger).toHaveLength(12);
  });

  it('cancel when the signal aborts, and the volunteer lets go', async () => {
    const hub = await open();
    const tab = await volunteer(
      hub,
      computeWith(() => new Promise<Bytes>(() => {})),
    );
    const swarm = await submitter(hub);
    const abort = new AbortController();
    const running = await swarm.submit(job(4, 1), { files, signal: abort.signal });
    await expect.poll(() => tab.view().current !== undefined).toBe(true);
    abort.abort();
    expect((await running.finished).state).toBe('cancelled');
    await expect.poll(() => tab.view().held).toBe(0);
  });

  it('cancel a job while the hub is away: it is cancelled when the hub is back, and who asked for the jobs hears of it', async () => {
    const hub = await open();
    const tab = await volunteer(
      hub,
      computeWith(() => new Promise<Bytes>(() => {})),
    );
    const swarm = await submitter(hub);
    const running = await swarm.submit(job(4, 1), { files });
    await expect.poll(() => tab.view().current !== undefined).toBe(true);
    await hub.kill();
    running.cancel();
    const listed = swarm.jobs();
    await hub.start();
    expect((await running.finished).state).toBe('cancelled');
    expect((await listed).map(({ job: id }) => id)).toEqual([running.id]);
    await expect.poll(() => tab.view().held).toBe(0);
  });

  it('let nobody cancel another account’s job, and say so', async () => {
    const hub = await open();
    await volunteer(
      hub,
      computeWith(() => new Promise<Bytes>(() => {})),
    );
    const running = await (await submitter(hub)).submit(job(4, 1), { files });
    await expect.poll(() => running.state()?.state).toBe('running');
    const stranger = await submitter(hub);
    const watched = stranger.submitter.watch(running.id, 4);
    watched.cancel();
    await expect(watched.finished).rejects.toThrow('only the account that submitted a job may cancel it');
    expect(running.state()?.state).toBe('running');
  });

  it('return leases at once when a volunteer pauses, and another finishes the job', async () => {
    const hub = await open();
    const stuck = await volunteer(
      hub,
      computeWith(() => new Promise<Bytes>(() => {})),
    );
    const swarm = await submitter(hub);
    const running = await swarm.submit(job(4, 1), { files });
    await expect.poll(() => stuck.view().current !== undefined).toBe(true);
    stuck.pause('paused');
    await volunteer(hub, computeWith(square));
    expect((await running.finished).state).toBe('done');
    expect(stuck.view().sent).toBe(0);
  });
});
