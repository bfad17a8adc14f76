/** Who gets a peer id, and what a stranger can do to those who have one. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ed25519 } from '../../adapters/crypto/ed25519.ts';
import { createIdentity } from '../../adapters/crypto/identity.ts';
import { signalBytesMax, signalTokenSecondsMax } from '../../core/limits.ts';
import type { Identity } from '../../protocol/identity.ts';
import { createSignalToken, signalKey } from '../../protocol/signal-token.ts';
import { startSignalling, type RunningSignalling } from './signalling.ts';

const now = Date.UTC(2030, 0, 1);
let signalling: RunningSignalling;
let holder: Identity;
let thief: Identity;
const open: WebSocket[] = [];

const newIdentity = async (): Promise<Identity> =>
  createIdentity({ accountKey: await (await ed25519()).fromSeed(new Uint8Array(32).fill(7)) });

beforeAll(async () => {
  signalling = await startSignalling({ now: () => now });
  holder = await newIdentity();
  thief = await newIdentity();
});
afterAll(async () => {
  for (const socket of open) socket.terminate();
  await signalling.close();
});

type Answer = { socket: WebSocket; first: unknown; next(): Promise<Record<string, unknown>>; closed: Promise<number> };

/** The first message of an admitted socket, or the status and line of a refusal. */
function ask(id: string, token: string, key = signalKey): Promise<Answer | string> {
  return new Promise((resolve, reject) => {
    const url = `${signalling.url}/peerjs?key=${key}&id=${id}&token=${token}`;
    const socket = new WebSocket(url);
    open.push(socket);
    const messages: Record<string, unknown>[] = [];
    const waiting: ((message: Record<string, unknown>) => void)[] = [];
    const next = (): Promise<Record<string, unknown>> => {
      const message = messages.shift();
      return message === undefined ? new Promise((take) => waiting.push(take)) : Promise.resolve(message);
    };
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Record<string, unknown>;
      const take = waiting.shift();
      if (take === undefined) messages.push(message);
      else take(message);
    });
    const closed = new Promise<number>((done) => socket.on('close', done));
    socket.on('open', () => void next().then((first) => resolve({ socket, first, next, closed })));
    socket.on('error', reject);
    socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (part) => (body += String(part)));
      response.on('end', () => resolve(`${response.statusCode} ${body.trim()}`));
    });
  });
}

async function admitted(identity: Identity, at = now): Promise<Answer> {
  const answer = await ask(identity.peer, await createSignalToken(identity, at));
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
}

test('the holder of the key is admitted under its id', async () => {
  expect((await admitted(await newIdentity())).first).toEqual({ type: 'OPEN' });
});

test('somebody else’s proof does not open an id', async () => {
  expect(await ask(holder.peer, await createSignalToken(thief, now))).toBe(
    `401 signalling: ${holder.peer} is not the name of this session key`,
  );
});

test('a proof in the holder’s name that another key signed does not open it either', async () => {
  const forged = await createSignalToken({ ...holder, sign: thief.sign }, now);
  expect(await ask(holder.peer, forged)).toBe(
    `401 signalling: the token's signature is not by the key of ${holder.peer}`,
  );
});

test('a signature for another purpose does not open it', async () => {
  const other = await createSignalToken({ ...holder, sign: (_domain, bytes) => holder.sign('prove', bytes) }, now);
  expect(await ask(holder.peer, other)).toContain('signature is not by the key');
});

test('a proof runs out, and one from the future is none; within ten minutes it is good', async () => {
  const off = (signalTokenSecondsMax + 1) * 1000;
  const line = `401 signalling: the token's time is more than ${signalTokenSecondsMax} s off; set the clock right`;
  expect(await ask(holder.peer, await createSignalToken(holder, now - off))).toBe(line);
  expect(await ask(holder.peer, await createSignalToken(holder, now + off))).toBe(line);
  const almost = (signalTokenSecondsMax - 1) * 1000;
  expect((await admitted(holder, now - almost)).first).toEqual({ type: 'OPEN' });
});

test('the time of a proof cannot be changed', async () => {
  const [session, , signature] = (await createSignalToken(holder, now - 3_600_000)).split('.');
  expect(await ask(holder.peer, `${session}.${now / 1000}.${signature}`)).toContain('signature is not by the key');
});

test.each(['', 'x', 'a.b.c', `${'0'.repeat(64)}.1.`])('the token "%s" is refused with its form', async (token) => {
  expect(await ask(holder.peer, token)).toBe(
    '401 signalling: a token is <session key hex>.<unix seconds>.<signature base64url>',
  );
});

test('an id that is no hash and an unknown key are refused', async () => {
  expect(await ask('hub', 'x')).toBe('401 signalling: a peer id is 32 lower-case hex digits');
  expect(await ask(holder.peer, await createSignalToken(holder, now), 'peerjs')).toBe('401 signalling: unknown key');
});

test('a holder that comes back takes its id over from its stale socket', async () => {
  const identity = await newIdentity();
  const stale = await admitted(identity, now - 1000);
  const fresh = await admitted(identity, now);
  expect(fresh.first).toEqual({ type: 'OPEN' });
  await stale.closed;
  const other = await admitted(await newIdentity());
  other.socket.send(offer(identity.peer));
  expect(await fresh.next()).toMatchObject({ type: 'OFFER' });
});

const offer = (dst: string, change: Record<string, unknown> = {}): string =>
  JSON.stringify({
    type: 'OFFER',
    dst,
    payload: {
      type: 'data',
      connectionId: 'dc_1',
      serialization: 'raw',
      sdp: { type: 'offer', sdp: 'v=0' },
      ...change,
    },
  });

test('offers reach their peer with the true sender', async () => {
  const [from, to] = [await newIdentity(), await newIdentity()];
  const receiver = await admitted(to);
  const sender = await admitted(from);
  sender.socket.send(JSON.stringify({ ...(JSON.parse(offer(to.peer)) as object), src: holder.peer }));
  expect(await receiver.next()).toMatchObject({ type: 'OFFER', src: from.peer });
});

test.each([
  ['no payload', JSON.stringify({ type: 'OFFER', dst: '0'.repeat(32), payload: null })],
  ['a serialization that PeerJS does not know', offer('0'.repeat(32), { serialization: 'nothing' })],
  ['an SDP that is none', offer('0'.repeat(32), { sdp: { type: 'rollback', sdp: 5 } })],
  ['a type of its own', JSON.stringify({ type: 'OPEN', dst: '0'.repeat(32) })],
  ['no JSON', 'x'],
  ['far too much', 'x'.repeat(signalBytesMax + 1)],
])('a peer that sends %s is let go and nobody else is harmed', async (_name, text) => {
  const [bad, good] = [await newIdentity(), await newIdentity()];
  const victim = await admitted(good);
  const attacker = await admitted(bad);
  attacker.socket.send(text.replaceAll('0'.repeat(32), good.peer));
  expect([1008, 1009]).toContain(await attacker.closed);
  const friend = await admitted(await newIdentity());
  friend.socket.send(offer(good.peer));
  // The first thing that the victim hears is the friend's offer.
  expect(await victim.next()).toMatchObject({ type: 'OFFER', payload: { serialization: 'raw' } });
});

test('any other path is no socket', async () => {
  const status = await new Promise((resolve) => {
    const socket = new WebSocket(signalling.url.replace('/signal', '/elsewhere'));
    socket.on('error', () => {});
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
  });
  expect(status).toBe(404);
});
