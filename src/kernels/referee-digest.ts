/**
 * One chain through every operation of the referee's f32 path, and the digest of what it gives: equal in every JavaScript
 * engine, or that engine may not referee.
 */

import { viewBytes } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { Digest } from '../core/ids.ts';
import { createRandom } from '../core/prng.ts';
import {
  refereeAdamw,
  refereeAdd,
  refereeCrossEntropy,
  refereeMatmul,
  refereeRmsNorm,
  refereeSiluGate,
  refereeSoftmax,
} from './referee.ts';

/** What every engine must give. */
export const refereeDigestExpected = '8b7c699a52cc9b680f5ea7c5b5b125b30356e33de91cde12e71da60706f35dea';

/** `change` may alter the chain's weights [65, 97] before it runs, which a test does to see another digest. */
export function refereeDigest(change: (weights: Float32Array<ArrayBuffer>) => void = () => undefined): Digest {
  const parameters = fractions(65 * 97, 1);
  change(parameters);
  const [first, second] = [new Float32Array(parameters.length), new Float32Array(parameters.length)];
  const normed = refereeRmsNorm(fractions(3 * 97, 2), fractions(97, 3), 1e-5);
  const projected = refereeMatmul(normed, parameters, { rows: 3, columns: 65, inner: 97 });
  const gated = refereeAdd(refereeSiluGate(projected, fractions(3 * 65, 4)), projected);
  const probabilities = refereeSoftmax(gated, 65);
  const losses = refereeCrossEntropy(gated, Uint32Array.of(1, 2, 3), 65);
  const gradients = parameters.map((value, index) => value * (probabilities[index % probabilities.length] ?? 0));
  for (let step = 1; step <= 3; step++) {
    const of = { learningRate: 0.01, betas: [0.9, 0.95] as const, weightDecay: 0.1, epsilon: 1e-8, step };
    refereeAdamw({ parameters, gradients, first, second }, of);
  }
  return sha256(viewBytes(Float32Array.of(...probabilities, ...losses, ...parameters)));
}

/** Uniform in [-2, 2), by whole numbers only: normal values would need a logarithm of the engine's. */
function fractions(count: number, stream: number): Float32Array<ArrayBuffer> {
  const random = createRandom(1, stream);
  return Float32Array.from({ length: count }, () => (random.below(65536) - 32768) / 16384);
}
