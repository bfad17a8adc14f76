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

/** A bucket reads `f32,columns:2048,inner:2048`, or `f32-odd,...` where rows are no multiple of sixteen elements. */
export function matvecTrial(
  variants: readonly Variant[],
  dispatch: (problem: TrialProblem) => Dispatch,
  bucket: string,
  random: Random,
): FamilyTrial {
  const weights = bucket.startsWith('f16') ? 'f16' : 'f32';
  const wanted = sizesOf(bucket);
  const columns = Math.min(wanted['columns'] ?? 1, columnsMax);
  const whole = Math.min(wanted['inner'] ?? 1, innerMax);
  const inner = bucket.includes('-odd,') ? Math.max(1, whole - 4) : whole;
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
      // As models' tensors lie, so that what is timed reads by sixteen elements too.
      alignment: 16,
      tensors: { input, weight: words, output: new Float32Array(columns) },
      dispatches: (of) => {
        const placed = of('weight');
        return [
          dispatch({
            input: of('input'),
            weight: { ...placed, offset: (placed.offset ?? 0) * (weights === 'f16' ? 2 : 1) },
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
