/**
 * SHA-256 for small things inside the pure rooms: manifests, receipts, ledger entries. Large bytes are hashed by
 * `adapters/crypto`, which uses the platform's faster, asynchronous implementation.
 */

import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { toHex, utf8 } from './bytes.ts';
import type { Digest } from './ids.ts';

export const sha256 = (bytes: Uint8Array): Digest => toHex(nobleSha256(bytes)) as Digest;

export const sha256Text = (text: string): Digest => sha256(utf8(text));
