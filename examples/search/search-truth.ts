/** The truth of `search.wgsl`: SHA-256 by a library of other people, over the same nonces. Results are exact. */

import { sha256 } from '@noble/hashes/sha2.js';

export const noncesPerUnit = 16_384;
export const prefixText = 'tabswarm example: the smallest hash of a nonce. ';

export interface UnitBest {
  readonly word: number;
  readonly nonce: number;
  readonly passed: number;
}

const message = new Uint8Array(52);
message.set(new TextEncoder().encode(prefixText));
const messageView = new DataView(message.buffer);

/** The first four bytes of the hash of prefix and nonce. */
export function hashWord(nonce: number): number {
  messageView.setUint32(48, nonce);
  return new DataView(sha256(message).buffer).getUint32(0);
}

export function truthUnit(unit: number, thresholdBits: number): UnitBest {
  let best = { word: 0xffffffff, nonce: unit * noncesPerUnit };
  let passed = 0;
  for (let nonce = unit * noncesPerUnit; nonce < (unit + 1) * noncesPerUnit; nonce++) {
    const word = hashWord(nonce);
    if (word < best.word) best = { word, nonce };
    if (Math.clz32(word) >= thresholdBits) passed++;
  }
  return { ...best, passed };
}

export function readUnit(bytes: Uint8Array): UnitBest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { word: view.getUint32(0, true), nonce: view.getUint32(4, true), passed: view.getUint32(8, true) };
}

/** What is wrong with the outputs, or undefined. */
export function check(outputs: ReadonlyMap<number, Uint8Array>, units = 16, thresholdBits = 12): string | undefined {
  for (let unit = 0; unit < units; unit++) {
    const bytes = outputs.get(unit);
    if (bytes?.byteLength !== 12) return `unit ${unit}: ${bytes?.byteLength ?? 'no'} bytes, not 12`;
    const actual = readUnit(bytes);
    const expected = truthUnit(unit, thresholdBits);
    for (const field of ['word', 'nonce', 'passed'] as const) {
      if (actual[field] !== expected[field])
        return `unit ${unit}: ${field} is ${actual[field]}, not ${expected[field]}`;
    }
  }
  return undefined;
}
