/**
 * Who a peer is. An account key outlives tabs and signs each tab's own session key; the session key names the peer and
 * proves itself on every link. The keys themselves, and the arithmetic, live in `adapters/crypto`.
 */

import { fromHex } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { AccountId, PeerId } from '../core/ids.ts';
import { assert } from '../core/assert.ts';
import type { SignatureDomain } from './domains.ts';

/** This tab's keys as the rooms see them: they can sign, nobody can read them. */
export interface Identity {
  /** The account's Ed25519 public key. */
  readonly account: AccountId;
  /** This tab's own public key, 64 lower-case hex digits. */
  readonly session: string;
  /** The name that follows from `session`. */
  readonly peer: PeerId;
  /** The account's signature (domain `session`) of the 32 bytes of the session public key, base64. */
  readonly sessionSignature: string;
  /** Base64 of the session key's signature of the domain's prefix followed by `bytes`. */
  sign(domain: SignatureDomain, bytes: Uint8Array): Promise<string>;
  /** The same with the account's key. */
  signAsAccount(domain: SignatureDomain, bytes: Uint8Array): Promise<string>;
}

/** Whether `signature` (base64) is this public key's signature of the domain's prefix followed by `bytes`; never throws. */
export type Verify = (
  publicKeyHex: string,
  domain: SignatureDomain,
  bytes: Uint8Array,
  signature: string,
) => Promise<boolean>;

const sessionPattern = /^[0-9a-f]{64}$/;

export const isSessionKey = (text: string): boolean => sessionPattern.test(text);

/** The peer of a session public key (64 hex digits): the first 32 hex digits of the SHA-256 of its 32 bytes. */
export function peerIdOfSession(session: string): PeerId {
  assert(isSessionKey(session), 'a session key is 64 lower-case hex digits');
  return sha256(fromHex(session)).slice(0, 32) as string as PeerId;
}
