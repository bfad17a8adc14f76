/** Who gets through a handshake, what a session does with nonsense, and when it takes silence for loss. */

import { beforeAll, expect, test } from 'vitest';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { createMemoryLinks } from '../adapters/net/memory-link.ts';
import type { FramedLink } from '../adapters/net/framed-link.ts';
import { badMessagesMax, handshakeMsMax, heartbeatMs, silenceMsMin } from '../core/limits.ts';
import { utf8 } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { decodeFrame, encodeFrame } from '../protocol/frame.ts';
import type { Identity } from '../protocol/identity.ts';
import type { Message, MessageOf } from '../protocol/messages.ts';
import { jobFileVersion, programSetVersion, protocolVersion } from '../protocol/versions.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';

let hub: Identity;
let volunteer: Identity;
let stranger: Identity;

beforeAll(async () => {
  const account = async (seed: number): Promise<Identity> =>
    createIdentity({ accountKey: await (await ed25519()).fromSeed(new Uint8Array(32).fill(seed)) });
  [hub, volunteer, stranger] = [await account(1), await account(2), await account(3)];
});

/** A clock that stands until it is told to go. */
function createManualClock(): Clock & { advance(ms: number): void } {
  let now = 1_000_000;
  let timers: { at: number; call: () => void }[] = [];
  return {
    now: () => now,
    after(ms, call) {
      const timer = { at: now + ms, call };
      timers.push(timer);
      return () => (timers = timers.filter((other) => other !== timer));
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const due = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        timers = timers.filter((timer) => timer !== due);
        now = Math.max(now, due.at);
        due.call();
      }
      now = end;
    },
  };
}

const clock = createManualClock();
const as = (identity: Identity, role: 'hub' | 'volunteer', more: Partial<SessionOptions> = {}): SessionOptions => ({
  identity,
  role,
  verify: verifySignature,
  clock,
  ...more,
});

async function meet(
  hubClock: Clock = clock,
  volunteerClock: Clock = clock,
): Promise<{ atHub: Session; atVolunteer: Session }> {
  const [near, far] = createMemoryLinks();
  const [atVolunteer, atHub] = await Promise.all([
    openSession(near, as(volunteer, 'volunteer', { clock: volunteerClock })),
    openSession(far, as(hub, 'hub', { clock: hubClock })),
  ]);
  return { atHub, atVolunteer };
}

/** The hub's end in a session, this end by hand. */
function dialByHand(binding = ''): {
  link: FramedLink;
  opened: Promise<Session>;
  next(): Promise<Message>;
  say(header: object): void;
} {
  const [link, far] = createMemoryLinks({ binding });
  const opened = openSession(far, as(hub, 'hub'));
  opened.catch(() => {});
  const messages: Message[] = [];
  const waiting: ((message: Message) => void)[] = [];
  link.onFrame((_lane, bytes) => {
    const frame = decodeFrame(bytes);
    if (!frame.ok) throw new Error(frame.error.text);
    const message = frame.value.header as Message;
    const take = waiting.shift();
    if (take === undefined) messages.push(message);
    else take(message);
  });
  return {
    link,
    opened,
    next: () => {
      const message = messages.shift();
      return message === undefined ? new Promise((take) => waiting.push(take)) : Promise.resolve(message);
    },
    say: (header) => void link.send('control', encodeFrame(header)),
  };
}

const helloOf = ({ account, session, sessionSignature }: Identity, change: object = {}): object => ({
  type: 'hello',
  protocol: protocolVersion,
  jobFile: jobFileVersion,
  programs: programSetVersion,
  role: 'volunteer',
  account,
  session,
  sessionSignature,
  nonce: 'ab'.repeat(32),
  ...change,
});
const proofBytes = (theirs: MessageOf<'hello'>, binding = ''): Uint8Array =>
  utf8(`${theirs.nonce}\n${theirs.session}\n${binding}`);

