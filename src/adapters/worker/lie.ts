/**
 * The liar of demonstrations and tests: a result with flipped bits, as a cheating or broken volunteer would send it.
 * Only builds with `VITE_LIAR=allowed` load this file.
 */

import type { Bytes } from '../../core/bytes.ts';

/** Every 16th word gets its second highest bit flipped: far outside any tolerance for floats, wrong for integers too. */
const stride = 64;
const bit = 0x40;

export function lie(result: Bytes): Bytes {
  const wrong = result.slice();
  if (wrong.byteLength < 4) {
    for (let index = 0; index < wrong.byteLength; index++) wrong[index] = (wrong[index] ?? 0) ^ bit;
    return wrong;
  }
  for (let index = 3; index < wrong.byteLength; index += stride) wrong[index] = (wrong[index] ?? 0) ^ bit;
  return wrong;
}
