/** The document of the matrix: what is told of a kernel that passed, failed, does not apply, or ran nowhere. */

import { expect, test } from 'vitest';
import type { ConformanceRow } from '../../e2e/pages/conformance-rows.ts';
import type { ClassReport } from './class-report.ts';
import { conformanceDocument } from './matrix.ts';

const row = (rest: Partial<ConformanceRow>): ConformanceRow => ({
  kernel: 'matmul',
  variant: '',
  passed: 2,
  failed: 0,
  notApplicable: 0,
  ofTolerance: 0.3125,
  problems: [],
  ...rest,
});

const device = (name: 'chromium' | 'firefox', rows: readonly ConformanceRow[]): ClassReport => ({
  name,
  adapter: 'an adapter',
  engine: 'an engine 1.2',
  deviceClass: 'unknown unknown engine',
  features: ['shader-f16', 'bgra8unorm-storage'],
  bindingBytesMax: 2 ** 27,
  seeds: [1, 2],
  rows,
  golden: [],
  seconds: 1,
});

const documentOf = (...classes: readonly ClassReport[]): string =>
  conformanceDocument({
    command: 'npm run conformance',
    day: '2026-01-31',
    machine: 'a machine',
    classes,
    missing: [{ name: 'dawn', why: 'no driver' }],
  });

test('a cell says how many cases passed and how near the worst came to its tolerance', () => {
  const text = documentOf(device('chromium', [row({})]), device('firefox', [row({ kernel: 'rope', ofTolerance: 0 })]));
  expect(text).toContain('| matmul |  | 2 (0.31) | not run |');
  expect(text).toContain('| rope |  | not run | 2 (0.0) |');
  expect(text).not.toContain('## What failed');
});

test('a variant that a device cannot run does not apply, and is not counted as passed', () => {
  const cannot = row({ variant: 'subgroups', passed: 0, notApplicable: 5, ofTolerance: null });
  const text = documentOf(device('firefox', [cannot]));
  expect(text).toContain('| matmul | subgroups | - |');
  expect(text).toContain('0 passed, 0 failed, 5 not applicable');
});

test('a failure stands in its cell and below the table with its reason', () => {
  const wrong = row({ passed: 1, failed: 1, ofTolerance: null, problems: ['3x5: output[0] is NaN'] });
  const text = documentOf(device('chromium', [wrong]));
  expect(text).toContain('| **1 failed**, 1 (not finite) |');
  expect(text).toContain('- chromium: matmul: 3x5: output[0] is NaN');
});

test('a class that was not there is named with the reason, and others with engine, adapter and limits', () => {
  const text = documentOf(device('firefox', [row({})]));
  expect(text).toContain('Not run: dawn: no driver.');
  expect(text).toContain(
    '| firefox | an engine 1.2 | an adapter | unknown unknown engine | shader-f16 | 128 MiB | 2 passed, 0 failed, 0 not applicable |',
  );
});

test("ONNX's cases are counted by operator, and each that does not apply with its reason", () => {
  const golden = [
    { op: 'Softmax', passed: 5, failed: [], notApplicable: { 'an axis that is not the last': 2 } },
    { op: 'Trilu', passed: 0, failed: [], notApplicable: { 'no kernel of ours computes it': 18 } },
  ];
  const text = documentOf({ ...device('firefox', [row({})]), golden });
  expect(text).toContain('Of the 25 single-operator cases');
  expect(text).toContain('| Softmax | 5 | 2: an axis that is not the last |');
  expect(text).toContain('(18 cases): Trilu.');
  const wrong = [{ op: 'Softmax', passed: 4, failed: ['test_softmax: output[0] is 1'], notApplicable: {} }];
  const failing = documentOf({ ...device('firefox', [row({})]), golden: wrong });
  expect(failing).toContain('| Softmax | **1 failed**, 4 |');
  expect(failing).toContain('- firefox: ONNX: test_softmax: output[0] is 1');
});
