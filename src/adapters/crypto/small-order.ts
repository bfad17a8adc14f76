/**
 * Public keys of small order. Under such a key a signature that needs no secret verifies for many messages, on those
 * platforms that let the key in; nobody made one honestly, so they are refused everywhere alike.
 */

import { fromHex, toHex } from '../../core/bytes.ts';

/** The y coordinates of the points whose order divides 8, with the encodings that are not reduced modulo 2^255 - 19. */
const smallOrderY: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** `publicKey` has 32 bytes; the top bit of the last one is the sign of x, which does not matter here. */
export function hasSmallOrder(publicKey: Uint8Array): boolean {
  const y = fromHex(toHex(publicKey));
  y[31] = (y[31] ?? 0) & 0x7f;
  return smallOrderY.has(toHex(y));
}