async function expectRefusal(
  hand: ReturnType<typeof dialByHand>,
  what: string,
  reason: string | RegExp,
): Promise<void> {
  await expect(hand.opened).rejects.toThrow(reason);
  let message = await hand.next();
  while (message.type !== 'refused') message = await hand.next();
  expect(message.what).toBe(what);
  if (typeof reason === 'string') expect(message.reason).toContain(reason);
  else expect(message.reason).toMatch(reason);
  const closed = await new Promise<string>((resolve) => hand.link.onClose(resolve));
  expect(closed).toContain('closed by the other side: ');
}

test('both ends learn the other’s peer, account and role, and messages go through with their tails', async () => {
  const { atHub, atVolunteer } = await meet();
  expect(atHub).toMatchObject({ peer: volunteer.peer, account: volunteer.account, role: 'volunteer' });
  expect(atVolunteer).toMatchObject({ peer: hub.peer, account: hub.account, role: 'hub' });
  const digest = 'c'.repeat(64) as MessageOf<'chunk'>['digest'];
  await atVolunteer.send({ type: 'chunk', digest }, [Uint8Array.of(1, 2, 3)]);
  await atVolunteer.send({ type: 'pull', slots: 2 });
  // Set late: what came before is held.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const got: [Message, number[][]][] = [];
  atHub.onMessage((message, tails) => got.push([message, tails.map((tail) => [...tail])]));
  expect(got).toContainEqual([{ type: 'chunk', digest }, [[1, 2, 3]]]);
  expect(got).toContainEqual([{ type: 'pull', slots: 2 }, []]);
  atVolunteer.close('done');
  await expect(atVolunteer.send({ type: 'pull', slots: 1 })).rejects.toThrow('done');
  expect(await new Promise((resolve) => atHub.onClose(resolve))).toBe('closed by the other side: done');
});

test('a handshake by hand with the right proof is let in', async () => {
  const hand = dialByHand('fingerprints');
  hand.say(helloOf(volunteer));
  const theirs = (await hand.next()) as MessageOf<'hello'>;
  hand.say({ type: 'prove', signature: await volunteer.sign('prove', proofBytes(theirs, 'fingerprints')) });
  expect((await hand.opened).peer).toBe(volunteer.peer);
});

test('another version is refused with both named, even where its hello has other fields', async () => {
  const hand = dialByHand();
  hand.say(helloOf(volunteer, { protocol: protocolVersion + 1, colour: 'blue' }));
  await expectRefusal(
    hand,
    'hello',
    `versions differ: protocol ${protocolVersion}, job file ${jobFileVersion}, programs ${programSetVersion} here, ` +
      `protocol ${protocolVersion + 1}, job file ${jobFileVersion}, programs ${programSetVersion} there`,
  );
});

test('a session key that the account did not sign is refused', async () => {
  const hand = dialByHand();
  hand.say(helloOf(volunteer, { account: stranger.account }));
  await expectRefusal(hand, 'hello', 'the account did not sign this session key');
});

test('a proof by another key is refused', async () => {
  const hand = dialByHand();
  hand.say(helloOf(volunteer));
  const theirs = (await hand.next()) as MessageOf<'hello'>;
  hand.say({ type: 'prove', signature: await stranger.sign('prove', proofBytes(theirs)) });
  await expectRefusal(hand, 'prove', 'the proof is not by this session key, for this link');
});

test('a proof that was good for an earlier link is refused on the next', async () => {
  const first = dialByHand();
  first.say(helloOf(volunteer));
  const proof = {
    type: 'prove',
    signature: await volunteer.sign('prove', proofBytes((await first.next()) as MessageOf<'hello'>)),
  };
  first.say(proof);
  await first.opened;
  const replay = dialByHand();
  replay.say(helloOf(volunteer));
  replay.say(proof);
  await expectRefusal(replay, 'prove', 'the proof is not by this session key, for this link');
});

