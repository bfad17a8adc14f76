/**
 * Nonsense on the wire, as strangers send it: each is refused in one line, to the one who sent it, and the hub goes on.
 * Every case ends with a whole job, so that a hub that lived but no longer worked would be noticed.
 */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';
import { utf8, type Bytes } from '../core/bytes.ts';
import { frameBytesMax, headerBytesMax } from '../core/limits.ts';
import type { Digest } from '../core/ids.ts';
import { encodeFrame } from '../protocol/frame.ts';
import type { Identity } from '../protocol/identity.ts';
import type { ShaderJobInput } from '../protocol/job-file.ts';
import type { DeviceDescription, Lease, Message, MessageOf, Role } from '../protocol/messages.ts';
import type { Lane, Link } from '../protocol/ports.ts';
import { encodeReceipt, type Receipt } from '../protocol/receipt.ts';
import { jobFileVersion, programSetVersion, protocolVersion } from '../protocol/versions.ts';
import { prepareShaderJob, type PreparedJob } from './job.ts';
import { createMemoryHub, type MemoryHub } from './memory-hub.fixture.ts';
import { openSession, type Session } from './session.ts';
import { openSwarm, type Swarm } from './swarm.ts';
import { createVolunteerTab } from './volunteer.ts';

let hub: MemoryHub;
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  hub = await createMemoryHub();
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  await hub.close();
});

const newIdentity = async (): Promise<Identity> => createIdentity({ accountKey: await (await ed25519()).generate() });

/** One end of a link whose other end is the hub, and the reasons for which the hub refused. */
interface Stranger {
  readonly identity: Identity;
  readonly session: Session;
  readonly refusals: readonly MessageOf<'refused'>[];
  readonly heard: readonly Message[];
  say(message: Message, tail?: Uint8Array): Promise<void>;
}

async function stranger(role: Role = 'volunteer'): Promise<Stranger> {
  const identity = await newIdentity();
  const session = await openSession(hub.dial(), { identity, role, verify: verifySignature, clock: systemClock });
  const heard: Message[] = [];
  const refusals: MessageOf<'refused'>[] = [];
  session.onMessage((message) => {
    heard.push(message);
    if (message.type === 'refused') refusals.push(message);
  });
  closers.push(() => session.close('the test is over'));
  return {
    identity,
    session,
    refusals,
    heard,
    say: (message, tail) => session.send(message, tail === undefined ? [] : [tail]),
  };
}

/** Refused once, in one line. */
async function expectRefusal(refusals: readonly MessageOf<'refused'>[], reason: RegExp): Promise<void> {
  await expect.poll(() => refusals.length).toBe(1);
  expect(refusals[0]?.reason).toMatch(reason);
  expect(refusals[0]?.reason).not.toContain('\n');
}

const wgsl = `
  @group(0) @binding(0) var<uniform> unit: vec4u;
  @group(0) @binding(1) var<storage, read_write> squares: array<u32>;
  @compute @workgroup_size(1) fn main() { squares[0] = unit.x * unit.x; }
`;
const job = (units: number): ShaderJobInput => ({
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
  verify: { replicas: 1, absolute: 0, relative: 0 },
});
const square = (unit: number): Bytes => new Uint8Array(new Uint32Array([unit * unit, 0, 0, 0]).buffer);

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

const device: DeviceDescription = {
  deviceClass: 'test',
  fallback: true,
  features: [],
  bindingBytesMax: 2 ** 27,
  bufferBytesMax: 2 ** 28,
};

