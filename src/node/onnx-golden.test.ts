/**
 * The f64 truths of kernels against ONNX's own node cases, where an operator has the same form as ours: an oracle that
 * knows nothing of this project. Skipped where the shared data folder is absent.
 */

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { present } from '../core/assert.ts';
import { crossEntropyTruth } from '../kernels/cross-entropy.ts';
import { embeddingTruth } from '../kernels/embedding.ts';
import { matmulTruth } from '../kernels/matmul.ts';
import { rmsNormTruth } from '../kernels/rms-norm.ts';
import { argmaxTruth } from '../kernels/sample.ts';
import { toF64 } from '../kernels/test-case.ts';
import { at, plus } from '../kernels/truth.ts';

const path = '../shared/data/golden/onnx_node_golden.jsonl';

interface GoldenTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Golden {
  readonly name: string;
  readonly op: string;
  readonly attrs: Readonly<Record<string, number | string>>;
  readonly node_inputs: readonly string[];
  readonly node_outputs: readonly string[];
  readonly inputs: Readonly<Record<string, GoldenTensor>>;
  readonly outputs: Readonly<Record<string, GoldenTensor>>;
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Our answer for the first output, or undefined when the case's form is none of ours. */
function answer({ op, attrs, node_inputs, inputs }: Golden): Float64Array | undefined {
  const [x, y, z] = node_inputs.map((name) => inputs[name]);
  if (x === undefined) return undefined;
  const [rows = 0, width = 0] = x.shape;
  if (op === 'MatMul' && y !== undefined && x.shape.length === 2 && y.shape.length === 2) {
    return matmulTruth('NN', toF64(x.data), toF64(y.data), { rows, columns: at(y.shape, 1), inner: width });
  }
  if (op === 'RMSNormalization' && y !== undefined) {
    const axis = Number(attrs['axis'] ?? -1);
    if (product(x.shape.slice(axis)) !== y.data.length) return undefined;
    return rmsNormTruth(toF64(x.data), toF64(y.data), Number(attrs['epsilon'] ?? 1e-5)).output;
  }
  if (op === 'SoftmaxCrossEntropyLoss' && y !== undefined && z === undefined && x.shape.length === 2) {
    const ignored = attrs['ignore_index'];
    const targets = Uint32Array.from(y.data, (target) => (target === ignored ? 0xffffffff : target));
    const { losses } = crossEntropyTruth(toF64(x.data), targets, 1);
    const sum = losses.reduce((a, b) => a + b, 0);
    if (attrs['reduction'] === 'none') return losses;
    const counted = targets.filter((target) => target < width).length;
    return Float64Array.of(attrs['reduction'] === 'sum' ? sum : sum / counted);
  }
  if (op === 'ArgMax' && x.shape.length === 2 && [1, -1].includes(Number(attrs['axis'] ?? 0))) {
    if (attrs['select_last_index'] === 1) return undefined;
    return Float64Array.from({ length: rows }, (_, row) => argmaxTruth(x.data.slice(row * width, (row + 1) * width)));
  }
  if (op === 'Gather' && y !== undefined && attrs['axis'] === 0 && y.data.every((index) => index >= 0)) {
    return embeddingTruth(Uint32Array.from(y.data), toF64(x.data), product(x.shape.slice(1)));
  }
  return undefined;
}

const cases = existsSync(path)
  ? readFileSync(path, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Golden)
      .flatMap((golden) => {
        const ours = answer(golden);
        return ours === undefined ? [] : [{ golden, ours }];
      })
  : [];

const worst = (ours: Float64Array, { data }: GoldenTensor): number =>
  plus(
    ours,
    data.map((value) => -value),
  ).reduce((most, error) => Math.max(most, Math.abs(error)), 0);

test.skipIf(!existsSync(path))('the truths agree with the ONNX cases of five operators', () => {
  expect(new Set(cases.map(({ golden }) => golden.op)).size).toBe(5);
  for (const { golden, ours } of cases) {
    const want = present(golden.outputs[present(golden.node_outputs[0], 'an output')], 'an output');
    expect(ours.length, golden.name).toBe(want.data.length);
    expect(worst(ours, want), golden.name).toBeLessThan(2e-6);
    // The same comparison must notice a changed answer.
    expect(worst(ours.with(0, at(ours, 0) + 1e-3), want), golden.name).toBeGreaterThan(2e-6);
  }
});
