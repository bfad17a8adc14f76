/**
 * One operation, several ways to compute it. A `Family` lists an operation's variants; the first is the safe one, plain
 * WGSL that needs no optional feature. Which one runs is asked of `Choices`: the tuner's, those that a unit pins, or the
 * safe ones. Finding the fastest is `adapters/gpu/tuner.ts`; the list of all families is `families.ts`.
 */

import { present } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { DeviceLimits } from './device.ts';
import type { KernelCase } from './test-case.ts';

/** What of a device decides whether a variant can run there. */
export interface DeviceTraits {
  readonly limits: DeviceLimits;
  readonly features: ReadonlySet<string>;
}

export interface Variant {
  /** Short and lasting, as manifests pin it and stores keep it: `plain`, `tile-64x64`. */
  readonly name: string;
  /** WebGPU feature names that it needs, e.g. `subgroups`. */
  readonly features: readonly string[];
  /** Whether the device's limits suffice; left out where the defaults of WebGPU do. */
  readonly suits?: (limits: DeviceLimits) => boolean;
  /** Whether problems of this bucket have such a variant; where not, what runs under its name is the safe one. Left out where all have. */
  readonly serves?: (bucket: string) => boolean;
  /** Another variant that is slow where this one is: where that one is wrong or far behind, the tuner does not even compile this one. */
  readonly follows?: string;
}

export interface Family {
  /** The operation, e.g. `matmul`. */
  readonly name: string;
  /** The first is the safe one, which every device can run. */
  readonly variants: readonly Variant[];
  /** Work of the operation: floating-point operations, or bytes moved where memory is the bound. */
  readonly bound: 'flops' | 'bytes';
  /**
   * A problem of this bucket on seeded inputs, for the tuner: `caseOf` makes it for each variant, with its truth; `work`
   * counts its flops or bytes. Small enough that its truth takes well under a second on a CPU.
   */
  readonly trial: (bucket: string, random: Random) => FamilyTrial;
  /** Buckets that the device page and benchmarks show. */
  readonly shown: readonly string[];
}

export interface FamilyTrial {
  readonly caseOf: (variant: string) => KernelCase;
  readonly work: number;
}

/** Which variant runs. Asking may be remembered as a wish to have that bucket tuned. */
export interface Choices {
  /** The name of a variant of this family, for problems of this bucket. */
  variantOf(family: Family, bucket: string): string;
}

/** The safe variant of everything. */
export const safeChoices: Choices = { variantOf: (family) => safeVariant(family).name };

export const safeVariant = (family: Family): Variant =>
  present(family.variants[0], `family ${family.name} has no variants`);

/** Variants that this device can run for problems of the bucket, or for any; the safe one first. */
export const variantsFor = (family: Family, traits: DeviceTraits, bucket?: string): readonly Variant[] =>
  family.variants.filter(
    (variant) => canRun(variant, traits) && (bucket === undefined || (variant.serves?.(bucket) ?? true)),
  );

export const canRun = ({ features, suits }: Variant, traits: DeviceTraits): boolean =>
  features.every((feature) => traits.features.has(feature)) && (suits?.(traits.limits) ?? true);

/** Variants by family that a unit asks for, so that everybody who runs it computes in the same order of sums. */
export type Pins = Readonly<Record<string, string>>;

/**
 * The pinned variants, and `otherwise` for families that are not pinned. Throws one line when a pinned variant is unknown
 * or needs what the device lacks.
 */
export function pinnedChoices(
  pins: Pins,
  families: readonly Family[],
  traits: DeviceTraits,
  otherwise: Choices,
): Choices {
  for (const [name, variant] of Object.entries(pins)) {
    const family = families.find((candidate) => candidate.name === name);
    if (family === undefined) throw new PinError(`variants: there is no kernel family '${name}' in this version`);
    if (!family.variants.some((own) => own.name === variant)) {
      const known = family.variants.map((own) => own.name).join(', ');
      throw new PinError(`variants: ${name} has no variant '${variant}'; it has ${known}`);
    }
    if (!variantsFor(family, traits).some((own) => own.name === variant)) {
      throw new PinError(`variants: this device cannot run '${variant}' of ${name}`);
    }
  }
  return { variantOf: (family, bucket) => pins[family.name] ?? otherwise.variantOf(family, bucket) };
}

/** A unit pins a variant that cannot run here. */
export class PinError extends Error {
  override readonly name = 'PinError';
}

/** Sizes of one bucket share a winner: each rounded up to a power of two, as `name:size,...`. */
export const bucketOf = (sizes: Readonly<Record<string, number>>): string =>
  Object.entries(sizes)
    .map(([name, size]) => `${name}:${2 ** Math.ceil(Math.log2(Math.max(1, size)))}`)
    .join();

/** The sizes of a bucket. */
export const sizesOf = (bucket: string): Readonly<Record<string, number>> =>
  Object.fromEntries(
    bucket.split(',').map((text): [string, number] => {
      const [name = '', size = ''] = text.split(':');
      return [name, Number(size)];
    }),
  );
