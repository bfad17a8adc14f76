/** What strangers may try on a hub: it stays up, stores nothing that nobody needs, and answers. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import { utf8 } from '../core/bytes.ts';
import { jobOfManifest, type Digest, type JobId } from '../core/ids.ts';
import { chunkBytesMax } from '../core/limits.ts';
import type { Identity } from '../protocol/identity.ts';
import type { ShaderJobInput } from '../protocol/job-file.ts';
import type { Lease, Message, MessageOf, MessageType, Role } from '../protocol/messages.ts';
import { encodeReceipt } from '../protocol/receipt.ts';
import { createMemoryHub, type MemoryHub } from './memory-hub.fixture.ts';
import { openSession, type Session } from './session.ts';
import { openSwarm, type Swarm } from './swarm.ts';

let hub: MemoryHub;
const closers: (() => void)[] = [];

beforeEach(async () => {
  hub = await createMemoryHub();
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) close();
  await hub.close();
});

const newIdentity = async (): Promise<Identity> => createIdentity({ accountKey: await (await ed25519()).generate() });

/** A peer by hand: says what it likes and hears everything. */
interface Hand {
  readonly identity: Identity;
  readonly session: Session;
  say(message: Message, tail?: Uint8Array): Promise<void>;
  /** The next message of this kind that was not asked for yet. */
  next<Type extends MessageType>(type: Type): Promise<MessageOf<Type>>;
}

