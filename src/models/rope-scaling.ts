/**
 * Rotary frequencies of a network, changed as its config says; the formulas are those of transformers'
 * `modeling_rope_utils.py` (llama3: `_compute_llama3_parameters`, yarn: `_compute_yarn_parameters`), made once in f64. The
 * turn itself is `kernels/rope.ts`.
 */

import { assert } from '../core/assert.ts';
import { ropeFrequencies, rotaryTable } from '../kernels/rope-table.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import type { RopeScaling } from '../protocol/model-config.ts';
import { headWidth } from './llama-parameters.ts';

export interface Rotation {
  /** Of each pair, in radians a position. */
  readonly frequencies: Float64Array;
  /** What cosines and sines are multiplied by. */
  readonly amplitude: number;
}

/** `factors` is the tensor `rope_freqs.weight`, where the config asks for it. */
export function rotationOf(config: ModelConfig, factors?: ArrayLike<number>): Rotation {
  const plain = ropeFrequencies(headWidth(config), config.ropeTheta);
  const { ropeScaling: scaling } = config;
  if (scaling === undefined) return { frequencies: plain, amplitude: 1 };
  if (scaling.kind !== 'factors') return scaled(scaling, plain, config.ropeTheta);
  assert(factors?.length === plain.length, `rope_freqs.weight: ${factors?.length} factors for ${plain.length} pairs`);
  return { frequencies: plain.map((frequency, pair) => frequency / (factors[pair] ?? NaN)), amplitude: 1 };
}

/** Cosines and sines: shape [positions, headWidth / 2, 2]. */
export function rotationTable(
  config: ModelConfig,
  positions: number,
  factors?: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  const { frequencies, amplitude } = rotationOf(config, factors);
  return rotaryTable(positions, frequencies, amplitude);
}

type Formula = Exclude<RopeScaling, { readonly kind: 'factors' }>;

function scaled(scaling: Formula, plain: Float64Array, theta: number): Rotation {
  const { factor } = scaling;
  if (scaling.kind === 'linear') return { frequencies: plain.map((frequency) => frequency / factor), amplitude: 1 };
  /** Of each pair, how much of it stays as it is: 0 to 1. */
  const kept = scaling.kind === 'llama3' ? keptByWavelength(scaling, plain) : keptByRotations(scaling, plain, theta);
  const frequencies = plain.map((frequency, pair) => {
    const share = kept[pair] ?? 0;
    return share * frequency + ((1 - share) * frequency) / factor;
  });
  return { frequencies, amplitude: scaling.kind === 'yarn' ? scaling.attentionFactor : 1 };
}

const clamped = (share: number): number => Math.min(1, Math.max(0, share));

function keptByWavelength(scaling: RopeScaling & { readonly kind: 'llama3' }, plain: Float64Array): Float64Array {
  const { originalContext, lowFrequency, highFrequency } = scaling;
  return plain.map((frequency) => {
    const turns = (originalContext * frequency) / (2 * Math.PI);
    return clamped((turns - lowFrequency) / (highFrequency - lowFrequency));
  });
}

/** A ramp over pairs, from the one that turns `betaFast` times in the original context down to the one that turns `betaSlow` times. */
function keptByRotations(
  scaling: RopeScaling & { readonly kind: 'yarn' },
  plain: Float64Array,
  theta: number,
): Float64Array {
  const { originalContext, betaFast, betaSlow } = scaling;
  const pairs = plain.length;
  const pairOf = (turns: number): number =>
    (pairs * Math.log(originalContext / (turns * 2 * Math.PI))) / Math.log(theta);
  const low = Math.max(0, Math.floor(pairOf(betaFast)));
  const high = Math.min(2 * pairs - 1, Math.ceil(pairOf(betaSlow)));
  return plain.map((_, pair) => 1 - clamped((pair - low) / Math.max(0.001, high - low)));
}
