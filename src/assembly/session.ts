/**
 * A session: a link whose far end has said who it is and proved it. Both ends send `hello`, then `prove`; afterwards only
 * headers that parse come through, pings are answered from the event itself, and a silent far end is let go. What
 * messages mean is left to the machines; which connection carries them, to `adapters/net`.
 */

import type { Clock } from '../core/clock.ts';
import { fromHex, toHex, utf8, type Bytes } from '../core/bytes.ts';
import type { AccountId, PeerId } from '../core/ids.ts';
import { badMessagesMax, handshakeMsMax, resultBytesMax } from '../core/limits.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { decodeFrame, encodeFrame } from '../protocol/frame.ts';
import { peerIdOfSession, type Identity, type Verify } from '../protocol/identity.ts';
import {
  laneOf,
  messagesWithTail,
  parseMessage,
  refusal,
  shortReason,
  type Message,
  type MessageOf,
  type Role,
} from '../protocol/messages.ts';
import type { Link } from '../protocol/ports.ts';
import { jobFileVersion, programSetVersion, protocolVersion } from '../protocol/versions.ts';
import { watchSilence } from './silence.ts';

export interface Session {
  readonly link: Link;
  /** Proved: the far end holds the session key of this peer, which this account's key signed. */
  readonly peer: PeerId;
  readonly account: AccountId;
  readonly role: Role;
  /** Resolves when the message is queued; rejects with `LinkClosedError`. */
  send(message: Message, tails?: readonly Uint8Array[]): Promise<void>;
  /** Set once; messages that came earlier are held until then. */
  onMessage(receive: (message: Message, tails: readonly Uint8Array[]) => void): void;
  /** The middle of the last pings' round trips. */
  roundTripMs(): number;
  /** Called once, with why; at once where the session is closed already. */
  onClose(closed: (reason: string) => void): void;
  close(reason: string): void;
}

export interface SessionOptions {
  readonly identity: Identity;
  readonly role: Role;
  readonly verify: Verify;
  readonly clock: Clock;
  /** Whom a dialler means to reach; anybody else is refused. */
  readonly expect?: { readonly peer?: PeerId; readonly account?: AccountId; readonly roles?: readonly Role[] };
  /** 64 fresh random hex digits. */
  readonly nonce?: () => string;
}

/** The far end is not who or what this end can talk to; the text says why. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

const versions = { protocol: protocolVersion, jobFile: jobFileVersion, programs: programSetVersion };
type Versions = Record<keyof typeof versions, unknown>;

/** Messages held before anybody listens: a bulk message may overtake the proof before it. */
const heldMessagesMax = 256;

const randomNonce = (): string => toHex(crypto.getRandomValues(new Uint8Array(32)));

