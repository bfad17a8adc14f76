/**
 * ONNX's own single-operator cases against our kernels: an oracle that knows nothing of this project. Each case that an
 * operation of ours can express becomes a case of the self-test whose expected outputs are ONNX's; every other case gets a
 * reason. Which operator has which form is `onnx-forms.ts` and `onnx-attention.ts`.
 */

import type { Device, Dispatch } from '../../src/kernels/device.ts';
import type { Tensor } from '../../src/kernels/kernel.ts';
import { selfTest } from '../../src/kernels/self-test.ts';
import type { KernelCase, Tolerance } from '../../src/kernels/test-case.ts';
import { at } from '../../src/kernels/truth.ts';
import { formOf } from './onnx-forms.ts';

export interface GoldenTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** One line of the file. */
export interface Golden {
  readonly name: string;
  readonly op: string;
  readonly attrs: Readonly<Record<string, number | string>>;
  readonly node_inputs: readonly string[];
  readonly node_outputs: readonly string[];
  readonly inputs: Readonly<Record<string, GoldenTensor>>;
  readonly outputs: Readonly<Record<string, GoldenTensor>>;
}

/** How an operation of ours computes a case. */
export interface Form {
  /** Whose kernel it is, as in the catalogue. */
  readonly kernel: string;
  readonly tensors: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly dispatches: (tensor: (name: string, offset?: number) => Tensor) => readonly Dispatch[];
  /** By the name of a tensor that is written: what our f64 truth says, and what ONNX says. */
  readonly outputs: Readonly<Record<string, { readonly ours: Float64Array; readonly theirs: readonly number[] }>>;
}

export interface GoldenRow {
  readonly op: string;
  readonly passed: number;
  /** Name of the case, and what went wrong. */
  readonly failed: readonly string[];
  /** How many cases for each reason. */
  readonly notApplicable: Readonly<Record<string, number>>;
}

export const parseGolden = (text: string): Golden[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Golden);

const truthTolerance = 2e-6;
const tolerance: Tolerance = {
  absolute: 1e-5,
  relative: 1e-5,
  reason: 'both sides are rounded to f32, and ONNX sums in an order of its own',
};

/** What is wrong with our f64 truth, or undefined; the expected values of ONNX are f32. */
export function truthProblem(form: Form): string | undefined {
  for (const [name, { ours, theirs }] of Object.entries(form.outputs)) {
    if (ours.length !== theirs.length) return `${name} has ${ours.length} elements, and ONNX's ${theirs.length}`;
    const wrong = ours.findIndex((value, index) => {
      const want = at(theirs, index);
      return !(Math.abs(value - want) <= truthTolerance * Math.max(1, Math.abs(want)));
    });
    if (wrong >= 0) return `the truth of ${name}[${wrong}] is ${ours[wrong]}, and ONNX's ${theirs[wrong]}`;
  }
  return undefined;
}

/** A case of the self-test that expects what ONNX expects. */
export const caseOf = (golden: Golden, form: Form): KernelCase => ({
  kernel: form.kernel,
  title: golden.name,
  tensors: form.tensors,
  dispatches: (tensor) =>
    form.dispatches((name, offset = 0) => {
      const whole = tensor(name);
      return { buffer: whole.buffer, offset: (whole.offset ?? 0) + offset };
    }),
  expected: Object.fromEntries(
    Object.entries(form.outputs).map(([name, { theirs }]): [string, Float64Array | Uint32Array] => {
      const isWhole = form.tensors[name] instanceof Uint32Array;
      return [name, isWhole ? Uint32Array.from(theirs, (value) => value >>> 0) : Float64Array.from(theirs)];
    }),
  ),
  tolerance,
});

/** Every case of the file, by operator: our truths, and with a device our kernels too. */
export async function goldenRows(all: readonly Golden[], device: Device | undefined): Promise<GoldenRow[]> {
  const rows = new Map<
    string,
    { op: string; passed: number; failed: string[]; notApplicable: Record<string, number> }
  >();
  for (const golden of all) {
    const row = rows.get(golden.op) ?? { op: golden.op, passed: 0, failed: [], notApplicable: {} };
    rows.set(golden.op, row);
    const form = formOf(golden);
    if (typeof form === 'string') {
      row.notApplicable[form] = (row.notApplicable[form] ?? 0) + 1;
      continue;
    }
    const problem =
      truthProblem(form) ?? (device === undefined ? undefined : await deviceProblem(golden, form, device));
    if (problem === undefined) row.passed += 1;
    else row.failed.push(`${golden.name}: ${problem}`);
  }
  return [...rows.values()];
}

async function deviceProblem(golden: Golden, form: Form, device: Device): Promise<string | undefined> {
  const [report] = (await selfTest(device, { cases: [caseOf(golden, form)] })).cases;
  return report?.passed === true ? undefined : (report?.problem ?? 'it did not run');
}