test('a proof made for another hub’s ear cannot be passed on to this one', async () => {
  const hand = dialByHand();
  hand.say(helloOf(volunteer));
  const theirs = (await hand.next()) as MessageOf<'hello'>;
  // The man in the middle showed the volunteer the hub's nonce under a key of his own.
  hand.say({
    type: 'prove',
    signature: await volunteer.sign('prove', proofBytes({ ...theirs, session: stranger.session })),
  });
  await expectRefusal(hand, 'prove', 'the proof is not by this session key, for this link');
});

test('a proof over other DTLS fingerprints is refused: somebody sits in between', async () => {
  const hand = dialByHand('fingerprints of this link');
  hand.say(helloOf(volunteer));
  const theirs = (await hand.next()) as MessageOf<'hello'>;
  hand.say({ type: 'prove', signature: await volunteer.sign('prove', proofBytes(theirs, 'fingerprints of another')) });
  await expectRefusal(hand, 'prove', 'the proof is not by this session key, for this link');
});

test('a mirror that says back what it hears is refused', async () => {
  const hand = dialByHand();
  hand.say(await hand.next());
  await expectRefusal(hand, 'hello', 'this is my own session key');
});

test.each([
  ['a message before the hello', { type: 'prove', signature: 'AAAA' }, /expected hello, not prove/],
  ['a header that is no message', { type: 'shout' }, /message: /],
  ['a hello with a wrong field', helloOf, /message: nonce: expected 64 hex digits/],
])('%s ends the handshake with one line', async (_name, header, reason) => {
  const hand = dialByHand();
  hand.say(typeof header === 'function' ? header(volunteer, { nonce: 'x' }) : header);
  await expectRefusal(
    hand,
    header === helloOf || ('type' in header && header.type === 'shout') ? 'schema' : 'prove',
    reason,
  );
});

test('whom a dialler did not mean to reach is refused', async () => {
  const refusal = async (expect: NonNullable<SessionOptions['expect']>): Promise<string> => {
    const [near, far] = createMemoryLinks();
    const atHub = openSession(far, as(hub, 'hub'));
    atHub.catch(() => {});
    const text = await openSession(near, as(volunteer, 'volunteer', { expect })).then(
      () => 'let in',
      (error: unknown) => String(error),
    );
    if (text !== 'let in') await atHub.catch(() => {});
    return text;
  };
  expect(await refusal({ peer: hub.peer, account: hub.account, roles: ['hub'] })).toBe('let in');
  expect(await refusal({ peer: stranger.peer })).toContain(`expected peer ${stranger.peer}, not ${hub.peer}`);
  expect(await refusal({ account: stranger.account })).toContain(`expected account ${stranger.account}`);
  expect(await refusal({ roles: ['submitter'] })).toContain('expected a submitter, not a hub');
});

test('a link that says nothing is closed when the handshake’s time is over', async () => {
  const hand = dialByHand();
  await hand.next();
  clock.advance(handshakeMsMax - 1);
  hand.say({ type: 'ping', id: 1 });
  expect(await hand.next()).toEqual({ type: 'pong', id: 1 });
  clock.advance(1);
  await expectRefusal(hand, 'hello', `no proof within ${handshakeMsMax / 1000} s`);
});

