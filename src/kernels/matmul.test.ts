/** What matmul's and matvec's families promise before any device: trials that are true, buckets that ignore the batch. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { matmulDispatch, matmulFamily } from './matmul.ts';
import { matmulTruth } from './matmul-truth.ts';
import { matvecDispatch, matvecFamily } from './matvec.ts';
import { toF64 } from './test-case.ts';
import { safeChoices, type Choices } from './variants.ts';

test.each(['NN', 'NT', 'TN'] as const)('the trial of %s expects what the truth says of its tensors', (form) => {
  const trial = matmulFamily.trial(`${form},rows:64,columns:128,inner:32`, createRandom(1));
  const { tensors, expected } = trial.caseOf('plain');
  const values = (name: string): Float64Array => toF64(tensors[name] ?? []);
  const truth = matmulTruth(form, values('left'), values('right'), { rows: 64, columns: 128, inner: 32 });
  expect(Math.max(...truth.map((want, index) => Math.abs(want - Number(expected['output']?.[index]))))).toBeLessThan(
    1e-12,
  );
  expect(trial.work).toBe(2 * 64 * 128 * 32);
});

test.each(['quad-16x8', 'tile-64x64'])('%s is timed where it is checked, and is itself what runs', (variant) => {
  const { caseOf } = matmulFamily.trial('NN,rows:64,columns:128,inner:32', createRandom(1));
  const { alignment, dispatches } = caseOf(variant);
  const labels = [0, 4].map((offset) =>
    dispatches((label) => ({ buffer: { label, bytes: 4 }, offset })).map(({ pipeline }) => pipeline.label),
  );
  const [timed, checked] = labels;
  expect(alignment).toBe(4);
  expect(timed).toEqual(checked);
  expect(timed?.join()).not.toBe('matmul');
});

test('the bucket of matvec does not depend on the rows, so that neither does the variant', () => {
  const asked = new Set<string>();
  const choices: Choices = {
    variantOf(family, bucket) {
      asked.add(`${family.name} ${bucket}`);
      return safeChoices.variantOf(family, bucket);
    },
  };
  for (const rows of [1, 4, 16]) {
    const tensor = (label: string) => ({ buffer: { label, bytes: 4 } });
    const of = { input: tensor('input'), weight: tensor('weight'), output: tensor('output'), columns: 96, inner: 112 };
    matvecDispatch({ ...of, rows, choices });
  }
  expect([...asked]).toEqual(['matvec f32,columns:128,inner:128']);
});

test('a product is of an odd bucket where its operands cannot be read by four, and of another where they can', () => {
  const asked: string[] = [];
  const choices: Choices = {
    variantOf: (family, bucket) => (asked.push(bucket), safeChoices.variantOf(family, bucket)),
  };
  const tensor = (label: string, offset = 0) => ({ buffer: { label, bytes: 4 }, offset });
  const sizes = { form: 'NN', rows: 8, columns: 16, inner: 32, choices } as const;
  const of = { left: tensor('left'), right: tensor('right'), output: tensor('output') };
  matmulDispatch({ ...sizes, ...of });
  matmulDispatch({ ...sizes, ...of, left: tensor('left', 1) });
  matmulDispatch({ ...sizes, ...of, inner: 31 });
  const bucket = 'rows:8,columns:16,inner:32';
  expect(asked).toEqual([`NN,${bucket}`, `NN-odd,${bucket}`, `NN-odd,${bucket}`]);
});

test('a variant that nobody knows is refused by name', () => {
  expect(() => matmulFamily.trial('NN,rows:1,columns:1,inner:1', createRandom(1)).caseOf('fast')).toThrow(/fast/);
  expect(() => matvecFamily.trial('f32,columns:1,inner:1', createRandom(1)).caseOf('fast')).toThrow(/fast/);
});