/** The session on this link, or a `HandshakeError`, after which the link is closed. */
export async function openSession(link: Link, options: SessionOptions): Promise<Session> {
  const reader = readMessages(link);
  const cancel = options.clock.after(handshakeMsMax, () =>
    reader.refuse('hello', `no proof within ${handshakeMsMax / 1000} s`),
  );
  const started = options.clock.now();
  try {
    const theirs = await shakeHands(link, reader, options);
    const { peer, account, role } = theirs;
    const roundTripMs = watchSilence(link, reader, options.clock, options.clock.now() - started);
    return {
      link,
      peer,
      account,
      role,
      roundTripMs,
      send: (message, tails = []) => sendMessage(link, message, tails),
      onMessage: reader.listen,
      onClose: (closed) => link.onClose(closed),
      close: (reason) => link.close(reason),
    };
  } catch (error) {
    link.close(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    cancel();
  }
}

/** Asynchronous, so that a message that does not fit a frame rejects like any other that cannot be sent. */
const sendMessage = async (link: Link, message: Message, tails: readonly Uint8Array[] = []): Promise<void> =>
  link.send(laneOf(message.type), encodeFrame(message, tails));

async function shakeHands(
  link: Link,
  reader: MessageReader,
  { identity, role, verify, expect = {}, nonce = randomNonce }: SessionOptions,
): Promise<{ peer: PeerId; account: AccountId; role: Role }> {
  const refuse = (what: string, reason: string): never => {
    reader.refuse(what, reason);
    throw new HandshakeError(`${link.remote}: ${reason}`);
  };
  const ours = nonce();
  const { account, session, sessionSignature } = identity;
  await sendMessage(link, { type: 'hello', ...versions, role, account, session, sessionSignature, nonce: ours });

  const theirs = await reader.greeting('hello');
  if (theirs.session === session) refuse('hello', 'this is my own session key');
  const peer = peerIdOfSession(theirs.session);
  if (expect.peer !== undefined && expect.peer !== peer) refuse('hello', `expected peer ${expect.peer}, not ${peer}`);
  if (expect.account !== undefined && expect.account !== theirs.account) {
    refuse('hello', `expected account ${expect.account}, not ${theirs.account}`);
  }
  if (expect.roles !== undefined && !expect.roles.includes(theirs.role)) {
    refuse('hello', `expected a ${expect.roles.join(' or ')}, not a ${theirs.role}`);
  }
  if (!(await verify(theirs.account, 'session', fromHex(theirs.session), theirs.sessionSignature))) {
    refuse('hello', 'the account did not sign this session key');
  }
  const signature = await identity.sign('prove', provedBytes(theirs.nonce, theirs.session, link.binding));
  await sendMessage(link, { type: 'prove', signature });

  const proof = await reader.greeting('prove');
  if (!(await verify(theirs.session, 'prove', provedBytes(ours, session, link.binding), proof.signature))) {
    refuse('prove', 'the proof is not by this session key, for this link');
  }
  return { peer, account: theirs.account, role: theirs.role };
}

/** What a proof signs: the verifier's nonce, so that none is replayed; its key, so that none is passed on; this link. */
const provedBytes = (nonce: string, verifier: string, binding: string): Bytes =>
  utf8(`${nonce}\n${verifier}\n${binding}`);

/** What comes off a link, parsed, in order, held until somebody asks. */
export interface MessageReader {
  /** The next message of the handshake; rejects with `HandshakeError` where another comes or the link closes. */
  greeting<Type extends 'hello' | 'prove'>(type: Type): Promise<MessageOf<Type>>;
  listen(receive: (message: Message, tails: readonly Uint8Array[]) => void): void;
  onPong(ponged: (id: number) => void): void;
  /** Says why, and closes. */
  refuse(what: string, reason: string): void;
}

type Greeting = MessageOf<'hello'> | MessageOf<'prove'>;

function readMessages(link: Link): MessageReader {
  const greetings: Greeting[] = [];
  const held: [Message, readonly Uint8Array[]][] = [];
  let heldBytes = 0;
  let greeted: { take(greeting: Greeting): void; fail(error: Error): void } | undefined;
  let receiver: ((message: Message, tails: readonly Uint8Array[]) => void) | undefined;
  let ponged = (_id: number): void => {};
  let failure: HandshakeError | undefined;
  let proved = false;
  let bad = 0;

  // Sending may fail because the link is closed, which `onClose` tells; nothing more is lost.
  const say = (message: Message): void => void sendMessage(link, message).catch(() => {});

  function fail(reason: string): void {
    failure ??= new HandshakeError(`${link.remote}: ${reason}`);
    greeted?.fail(failure);
    greeted = undefined;
  }

  function refuse(what: string, reason: string): void {
    const message = refusal(what, reason);
    fail(message.reason);
    say(message);
    link.close(message.reason);
  }

  function unreadable(what: string, reason: string): void {
    bad += 1;
    if (!proved || bad >= badMessagesMax) return refuse(what, reason);
    say(refusal(what, reason));
  }

  function greet(greeting: Greeting): void {
    if (proved || greetings.length >= 2) return unreadable(greeting.type, `${greeting.type}: said already`);
    if (greeted === undefined) {
      greetings.push(greeting);
    } else {
      greeted.take(greeting);
      greeted = undefined;
    }
  }

  function receive(message: Message, tails: readonly Uint8Array[]): void {
    if (message.type === 'ping') return say({ type: 'pong', id: message.id });
    if (message.type === 'pong') return ponged(message.id);
    if (message.type === 'hello' || message.type === 'prove') return greet(message);
    if (message.type === 'refused' && !proved) {
      const reason = `refused by the other side: ${shortReason(message.reason)}`;
      fail(reason);
      return link.close(reason);
    }
    if (receiver !== undefined) return receiver(message, tails);
    heldBytes += tails.reduce((sum, tail) => sum + tail.byteLength, 0);
    held.push([message, tails]);
    if (held.length > heldMessagesMax || heldBytes > resultBytesMax)
      refuse('message', 'too much before it was asked for');
  }

  link.onClose((reason) => fail(reason));
  link.onFrame((_lane, bytes) => {
    const read = readFrame(bytes);
    if (read.ok) receive(read.value.message, read.value.tails);
    else if (read.error.kind === 'versions') refuse('hello', read.error.text);
    else unreadable(read.error.kind, read.error.text);
  });

  return {
    greeting: (type) =>
      new Promise((resolve, reject) => {
        const take = (greeting: Greeting): void => {
          if (greeting.type !== type) {
            const reason = `expected ${type}, not ${greeting.type}`;
            reject(new HandshakeError(`${link.remote}: ${reason}`));
            return refuse(greeting.type, reason);
          }
          if (type === 'prove') proved = true;
          resolve(greeting as MessageOf<typeof type>);
        };
        const waiting = greetings.shift();
        if (failure !== undefined) reject(failure);
        else if (waiting !== undefined) take(waiting);
        else greeted = { take, fail: reject };
      }),
    listen(call) {
      receiver = call;
      for (const [message, tails] of held.splice(0)) call(message, tails);
    },
    onPong: (call) => (ponged = call),
    refuse,
  };
}

function readFrame(bytes: Uint8Array): Result<{ message: Message; tails: readonly Uint8Array[] }> {
  const frame = decodeFrame(bytes);
  if (!frame.ok) return frame;
  const { header, tails } = frame.value;
  // Another version's hello may have other fields; the versions are what its sender needs to hear about.
  if (header['type'] === 'hello') {
    const mismatch = versionMismatch(header as Partial<Versions>);
    if (mismatch !== undefined) return problem('versions', mismatch);
  }
  const message = parseMessage(header);
  if (!message.ok) return message;
  const expected = messagesWithTail.has(message.value.type) ? 1 : 0;
  if (tails.length !== expected) {
    return problem('message', `message: ${message.value.type} has ${tails.length} tails, expected ${expected}`);
  }
  return ok({ message: message.value, tails });
}

function versionMismatch(theirs: Partial<Versions>): string | undefined {
  const names = Object.keys(versions) as (keyof typeof versions)[];
  if (names.some((name) => typeof theirs[name] !== 'number')) return undefined;
  if (names.every((name) => theirs[name] === versions[name])) return undefined;
  const told = (of: Partial<Versions>): string =>
    `protocol ${String(of.protocol)}, job file ${String(of.jobFile)}, programs ${String(of.programs)}`;
  return `versions differ: ${told(versions)} here, ${told(theirs)} there; reload the page or update tabswarm`;
}
