/** Tables of the exact family, equal in every JavaScript engine. */

import { exactExp } from './exact-arithmetic.ts';

/** exp(-index / steps) in Q15 for index 0 to 255; steps per e-fold, default 16, so that the last is 4 of 32768. */
export const expTable = (steps = 16): Int32Array<ArrayBuffer> =>
  Int32Array.from({ length: 256 }, (_, index) => Math.floor(exactExp(-index / steps) * 32768 + 0.5));

/** silu(x) = x / (1 + exp(-x)) of bytes, where 32 is 1, for `exactTable`. */
export const siluTable = (): Int32Array<ArrayBuffer> => byteTable((x) => x / (1 + exactExp(-x)));

/** The derivative of silu, where an output of 64 is 1. */
export const siluSlopeTable = (): Int32Array<ArrayBuffer> =>
  byteTable((x) => {
    const gate = 1 / (1 + exactExp(-x));
    return 2 * gate * (1 + x * (1 - gate));
  });

const byteTable = (valueOf: (x: number) => number): Int32Array<ArrayBuffer> =>
  Int32Array.from({ length: 256 }, (_, index) => Math.floor(valueOf((index - 128) / 32) * 32 + 0.5));
