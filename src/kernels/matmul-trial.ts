/**
 * Problems on which the tuner times matmul and checks it at once. Rows and columns repeat with a period that divides no
 * tile, so that the whole output is checked while the truth computes little of it.
 */

import type { Random } from '../core/prng.ts';
import { present } from '../core/assert.ts';
import type { Dispatch } from './device.ts';
import { packHalves, unpackHalves } from './half.ts';
import type { Tensor } from './kernel.ts';
import { matmulTolerance, matmulTruth, type MatmulForm, type MatmulSizes } from './matmul-truth.ts';
import { normals, toF64 } from './test-case.ts';
import { at } from './truth.ts';
import { sizesOf, type Choices, type FamilyTrial, type Variant } from './variants.ts';

const period = 31;

/** More rows and columns tell nothing new about a variant, and more steps only take longer. */
const linesMax = 1024;
const innerMax = 256;
/** Where there are so many rows and columns, half the steps tell as much: slow adapters have 1.5 s for all variants. */
const [manyPlaces, innerOfMany] = [2 ** 18, 128];

interface TrialProblem extends MatmulSizes {
  readonly form: MatmulForm;
  readonly weights: 'f32' | 'f16';
  readonly left: Tensor;
  readonly right: Tensor;
  readonly output: Tensor;
  readonly choices: Choices;
}

/**
 * A bucket reads `NT,rows:512,columns:512,inner:512`, `NT-f16,...` where the right operand is stored in halves, `NN-odd,...`
 * where operands cannot be read by four elements.
 */
export function matmulTrial(
  variants: readonly Variant[],
  dispatch: (problem: TrialProblem) => Dispatch,
  bucket: string,
  random: Random,
): FamilyTrial {
  const [form = 'NT', ...marks] = bucket.slice(0, bucket.indexOf(',')).split('-');
  const wanted = sizesOf(bucket);
  const sizeOf = (name: string, sizeMax: number): number => {
    const size = Math.min(wanted[name] ?? 1, sizeMax);
    return marks.includes('odd') ? Math.max(1, size - 1) : size;
  };
  const problem = {
    form: form === 'NN' || form === 'TN' ? form : 'NT',
    weights: marks.includes('f16') ? 'f16' : 'f32',
    rows: sizeOf('rows', linesMax),
    columns: sizeOf('columns', linesMax),
    inner: sizeOf('inner', (wanted['rows'] ?? 1) * (wanted['columns'] ?? 1) >= manyPlaces ? innerOfMany : innerMax),
  } as const;
  const { rows, columns, inner } = problem;
  const lines = normals(random, period * inner);
  const drawn = normals(random, period * inner);
  const packed = packHalves(drawn);
  const others = problem.weights === 'f16' ? unpackHalves(packed, drawn.length) : drawn;
  const left = repeated(lines, rows, inner, problem.form === 'TN');
  const right = repeated(others, columns, inner, problem.form !== 'NT');
  const few = matmulTruth('NT', toF64(lines), toF64(others), { rows: period, columns: period, inner });
  const output = Float64Array.from({ length: rows * columns }, (_, index) =>
    at(few, (Math.floor(index / columns) % period) * period + ((index % columns) % period)),
  );
  return {
    work: 2 * rows * columns * inner,
    caseOf: (name) => ({
      kernel: 'matmul',
      variant: present(
        variants.find((variant) => variant.name === name),
        `matmul has no variant ${name}`,
      ),
      title: `${name}, ${bucket}`,
      // As models' tensors lie, so that what is timed reads by four elements too.
      alignment: 4,
      tensors: {
        left,
        right: problem.weights === 'f16' ? packHalves(right) : right,
        output: new Float32Array(rows * columns),
      },
      dispatches: (of) => {
        const right = of('right');
        return [
          dispatch({
            ...problem,
            left: of('left'),
            right: problem.weights === 'f16' ? { ...right, offset: 2 * (right.offset ?? 0) } : right,
            output: of('output'),
            choices: { variantOf: () => name },
          }),
        ];
      },
      expected: { output },
      tolerance: matmulTolerance,
    }),
  };
}

/** `count` lines of `inner` steps, each the one a period before it; stored by lines, or by steps. */
const repeated = (lines: Float32Array, count: number, inner: number, bySteps: boolean): Float32Array =>
  Float32Array.from({ length: count * inner }, (_, index) => {
    const line = bySteps ? index % count : Math.floor(index / inner);
    const step = bySteps ? Math.floor(index / count) : index % inner;
    return at(lines, (line % period) * inner + step);
  });