async function connect(role: Role = 'volunteer', identity?: Identity): Promise<Hand> {
  const own = identity ?? (await newIdentity());
  const session = await openSession(hub.dial(), { identity: own, role, verify: verifySignature, clock: systemClock });
  const heard: Message[] = [];
  let wake = (): void => {};
  session.onMessage((message) => {
    heard.push(message);
    wake();
  });
  closers.push(() => session.close('the test is over'));
  return {
    identity: own,
    session,
    say: (message, tail) => session.send(message, tail === undefined ? [] : [tail]),
    next: async (type) => {
      for (;;) {
        const at = heard.findIndex((message) => message.type === type);
        if (at >= 0) return heard.splice(at, 1)[0] as MessageOf<typeof type>;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

async function submitter(): Promise<Swarm> {
  const swarm = await openSwarm({
    identity: await newIdentity(),
    verify: verifySignature,
    digestOf: sha256Large,
    clock: systemClock,
    dial: async () => ({ link: hub.dial() }),
    chunks: createMemoryChunks({ digestBytes: sha256Large }),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    unixSeconds: () => Math.floor(Date.now() / 1000),
  });
  closers.push(() => swarm.close());
  return swarm;
}

const wgsl = '@group(0) @binding(0) var<storage, read_write> out: array<u32>; @compute @workgroup_size(1) fn main() {}';
const files = { 'out.wgsl': wgsl };
const shaderJob = (units: number, replicas: number, name = 'a job'): ShaderJobInput => ({
  version: 1,
  name,
  program: 'shader',
  shader: 'out.wgsl',
  entryPoint: 'main',
  buffers: [{ binding: 0, kind: 'output', type: 'u32', count: 4 }],
  grid: [1, 1, 1],
  units: { count: units },
  verify: { replicas, absolute: 0, relative: 0 },
});

async function lend(hand: Hand): Promise<Lease> {
  const device = {
    deviceClass: 'test',
    fallback: true,
    features: [],
    bindingBytesMax: 2 ** 27,
    bufferBytesMax: 2 ** 28,
  };
  await hand.say({ type: 'ready', device, speeds: {} });
  await hand.say({ type: 'pull', slots: 1 });
  const [lease] = (await hand.next('lease')).leases;
  if (lease === undefined) throw new Error('no lease');
  return lease;
}

async function resultOf(
  hand: Hand,
  key: { job: JobId; unit: number; attempt: number },
  bytes: Uint8Array,
): Promise<MessageOf<'result'>> {
  const { job, unit, attempt } = key;
  const digest = await sha256Large(bytes);
  const receipt = encodeReceipt({
    job,
    unit,
    attempt,
    inputs: [],
    result: digest,
    volunteer: hand.identity.account,
    deviceClass: 'test',
    seconds: 1,
    previous: null,
  });
  const signature = await hand.identity.signAsAccount('receipt', utf8(receipt));
  return { type: 'result', job, unit, attempt, digest, seconds: 1, receipt, signature };
}

const someJob = jobOfManifest('5'.repeat(64) as Digest);
/** All that was said before has been dealt with. */
const settled = async (hand: Hand): Promise<void> => {
  await hand.say({ type: 'list-jobs' });
  await hand.next('jobs');
};

test('a result of no lease leaves neither its bytes nor its receipt behind', async () => {
  const stranger = await connect();
  const bytes = new Uint8Array(1000).fill(3);
  await stranger.say(await resultOf(stranger, { job: someJob, unit: 0, attempt: 1 }, bytes), bytes);
  expect(await stranger.next('settled')).toMatchObject({ agreed: false, credit: 0 });
  expect((await hub.chunks.usage()).chunks).toBe(0);
});

test('a result whose sender hangs up while it is stored leaves nothing behind', async () => {
  const swarm = await submitter();
  await swarm.submit(shaderJob(1, 1), { files });
  const volunteer = await connect();
  const bytes = new Uint8Array(16).fill(4);
  const message = await resultOf(volunteer, await lend(volunteer), bytes);
  const before = await hub.chunks.usage();
  const { put } = hub.chunks;
  const storing = new Promise<void>((started) => {
    Object.assign(hub.chunks, {
      put: async (digest: Digest, stored: Uint8Array) => {
        started();
        while (hub.running().view().volunteers.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
        return put(digest, stored);
      },
    });
  });
  await volunteer.say(message, bytes);
  await storing;
  volunteer.session.close('gone');
  await expect.poll(() => hub.running().view().volunteers.length).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await hub.chunks.usage()).toEqual(before);
});

test('a result of no lease cannot make the hub forget bytes that lie there for others', async () => {
  const bytes = utf8('somebody else’s receipt');
  const digest = await sha256Large(bytes);
  await hub.chunks.put(digest, bytes);
  const stranger = await connect();
  await stranger.say(await resultOf(stranger, { job: someJob, unit: 0, attempt: 1 }, bytes), bytes);
  await stranger.next('settled');
  expect(await hub.chunks.has(digest)).toBe(true);
});

test('a result that was lent is kept with its receipt, which the submitter can read', async () => {
  const swarm = await submitter();
  const job = await swarm.submit(shaderJob(1, 1), { files });
  const volunteer = await connect();
  const bytes = new Uint8Array(16).fill(7);
  const message = await resultOf(volunteer, await lend(volunteer), bytes);
  await volunteer.say(message, bytes);
  for await (const unit of job) {
    expect(unit.bytes).toEqual(bytes);
    const stored = await hub.chunks.get(unit.by[0]?.receipt ?? message.digest);
    expect(new TextDecoder().decode(stored)).toBe(`${message.receipt}\n${message.signature}`);
  }
  // The same once more, as after a reconnect, changes nothing.
  const before = await hub.chunks.usage();
  await volunteer.say(message, bytes);
  await settled(volunteer);
  expect(await hub.chunks.usage()).toEqual(before);
});

test('a chunk that is gone when its turn comes is answered as missing', async () => {
  const bytes = utf8('here today');
  const digest = await sha256Large(bytes);
  await hub.chunks.put(digest, bytes);
  const stranger = await connect();
  const { get } = hub.chunks;
  Object.assign(hub.chunks, { get: async () => undefined });
  await stranger.say({ type: 'chunk-get', digest });
  expect(await stranger.next('chunk-missing')).toEqual({ type: 'chunk-missing', digest });
  Object.assign(hub.chunks, { get });
});

test('an accepted unit whose bytes are gone is reported and holds back no other', async () => {
  const swarm = await submitter();
  const job = await swarm.submit(shaderJob(40, 1), { files });
  const { get } = hub.chunks;
  let lost = 0;
  const volunteer = await connect();
  Object.assign(hub.chunks, {
    get: async (digest: Digest) => {
      const bytes = await get(digest);
      return bytes?.byteLength === 16 && lost++ < 20 ? undefined : bytes;
    },
  });
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { unit } of job) if (seen.push(unit) === 20) return;
  })();
  for (let unit = 0; unit < 40; unit++) {
    const bytes = new Uint8Array(16).fill(unit);
    await volunteer.say(await resultOf(volunteer, await lend(volunteer), bytes), bytes);
  }
  await reading;
  expect(hub.reports.filter((line) => line.includes('missing from the store'))).toHaveLength(20);
});

test('a manifest that is none is not kept, and one larger than a chunk is not even taken', async () => {
  const stranger = await connect('submitter');
  for (const [bytes, what] of [
    [utf8('no manifest'), 'manifest: '],
    [new Uint8Array(chunkBytesMax + 1), 'the most is'],
  ] as const) {
    const digest = await sha256Large(bytes);
    await stranger.say({ type: 'submit', job: jobOfManifest(digest), signature: 'AAAA' });
    await stranger.next('chunks-wanted');
    await stranger.say({ type: 'chunk', digest }, bytes);
    expect((await stranger.next('refused')).reason).toContain(what);
    expect(await hub.chunks.has(digest)).toBe(false);
  }
});

test('a peer has only so many open offers', async () => {
  const stranger = await connect('submitter');
  for (let n = 0; n < 300; n++) {
    const job = n.toString(16).padStart(64, '0') as JobId;
    await stranger.say({ type: 'submit', job, signature: 'AAAA' });
  }
  expect((await stranger.next('refused')).reason).toContain('open offers');
});

test('jobs with long names are listed as far as they fit a message', async () => {
  const swarm = await submitter();
  const jobs: JobId[] = [];
  for (let n = 0; n < 30; n++) jobs.push((await swarm.submit(shaderJob(1, 1, '\u0001'.repeat(1000)), { files })).id);
  // Submitting is not waiting: the last is there once its state came.
  while ((await swarm.jobs()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  expect((await swarm.jobs()).length).toBeLessThan(30);
});

test('a peer whose link closes while its proof is verified leaves no ghost behind', async () => {
  let verified = 0;
  const guarded = await createMemoryHub({
    verify: async (...statement) => {
      if (statement[1] === 'prove') {
        link.close('gone');
        await new Promise((resolve) => setTimeout(resolve, 20));
        verified += 1;
      }
      return verifySignature(...statement);
    },
  });
  const link = guarded.dial();
  const identity = await newIdentity();
  await openSession(link, { identity, role: 'volunteer', verify: verifySignature, clock: systemClock }).catch(() => {});
  await expect.poll(() => verified).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(guarded.running().view().volunteers).toEqual([]);
  await guarded.close();
});
