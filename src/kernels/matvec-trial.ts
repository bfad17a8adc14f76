/**
 * Problems on which the tuner times matvec and checks it at once. The weight's columns repeat with a period that divides
 * no tile, so that every output is checked while the truth computes few of them.
 */

import { present } from '../core/assert.ts';
import type { Random } from '../core/prng.ts';
import type { Dispatch } from './device.ts';
import { packHalves, unpackHalves } from './half.ts';
import type { Tensor } from './kernel.ts';
import { matvecTolerance, matvecTruth } from './matvec-truth.ts';
import { normals, toF64 } from './test-case.ts';
import { at } from './truth.ts';
import { sizesOf, type Choices, type FamilyTrial, type Variant } from './variants.ts';

const period = 61;

/** Beyond these a variant's order among the others does not change, and a trial would fill memory. */
const [columnsMax, innerMax] = [8192, 4096];

interface TrialProblem {
  readonly input: Tensor;
  readonly weight: Tensor;
  readonly output: Tensor;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly weights: 'f32' | 'f16';
  readonly choices: Choices;
}

/** A bucket reads `f32,columns:2048,inner:2048`. */
export function matvecTrial(
  variants: readonly Variant[],
  dispatch: (problem: TrialProblem) => Dispatch,
  bucket: string,
  random: Random,
): FamilyTrial {
  const weights = bucket.startsWith('f16') ? 'f16' : 'f32';
  const wanted = sizesOf(bucket);
  const columns = Math.min(wanted['columns'] ?? 1, columnsMax);
  const inner = Math.min(wanted['inner'] ?? 1, innerMax);
  const input = normals(random, inner);
  const drawn = normals(random, period * inner);
  const few = weights === 'f16' ? unpackHalves(packHalves(drawn), drawn.length) : drawn;
  const outputs = matvecTruth({ input: toF64(input), weight: toF64(few), rows: 1, columns: period, inner });
  const weight = Float32Array.from({ length: columns * inner }, (_, index) => at(few, index % few.length));
  const words = weights === 'f16' ? packHalves(weight) : weight;
  return {
    work: columns * inner * (weights === 'f16' ? 2 : 4),
    caseOf: (name) => ({
      kernel: 'matvec',
      variant: present(
        variants.find((own) => own.name === name),
        `matvec has no variant ${name}`,
      ),
      title: `${name}, ${bucket}`,
      // One word before each, as the self-test puts tensors at offset 3, and models' lie at multiples of four.
      tensors: {
        input: Float32Array.from([NaN, ...input]),
        weight: weights === 'f16' ? ledWords(words) : ledFloats(weight),
        output: new Float32Array(columns),
      },
      dispatches: (of) => {
        const led = (tensor: string, perWord: number): Tensor => {
          const { buffer, offset = 0 } = of(tensor);
          return { buffer, offset: (offset + 1) * perWord };
        };
        return [
          dispatch({
            input: led('input', 1),
            weight: led('weight', weights === 'f16' ? 2 : 1),
            output: of('output'),
            rows: 1,
            columns,
            inner,
            weights,
            choices: { variantOf: () => name },
          }),
        ];
      },
      expected: { output: Float64Array.from({ length: columns }, (_, column) => at(outputs, column % period)) },
      tolerance: matvecTolerance,
    }),
  };
}

function ledFloats(values: Float32Array): Float32Array {
  const led = new Float32Array(values.length + 1).fill(NaN);
  led.set(values, 1);
  return led;
}

function ledWords(values: Float32Array | Uint32Array): Uint32Array {
  const led = new Uint32Array(values.length + 1);
  led.set(values, 1);
  return led;
}
