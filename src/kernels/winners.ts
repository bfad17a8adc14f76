/**
 * What the tuner found, as it is kept between sessions: per adapter, family and bucket the fastest variant that was
 * right. A record is believed only if the family still has the same variants and every shader that was timed is still
 * among ours; so a new version tunes anew. Stores (`adapters/store`) keep records and judge nothing.
 */

import { sha256Text } from '../core/hash.ts';
import { finite, parse, shortText, v } from '../core/schema.ts';
import { kernels } from './catalogue.ts';
import { variantsFor, type DeviceTraits, type Family } from './variants.ts';

const hex32 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits'));
const ms = v.pipe(finite, v.minValue(0));

export const winnerSchema = v.strictObject({
  family: shortText,
  bucket: shortText,
  /** The variant to run. */
  variant: shortText,
  /** Every variant that was right, with the median milliseconds of one run. */
  timed: v.pipe(v.array(v.strictObject({ variant: shortText, ms })), v.maxLength(100)),
  /** Variants that gave wrong numbers here or did not compile, with what was wrong first. */
  dropped: v.pipe(v.array(v.strictObject({ variant: shortText, problem: shortText })), v.maxLength(100)),
  /** Every variant that was looked at; where some are missing for want of time, a later session goes on with those. */
  tried: v.pipe(v.array(shortText), v.maxLength(100)),
  /** Flops or bytes of the problem that was timed. */
  work: ms,
  /** Names of all of the family's variants at the time. */
  variants: v.array(shortText),
  /** SHA-256 of every shader that was run. */
  shaders: v.array(hex32),
});
export type Winner = v.InferOutput<typeof winnerSchema>;

/** A variant that is not to be trusted on this device. */
export interface DroppedVariant {
  readonly family: string;
  readonly bucket: string;
  readonly variant: string;
  readonly problem: string;
}

/** Keeps winners by adapter; what it gives back may be anything, as others write to the same disk. */
export interface WinnerStore {
  load(adapter: string): Promise<readonly unknown[]>;
  /** Replaces the record of the same adapter, family and bucket. */
  save(adapter: string, winner: Winner): Promise<void>;
}

/** What names a winner within its adapter. */
export const winnerKey = (of: { readonly family: string; readonly bucket: string }): string =>
  `${of.family} ${of.bucket}`;

export const shaderDigest = (wgsl: string): string => sha256Text(wgsl);

let ours: ReadonlySet<string> | undefined;
/** Digests of the shaders of this version. */
export const shaderDigests = (): ReadonlySet<string> =>
  (ours ??= new Set(kernels.map(({ pipeline }) => shaderDigest(pipeline.wgsl))));

/** The record, if it is one and still holds for these families on this device; else undefined. */
export function believedWinner(
  record: unknown,
  families: readonly Family[],
  traits: DeviceTraits,
  shaders: ReadonlySet<string>,
): Winner | undefined {
  const parsed = parse(winnerSchema, record, 'winner');
  if (!parsed.ok) return undefined;
  const winner = parsed.value;
  const family = families.find(({ name }) => name === winner.family);
  if (family === undefined) return undefined;
  const sameVariants = winner.variants.join() === family.variants.map(({ name }) => name).join();
  const canRunHere = variantsFor(family, traits, winner.bucket).some(({ name }) => name === winner.variant);
  const isTimed = winner.timed.some(({ variant }) => variant === winner.variant);
  const sameShaders = winner.shaders.length > 0 && winner.shaders.every((one) => shaders.has(one));
  return sameVariants && canRunHere && isTimed && sameShaders ? winner : undefined;
}
