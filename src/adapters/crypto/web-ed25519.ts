/** Ed25519 by WebCrypto ("Secure Curves in the Web Cryptography API"). Private keys are made non-extractable. */

import { concat, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import type { Ed25519, SigningKey } from './ed25519.ts';

const algorithm = { name: 'Ed25519' };
/** A PKCS#8 private key (RFC 8410) is this and the 32 bytes of the seed. */
const pkcs8Prefix = fromHex('302e020100300506032b657004220420');
/** A hub verifies the same sessions again and again; importing a key costs as much as half a verification. */
const importedKeysMax = 1024;

export interface WebEd25519 extends Ed25519 {
  open(privateKey: CryptoKey, publicKey: Bytes): SigningKey;
  fromPkcs8(pkcs8: Bytes): Promise<SigningKey>;
}

export const seedToPkcs8 = (seed: Bytes): Bytes => concat(pkcs8Prefix, seed);

export function createWebEd25519(subtle: SubtleCrypto): WebEd25519 {
  const imported = new Map<string, CryptoKey>();

  const open = (privateKey: CryptoKey, publicKey: Bytes): SigningKey => ({
    publicKey,
    stored: { kind: 'webcrypto', privateKey, publicKey },
    sign: async (message) => new Uint8Array(await subtle.sign(algorithm, privateKey, message)),
  });

  async function fromPkcs8(pkcs8: Bytes): Promise<SigningKey> {
    // The platform derives the public key when it exports a private one, so it is read once from an extractable twin.
    const twin = await subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']);
    const { x } = await subtle.exportKey('jwk', twin);
    if (x === undefined) throw new TypeError('the private key has no public part');
    const privateKey = await subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
    return open(privateKey, fromBase64Url(x));
  }

  async function importPublic(publicKey: Bytes): Promise<CryptoKey> {
    const name = toHex(publicKey);
    const known = imported.get(name);
    if (known !== undefined) return known;
    const key = await subtle.importKey('raw', publicKey, algorithm, true, ['verify']);
    if (imported.size >= importedKeysMax) imported.clear();
    imported.set(name, key);
    return key;
  }

  return {
    kind: 'webcrypto',
    open,
    fromPkcs8,
    fromSeed: (seed) => fromPkcs8(seedToPkcs8(seed)),
    generate: async () => {
      const pair = (await subtle.generateKey(algorithm, false, ['sign', 'verify'])) as CryptoKeyPair;
      return open(pair.privateKey, new Uint8Array(await subtle.exportKey('raw', pair.publicKey)));
    },
    verify: async (publicKey, message, signature) => {
      if (publicKey.byteLength !== 32 || signature.byteLength !== 64) return false;
      try {
        return await subtle.verify(algorithm, await importPublic(publicKey), signature, message);
      } catch {
        return false; // Some platforms refuse a public key that is no point of the curve already at its import.
      }
    },
  };
}

const fromBase64Url = (text: string): Bytes =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