test('headers that cannot be read are answered, repeated ones close that session, and the hub serves others', async () => {
  const { atHub, atVolunteer } = await meet();
  const other = await meet();
  const refusals: string[] = [];
  atVolunteer.onMessage((message) => message.type === 'refused' && refusals.push(message.reason));
  const seen: Message[] = [];
  atHub.onMessage((message) => seen.push(message));
  const closed = new Promise((resolve) => atHub.onClose(resolve));
  const nonsense = [
    encodeFrame({ type: 'pull', slots: 10_000 }),
    // A header that claims more than a header may have.
    Uint8Array.of(255, 255, 255, 255, 0),
    encodeFrame({ type: 'pull', slots: 1 }, [Uint8Array.of(1)]),
  ];
  expect(nonsense).toHaveLength(badMessagesMax);
  for (const frame of nonsense.slice(0, -1)) await atVolunteer.link.send('control', frame);
  await atVolunteer.send({ type: 'pull', slots: 3 });
  await atVolunteer.link.send('control', nonsense.at(-1) ?? new Uint8Array(0));
  expect(await closed).toBe('message: pull has 1 tails, expected 0');
  expect(seen).toEqual([{ type: 'pull', slots: 3 }]);
  await new Promise((resolve) => atVolunteer.onClose(resolve));
  expect(refusals[0]).toContain('message: slots: ');
  expect(refusals[1]).toBe('frame: header of 4294967295 bytes, the most is 65536');

  const heard = new Promise((resolve) => other.atHub.onMessage(resolve));
  await other.atVolunteer.send({ type: 'pull', slots: 1 });
  expect(await heard).toEqual({ type: 'pull', slots: 1 });
});

test('a stranger whose refusal would quote a whole header is refused in short', async () => {
  const hand = dialByHand();
  hand.say({ type: '"'.repeat(32_700) });
  await expectRefusal(hand, 'schema', /^(memory .*: )?message: type: /);
});

/** Lets a memory link's turns pass until nothing more is on its way. */
async function quiet({ atHub, atVolunteer }: { atHub: Session; atVolunteer: Session }): Promise<void> {
  for (let turns = 0, last = -1; turns < 4;) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    const moved = atHub.link.counted.received + atVolunteer.link.counted.received;
    turns = moved === last ? turns + 1 : 0;
    last = moved;
  }
}

test('two ends that ping stay together, and one that falls silent is lost after its bound and not before', async () => {
  const [hubClock, volunteerClock] = [createManualClock(), createManualClock()];
  const sessions = await meet(hubClock, volunteerClock);
  let lost: string | undefined;
  sessions.atHub.onClose((reason) => (lost = reason));
  for (let beat = 0; beat < 10; beat++) {
    hubClock.advance(heartbeatMs);
    volunteerClock.advance(heartbeatMs);
    await quiet(sessions);
  }
  expect(lost).toBeUndefined();
  // A frozen tab: the link is open, but nothing leaves it any more.
  const frozen = await meet(hubClock, volunteerClock);
  let gone: string | undefined;
  frozen.atHub.onClose((reason) => (gone = reason));
  frozen.atVolunteer.link.send = () => new Promise(() => {});
  hubClock.advance(silenceMsMin - 1);
  await quiet(frozen);
  expect(gone).toBeUndefined();
  hubClock.advance(1);
  expect(gone).toMatch(/^silent for \d+ ms$/);
});

test('a link whose round trips are slow is given four of them', async () => {
  const hubClock = createManualClock();
  const sessions = await meet(hubClock, createManualClock());
  let gone: string | undefined;
  sessions.atHub.onClose((reason) => (gone = reason));
  hubClock.advance(heartbeatMs);
  // The pong to this ping comes 900 ms later: four such are 3.6 s.
  hubClock.advance(900);
  await quiet(sessions);
  sessions.atVolunteer.link.send = () => new Promise(() => {});
  hubClock.advance(100);
  for (let beat = 0; beat < 3; beat++) hubClock.advance(heartbeatMs);
  expect(gone).toBeUndefined();
  hubClock.advance(heartbeatMs);
  expect(gone).toMatch(/^silent/);
});

test('an end that was asleep itself does not take its own sleep for the other’s silence', async () => {
  let now = 0;
  let tick = (): void => {};
  const sleepy: Clock = { now: () => now, after: (_ms, call) => ((tick = call), () => {}) };
  const sessions = await meet(sleepy, createManualClock());
  let gone: string | undefined;
  sessions.atHub.onClose((reason) => (gone = reason));
  now += 60_000;
  tick();
  now += 500;
  tick();
  expect(gone).toBeUndefined();
});
