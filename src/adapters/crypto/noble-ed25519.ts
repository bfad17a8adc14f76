/** Ed25519 in plain TypeScript (`@noble/ed25519`), for platforms without it. Its secret lies readable in memory. */

import { getPublicKeyAsync, hashes, signAsync, utils, verifyAsync } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';
import { copyBytes, type Bytes } from '../../core/bytes.ts';
import type { Ed25519, SigningKey } from './ed25519.ts';

// The library's own choice is WebCrypto's SHA-512, which a page outside a secure context does not have.
hashes.sha512Async = async (message) => sha512(message);

export const nobleEd25519: Ed25519 = {
  kind: 'noble',
  generate: () => fromSeed(copyBytes(utils.randomSecretKey())),
  fromSeed,
  verify: async (publicKey, message, signature) => {
    if (publicKey.byteLength !== 32 || signature.byteLength !== 64) return false;
    try {
      // RFC 8032 rather than the library's default ZIP 215, as that is what the platforms check.
      return await verifyAsync(signature, message, publicKey, { zip215: false });
    } catch {
      return false;
    }
  },
};

async function fromSeed(seed: Bytes): Promise<SigningKey> {
  return {
    publicKey: copyBytes(await getPublicKeyAsync(seed)),
    stored: { kind: 'noble', seed },
    sign: async (message) => copyBytes(await signAsync(message, seed)),
  };
}
