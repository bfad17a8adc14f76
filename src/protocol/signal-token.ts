/**
 * The proof that a peer id belongs to whoever asks for it, as PeerJS's `token`:
 * `<session public key, hex>.<unix seconds>.<signature, base64url>`. The session key signs peer id and time, so a thief
 * of the id has nothing to show, and an old proof runs out. Pure: keys and time are arguments.
 */

import { utf8 } from '../core/bytes.ts';
import { isPeerId, type PeerId } from '../core/ids.ts';
import { signalTokenSecondsMax } from '../core/limits.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { isSessionKey, peerIdOfSession, type Identity, type Verify } from './identity.ts';

/** PeerJS's name for a set of peers that may see each other; one for all of tabswarm, as tokens do the admitting. */
export const signalKey = 'tabswarm';

const signedBytes = (peer: string, seconds: string): Uint8Array => utf8(`${peer}.${seconds}`);

/** A token that is good for the next minutes; `now` in milliseconds since 1970. */
export async function createSignalToken(identity: Identity, now: number): Promise<string> {
  const seconds = String(Math.floor(now / 1000));
  const signature = await identity.sign('signal', signedBytes(identity.peer, seconds));
  const base64url = signature.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  return `${identity.session}.${seconds}.${base64url}`;
}

/** The peer that the token proves, or why it proves nothing; `now` in milliseconds since 1970. */
export async function checkSignalToken(
  id: string,
  token: string,
  now: number,
  verify: Verify,
): Promise<Result<PeerId>> {
  if (!isPeerId(id)) return problem('signal', 'signalling: a peer id is 32 lower-case hex digits');
  const [session = '', seconds = '', signature = '', ...more] = token.split('.');
  if (!isSessionKey(session) || !/^\d{1,12}$/.test(seconds) || !/^[\w-]{1,200}$/.test(signature) || more.length > 0) {
    return problem('signal', 'signalling: a token is <session key hex>.<unix seconds>.<signature base64url>');
  }
  if (peerIdOfSession(session) !== id)
    return problem('signal', `signalling: ${id} is not the name of this session key`);
  if (Math.abs(now / 1000 - Number(seconds)) > signalTokenSecondsMax) {
    return problem(
      'signal',
      `signalling: the token's time is more than ${signalTokenSecondsMax} s off; set the clock right`,
    );
  }
  const base64 = signature.replaceAll('-', '+').replaceAll('_', '/');
  const padded = base64.padEnd(Math.ceil(base64.length / 4) * 4, '=');
  if (!(await verify(session, 'signal', signedBytes(id, seconds), padded))) {
    return problem('signal', `signalling: the token's signature is not by the key of ${id}`);
  }
  return ok(id);
}
