/** Byte arrays: joining, comparing, and their text forms. Little endian throughout. */

import { bytesToHex as nobleBytesToHex, hexToBytes as nobleHexToBytes } from '@noble/hashes/utils.js';

/** Bytes that own no shared memory, as platform APIs want them. */
export type Bytes = Uint8Array<ArrayBuffer>;

export const utf8 = (text: string): Bytes => new TextEncoder().encode(text);
export const fromUtf8 = (bytes: Uint8Array): string => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

export const toHex = (bytes: Uint8Array): string => nobleBytesToHex(bytes);
export const fromHex = (text: string): Bytes => Uint8Array.from(nobleHexToBytes(text));

export const concat = (...parts: readonly Uint8Array[]): Bytes => concatAll(parts);

/** The same for lists of any length; arguments go over the stack, which some hundred thousand overflow. */
export function concatAll(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.byteLength;
  }
  return joined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  for (let index = 0; index < a.byteLength; index++) if (a[index] !== b[index]) return false;
  return true;
}

export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  // String.fromCharCode takes its arguments from the stack, so a large array goes in pieces.
  for (let start = 0; start < bytes.byteLength; start += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(binary);
}

/** The bytes of a base64 text, or undefined when it is none. */
export function fromBase64(text: string): Bytes | undefined {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return undefined;
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** The same bytes in memory of their own, at offset 0, so that a typed array of wider elements can view them. */
export const copyBytes = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);

/** Bytes of any typed array, without a copy. */
export const viewBytes = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

export const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;
