/**
 * The keys behind `Identity`: an account key that outlives tabs signs a fresh session key per tab. What is signed is
 * a domain's prefix and the exact bytes, never a value that was serialised again.
 */

import { concat, fromBase64, fromHex, toBase64, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { isAccountId, type AccountId } from '../../core/ids.ts';
import { assert } from '../../core/assert.ts';
import { signatureDomains, type SignatureDomain } from '../../protocol/domains.ts';
import { isSessionKey, peerIdOfSession, type Identity, type Verify } from '../../protocol/identity.ts';
import { hasSmallOrder } from './small-order.ts';
import { ed25519, type Ed25519, type SigningKey } from './ed25519.ts';

/** A session of this account: a new one per tab, or with a kept key (a hub's) the same peer again. */
export async function createIdentity({
  accountKey,
  sessionKey: keptSessionKey,
}: {
  readonly accountKey: SigningKey;
  readonly sessionKey?: SigningKey;
}): Promise<Identity> {
  const sessionKey = keptSessionKey ?? (await (await ed25519()).generate());
  const session = toHex(sessionKey.publicKey);
  return {
    account: accountIdOf(accountKey),
    session,
    peer: peerIdOfSession(session),
    sessionSignature: await signWith(accountKey, 'session', sessionKey.publicKey),
    sign: (domain, bytes) => signWith(sessionKey, domain, bytes),
    signAsAccount: (domain, bytes) => signWith(accountKey, domain, bytes),
  };
}

export function accountIdOf(key: SigningKey): AccountId {
  const account = toHex(key.publicKey);
  assert(isAccountId(account), 'an Ed25519 public key has 32 bytes');
  return account;
}

export const verifySignature: Verify = async (publicKeyHex, domain, bytes, signature) =>
  verifyWith(await ed25519(), publicKeyHex, domain, bytes, signature);

/** The same by a given implementation; false for whatever is malformed. */
export async function verifyWith(
  implementation: Ed25519,
  publicKeyHex: string,
  domain: SignatureDomain,
  bytes: Uint8Array,
  signature: string,
): Promise<boolean> {
  if (!isSessionKey(publicKeyHex)) return false;
  const publicKey = fromHex(publicKeyHex);
  if (hasSmallOrder(publicKey)) return false;
  const signatureBytes = fromBase64(signature);
  if (signatureBytes === undefined || signatureBytes.byteLength !== 64) return false;
  return implementation.verify(publicKey, inDomain(domain, bytes), signatureBytes);
}

async function signWith(key: SigningKey, domain: SignatureDomain, bytes: Uint8Array): Promise<string> {
  return toBase64(await key.sign(inDomain(domain, bytes)));
}

const inDomain = (domain: SignatureDomain, bytes: Uint8Array): Bytes => concat(utf8(signatureDomains[domain]), bytes);