async function volunteer(run: (unit: number) => Bytes): Promise<void> {
  const tab = createVolunteerTab({
    address: 'memory',
    identity: newIdentity,
    openCompute: async () => ({
      device,
      run: async ({ lease }) => run(lease.unit),
      gone: new Promise<string>(() => {}),
      close: () => {},
    }),
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
}

async function expectWholeJob(): Promise<void> {
  await volunteer(square);
  const swarm = await submitter();
  const running = await swarm.submit(job(4), { files: { 'squares.wgsl': wgsl } });
  const seen: number[] = [];
  for await (const { outputs } of running) seen.push(Number(outputs[0]?.data[0]));
  expect(seen.toSorted((a, b) => a - b)).toEqual([0, 1, 4, 9]);
  expect((await running.finished).state).toBe('done');
}

/** A frame whose header is this text. */
function frameOf(header: string, claimed = utf8(header).byteLength): Bytes {
  const text = utf8(header);
  const frame = new Uint8Array(4 + text.byteLength);
  new DataView(frame.buffer).setUint32(0, claimed, true);
  frame.set(text, 4);
  return frame;
}

describe('frames that cannot be read', () => {
  it.each<[string, Lane, () => Bytes, RegExp]>([
    ['a header that is not JSON', 'control', () => frameOf('{"type":'), /^frame: header is not JSON$/],
    ['a header that is a list', 'control', () => frameOf('[]'), /^frame: header is not an object$/],
    ['a header cut off', 'control', () => frameOf('{}', 100), /^frame: cut off in its header$/],
    ['a header that is too long', 'control', () => frameOf('{}', headerBytesMax + 1), /^frame: header of 65537 bytes/],
    ['no whole header length', 'control', () => Uint8Array.of(1, 2), /^frame: shorter than its header length$/],
    ['a tail cut off', 'bulk', () => frameOf('{"type":"chunk","tails":[9]}'), /^frame: cut off in a tail$/],
    ['an unknown type', 'control', () => frameOf('{"type":"take"}'), /^message: type: /],
    ['a field too many', 'control', () => frameOf('{"type":"pull","slots":1,"x":1}'), /^message: x: /],
    ['a message of the hub’s own', 'control', () => frameOf('{"type":"settled"}'), /^message: /],
  ])('%s is answered in one line, and the peer may go on', async (_what, lane, frame, reason) => {
    const { session, refusals } = await stranger();
    await session.link.send(lane, frame());
    await expectRefusal(refusals, reason);
    expect(hub.running().view().volunteers).toHaveLength(1);
    await expectWholeJob();
  });

  it('a frame that is too large ends its link before it is held in memory', async () => {
    const { session } = await stranger();
    const closed = new Promise<string>((resolve) => session.onClose(resolve));
    expect(() => encodeFrame({ type: 'chunk' }, [new Uint8Array(frameBytesMax)])).toThrow(/the most is/);
    await expect(session.link.send('bulk', new Uint8Array(frameBytesMax + 1))).rejects.toThrow(/the most is/);
    // The first of its fragments tells how many are to come; the far end need not wait for them.
    const first = new Uint8Array(64);
    new DataView(first.buffer).setUint32(0, 0x00ffffff, true);
    expect('sendRaw' in session.link).toBe(true);
    if ('sendRaw' in session.link && typeof session.link.sendRaw === 'function') session.link.sendRaw('bulk', first);
    expect(await closed).toMatch(/fragment|frame/);
    await expectWholeJob();
  });
});

describe('a handshake', () => {
  const helloOf = ({ account, session, sessionSignature }: Identity) => ({
    type: 'hello',
    protocol: protocolVersion,
    jobFile: jobFileVersion,
    programs: programSetVersion,
    role: 'volunteer',
    account,
    session,
    sessionSignature,
    nonce: '0'.repeat(64),
  });
  const greet = async (change: object): Promise<string> => {
    const link: Link = hub.dial();
    const closed = new Promise<string>((resolve) => link.onClose(resolve));
    link.onFrame(() => {});
    await link.send('control', encodeFrame({ ...helloOf(await newIdentity()), ...change }));
    return closed;
  };

  it.each<[string, object, RegExp]>([
    [
      'of another version',
      { protocol: protocolVersion + 1 },
      /versions differ: protocol \d+.* here, protocol \d+.* there/,
    ],
    ['of another version with fields of its own', { protocol: 99, colour: 'red' }, /versions differ: .*protocol 99/],
    ['with an account that did not sign the session', { account: '1'.repeat(64) }, /did not sign this session key/],
    ['that begins with work', { type: 'pull', slots: 1 }, /message: /],
  ])('%s is refused with the reason and the link closes', async (_what, change, reason) => {
    expect(await greet(change)).toMatch(reason);
    expect(hub.running().view().volunteers).toEqual([]);
    await expectWholeJob();
  });
});

describe('offers', () => {
  const prepare = async (by: Identity): Promise<PreparedJob<'shader'>> => {
    const { parseJobFile } = await import('../protocol/job-file.ts');
    const parsed = parseJobFile(job(4), 'job');
    if (!parsed.ok || parsed.value.program !== 'shader') throw new Error('the job of this test is a shader job');
    return prepareShaderJob(parsed.value, async () => utf8(wgsl), {
      submitter: by.account,
      nonce: '0'.repeat(32),
      now: Math.floor(Date.now() / 1000),
      digest: sha256Large,
    });
  };

  /** Offers the job and answers `chunks-wanted` with these bytes. */
  const offer = async (from: Stranger, prepared: PreparedJob<'shader'>, signature: string, bytesOf: BytesOf) => {
    await from.say({ type: 'submit', job: prepared.job, signature });
    const asked = () => from.heard.filter((message) => message.type === 'chunks-wanted');
    await expect.poll(() => asked().length).toBeGreaterThan(0);
    for (const digest of asked()[0]?.digests ?? [])
      await from.say({ type: 'chunk', digest }, bytesOf(digest, prepared));
  };
  type BytesOf = (digest: Digest, prepared: PreparedJob<'shader'>) => Uint8Array;
  const right: BytesOf = (digest, { chunks }) => chunks.get(digest) ?? new Uint8Array(0);

  it('with a signature by somebody else are refused', async () => {
    const from = await stranger('submitter');
    const prepared = await prepare(from.identity);
    const other = await newIdentity();
    await offer(from, prepared, await other.signAsAccount('manifest', prepared.manifestBytes), right);
    await expectRefusal(from.refusals, /^manifest: its signature is not the submitter’s; sign the exact bytes$/);
    expect(from.refusals[0]?.what).toBe('submit');
    expect(hub.running().view().jobs).toEqual([]);
    await expectWholeJob();
  });

  it('of somebody else’s manifest are refused', async () => {
    const [from, other] = [await stranger('submitter'), await newIdentity()];
    const prepared = await prepare(other);
    await offer(from, prepared, await other.signAsAccount('manifest', prepared.manifestBytes), right);
    await expectRefusal(from.refusals, /^manifest: names another submitter than the one who sends it$/);
    await expectWholeJob();
  });

  it('whose chunks are not what their digests say are refused, and nothing of them is kept', async () => {
    const from = await stranger('submitter');
    const prepared = await prepare(from.identity);
    const spoiled: BytesOf = (digest, all) => right(digest, all).map((byte, index) => (index === 5 ? byte ^ 1 : byte));
    await offer(from, prepared, await from.identity.signAsAccount('manifest', prepared.manifestBytes), spoiled);
    await expectRefusal(from.refusals, /digest/);
    expect(hub.running().view().jobs).toEqual([]);
    await expectWholeJob();
  });

  it('do not open the door for chunks that nobody asked for', async () => {
    const from = await stranger('submitter');
    const bytes = utf8('a stranger’s luggage');
    await from.say({ type: 'chunk', digest: await sha256Large(bytes) }, bytes);
    await expectRefusal(from.refusals, /^this chunk was not asked for$/);
    await expectWholeJob();
  });
});

describe('results', () => {
  const lend = async (from: Stranger): Promise<Lease> => {
    await from.say({ type: 'ready', device, speeds: {} });
    await from.say({ type: 'pull', slots: 1 });
    const leases = () => from.heard.flatMap((message) => (message.type === 'lease' ? message.leases : []));
    await expect.poll(() => leases().length).toBeGreaterThan(0);
    const [lease] = leases();
    if (lease === undefined) throw new Error('no lease');
    return lease;
  };
  const deliver = async (
    from: Stranger,
    { job: id, unit, attempt }: Lease,
    forge: { receipt?: Partial<Receipt>; signer?: Identity; digest?: Digest } = {},
  ): Promise<void> => {
    const bytes = square(unit);
    const digest = forge.digest ?? (await sha256Large(bytes));
    const receipt = encodeReceipt({
      job: id,
      unit,
      attempt,
      inputs: [],
      result: digest,
      volunteer: from.identity.account,
      deviceClass: 'test',
      seconds: 1,
      previous: null,
      ...forge.receipt,
    });
    const signature = await (forge.signer ?? from.identity).signAsAccount('receipt', utf8(receipt));
    await from.say({ type: 'result', job: id, unit, attempt, digest, seconds: 1, receipt, signature }, bytes);
  };

  it.each<[string, (from: Stranger, lease: Lease) => Promise<void>, RegExp]>([
    [
      'whose receipt somebody else signed',
      async (from, lease) => deliver(from, lease, { signer: await newIdentity() }),
      /^receipt: its signature is not the volunteer’s$/,
    ],
    [
      'whose receipt is another volunteer’s',
      async (from, lease) => deliver(from, lease, { receipt: { volunteer: (await newIdentity()).account } }),
      /^receipt: speaks of another result than the one it came with$/,
    ],
    [
      'whose receipt is of another unit',
      (from, lease) => deliver(from, lease, { receipt: { unit: lease.unit + 1 } }),
      /^receipt: speaks of another result than the one it came with$/,
    ],
    [
      'whose bytes are not those that were signed',
      async (from, lease) => deliver(from, lease, { digest: await sha256Large(utf8('other bytes')) }),
      /digest/,
    ],
  ])('%s are refused, and the honest result is taken afterwards', async (_what, forged, reason) => {
    const from = await stranger();
    const swarm = await submitter();
    const running = await swarm.submit(job(1), { files: { 'squares.wgsl': wgsl } });
    const lease = await lend(from);
    await forged(from, lease);
    await expectRefusal(from.refusals, reason);
    expect(running.state()?.accepted ?? 0).toBe(0);
    expect(hub.running().view().ledger).toEqual([]);
    await deliver(from, lease);
    expect(await running.finished).toMatchObject({ state: 'done', accepted: 1 });
    await expectWholeJob();
  });
});

it('a unit that needs more than any device has fails its job with the sizes', async () => {
  const reason = 'buffer at binding 1 (output) needs 80 bytes, this device binds at most 64';
  for (let index = 0; index < 3; index++) {
    await volunteer(() => {
      throw new Error(reason);
    });
  }
  const swarm = await submitter();
  const running = await swarm.submit(job(1), { files: { 'squares.wgsl': wgsl } });
  const ended = await running.finished;
  expect(ended.state).toBe('failed');
  expect(ended.reason).toContain(reason);
});
