/**
 * Ed25519 (RFC 8032) by the best implementation at hand: the platform's WebCrypto, whose private keys cannot be read,
 * else `@noble/ed25519`. Which one is found out once. Browsers without it: Chrome before 137, Firefox before 129,
 * Safari before 17, and every page that is no secure context.
 */

import type { Bytes } from '../../core/bytes.ts';
import { nobleEd25519 } from './noble-ed25519.ts';
import { createWebEd25519 } from './web-ed25519.ts';

/** A private key that signs; `stored` is what IndexedDB keeps of it. */
export interface SigningKey {
  /** 32 bytes. */
  readonly publicKey: Bytes;
  readonly stored: StoredKey;
  /** 64 bytes. */
  sign(message: Bytes): Promise<Bytes>;
}

/** Survives a structured clone. Only the fallback has a readable secret. */
export type StoredKey =
  | { readonly kind: 'webcrypto'; readonly privateKey: CryptoKey; readonly publicKey: Bytes }
  | { readonly kind: 'noble'; readonly seed: Bytes };

export interface Ed25519 {
  readonly kind: StoredKey['kind'];
  generate(): Promise<SigningKey>;
  /** The key of a 32-byte secret seed. */
  fromSeed(seed: Bytes): Promise<SigningKey>;
  /** False for a malformed key or signature. */
  verify(publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean>;
}

let detected: Promise<Ed25519> | undefined;

/** The implementation of this platform. */
export function ed25519(): Promise<Ed25519> {
  detected ??= detect(globalThis.crypto?.subtle);
  return detected;
}

/** Tries the platform's implementation: an old browser has `subtle` and knows no Ed25519. */
export async function detect(subtle: SubtleCrypto | undefined): Promise<Ed25519> {
  if (subtle === undefined) return nobleEd25519;
  const web = createWebEd25519(subtle);
  try {
    const key = await web.generate();
    const message = new Uint8Array(1);
    return (await web.verify(key.publicKey, message, await key.sign(message))) ? web : nobleEd25519;
  } catch {
    return nobleEd25519;
  }
}

/** A stored key that signs again. */
export async function openStoredKey(stored: StoredKey): Promise<SigningKey> {
  if (stored.kind === 'noble') return nobleEd25519.fromSeed(stored.seed);
  return createWebEd25519(globalThis.crypto.subtle).open(stored.privateKey, stored.publicKey);
}
