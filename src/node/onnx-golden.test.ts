/**
 * The f64 truths of kernels, and with `TABSWARM_NODE_GPU=1` the kernels themselves, against ONNX's own node cases: an
 * oracle that knows nothing of this project. Says what ran, what does not apply and why. Skipped where the shared data
 * folder is absent.
 */

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { formOf } from '../../e2e/pages/onnx-forms.ts';
import {
  caseOf,
  goldenRows,
  parseGolden,
  truthProblem,
  type Form,
  type GoldenRow,
} from '../../e2e/pages/onnx-golden.ts';
import { openDevice } from '../adapters/gpu/device.ts';
import { present } from '../core/assert.ts';
import { selfTest } from '../kernels/self-test.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';

const path = '../shared/data/golden/onnx_node_golden.jsonl';
const all = existsSync(path) ? parseGolden(readFileSync(path, 'utf8')) : [];
const hasGpu = process.env['TABSWARM_NODE_GPU'] === '1';

const passedOf = (rows: readonly GoldenRow[]): number => rows.reduce((sum, row) => sum + row.passed, 0);
const reasonsOf = (rows: readonly GoldenRow[]): Map<string, number> => {
  const reasons = new Map<string, number>();
  for (const [reason, count] of rows.flatMap(({ notApplicable }) => Object.entries(notApplicable))) {
    reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  }
  return reasons;
};

function tell(rows: readonly GoldenRow[]): void {
  const reasons = reasonsOf(rows);
  const left = [...reasons.values()].reduce((a, b) => a + b, 0);
  console.log(`ONNX: ${all.length} cases, ${passedOf(rows)} passed, ${left} not applicable`);
  for (const [reason, count] of reasons) console.log(`${String(count).padStart(5)}  ${reason}`);
}

test.skipIf(all.length === 0)(
  'the truths agree with every ONNX case that we can express; each other has a reason',
  async () => {
    const rows = await goldenRows(all, undefined);
    tell(rows);
    expect(rows.flatMap(({ failed }) => failed)).toEqual([]);
    const counted = [...reasonsOf(rows).values()].reduce((a, b) => a + b, 0);
    expect(passedOf(rows) + counted).toBe(all.length);
    expect(passedOf(rows)).toBeGreaterThanOrEqual(117);
  },
);

test.skipIf(all.length === 0)('a truth or an answer that is a thousandth off is noticed in every case', () => {
  for (const golden of all) {
    const form = formOf(golden);
    if (typeof form === 'string') continue;
    const outputs = Object.fromEntries(
      Object.entries(form.outputs).map(([name, { ours, theirs }]): [string, Form['outputs'][string]] => [
        name,
        { ours, theirs: theirs.map((value) => value + 1e-3 * Math.max(1, Math.abs(value))) },
      ]),
    );
    expect(truthProblem({ ...form, outputs }), golden.name).toMatch(/the truth of/);
  }
});

test.skipIf(!hasGpu || all.length === 0)(
  'the kernels agree with the same ONNX cases',
  { timeout: 120_000 },
  async () => {
    const gpu = await openNodeGpu();
    const opened = await openDevice(gpu, { engine: 'dawn' });
    try {
      const rows = await goldenRows(all, opened.device);
      expect(rows.flatMap(({ failed }) => failed)).toEqual([]);
      expect(passedOf(rows)).toBeGreaterThanOrEqual(117);
      // The same comparison must notice an answer that is not ONNX's.
      const golden = present(
        all.find(({ name }) => name === 'test_softmax_default_axis'),
        'a case of softmax',
      );
      const form = formOf(golden);
      if (typeof form === 'string') throw new Error(form);
      const right = caseOf(golden, form);
      const expected = { output: Float64Array.from(right.expected['output'] ?? [], (value) => value + 1e-3) };
      const { failed } = await selfTest(opened.device, { cases: [{ ...right, expected }] });
      expect(failed).toBe(1);
    } finally {
      opened.close();
      closeNodeGpu(gpu);
    }
  },
);
