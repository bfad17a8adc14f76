/**
 * A case of the self-test as data: seeded inputs, the dispatches under test, and what the f64 truth says about their
 * outputs. Kernel files make cases; `self-test.ts` runs them on a device.
 */

import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import type { Tensor } from './kernel.ts';
import type { Variant } from './variants.ts';

/** An element passes when |got - want| <= absolute + relative * |want|. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
  readonly reason: string;
}

export interface KernelCase {
  readonly kernel: string;
  /** The variant under test; where the device cannot run it, the case does not apply. */
  readonly variant?: Variant;
  /** Sizes and options in words. */
  readonly title: string;
  /** What every tensor holds before the run; outputs start with what is told here too. */
  readonly tensors: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly dispatches: (tensor: (name: string) => Tensor) => readonly Dispatch[];
  /** Tensors lie at odd offsets, unless the variant under test reads so many elements at once: then at multiples of them. */
  readonly alignment?: 4 | 16;
  /** Of some tensors, what they hold afterwards; u32 tensors must be equal. */
  readonly expected: Readonly<Record<string, Float64Array | Uint32Array>>;
  readonly tolerance: Tolerance;
}

/** Normal values of this spread, rounded to f32, so that device and truth start from equal numbers. */
export const normals = (random: Random, count: number, spread = 1): Float32Array =>
  Float32Array.from({ length: count }, () => random.normal() * spread);

export const whole = (random: Random, count: number, bound: number): Uint32Array =>
  Uint32Array.from({ length: count }, () => random.below(bound));

export const toF64 = (values: ArrayLike<number>): Float64Array => Float64Array.from(values);
