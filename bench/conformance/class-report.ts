/**
 * What a device class of the conformance matrix reports, and how the rows of one device are gathered, wherever it is. How
 * each class is opened is `browsers.ts` and `dawn.ts`.
 */

import type { OpenedDevice } from '../../src/adapters/gpu/device.ts';
import type { ConformanceRow } from '../../e2e/pages/conformance-rows.ts';
import type { GoldenRow } from '../../e2e/pages/onnx-golden.ts';

/** What a class did. */
export interface ClassReport extends AboutClass {
  readonly name: ClassName;
  readonly seeds: readonly number[];
  readonly rows: readonly ConformanceRow[];
  /** ONNX's own cases by operator; empty where their file is absent. */
  readonly golden: readonly GoldenRow[];
  readonly seconds: number;
}

export interface AboutClass {
  /** Adapter and driver, as far as they are told. */
  readonly adapter: string;
  /** Browser or library, with its version. */
  readonly engine: string;
  readonly deviceClass: string;
  readonly features: readonly string[];
  readonly bindingBytesMax: number;
}

export interface ClassMissing {
  readonly name: ClassName;
  readonly why: string;
}

export const classNames = ['chromium', 'firefox', 'dawn'] as const;
export type ClassName = (typeof classNames)[number];

export interface RunOptions {
  readonly seeds: readonly number[];
  /** Only kernels whose names contain this. */
  readonly only: string;
  /** The text of ONNX's cases; left out where they are not wanted or not there. */
  readonly cases?: string;
  readonly tell: (line: string) => void;
}

/** The class cannot be had on this machine; the text says why. */
export class MissingError extends Error {
  override readonly name = 'MissingError';
}

/** Opens a device, lends it, and closes it. */
export type WithClass = (use: (asked: Asked) => Promise<ClassReport>) => Promise<ClassReport>;

/** One device, wherever it is. */
export interface Asked {
  readonly about: () => Promise<AboutClass>;
  readonly kernelNames: (seed: number) => Promise<readonly string[]>;
  readonly rows: (seed: number, kernel: string) => Promise<readonly ConformanceRow[]>;
  /** The text of ONNX's cases, a JSON object a line. */
  readonly goldenRows: (text: string) => Promise<readonly GoldenRow[]>;
}

/** What a class shows of its device; browsers keep back what they please. */
export const aboutOf = (
  { adapter, description }: Pick<OpenedDevice, 'adapter' | 'description'>,
  engine: string,
  untold: string,
): AboutClass => ({
  adapter: [adapter.description, adapter.vendor, adapter.architecture].filter(Boolean).join(', ') || untold,
  engine,
  deviceClass: description.deviceClass,
  features: description.features,
  bindingBytesMax: description.bindingBytesMax,
});

/** Runs every kernel; failures are told at once. */
export async function reportOf(
  name: ClassName,
  asked: Asked,
  { seeds, only, cases, tell }: RunOptions,
): Promise<ClassReport> {
  const start = performance.now();
  const about = await asked.about();
  tell(`${name}: ${about.engine}, ${about.adapter}`);
  const rows: ConformanceRow[] = [];
  for (const seed of seeds) {
    const names = (await asked.kernelNames(seed)).filter((kernel) => kernel.includes(only));
    for (const kernel of names) {
      tell(`${name}: seed ${seed}: ${kernel} ...`);
      const found = await asked.rows(seed, kernel);
      rows.push(...found);
      for (const { variant, failed, problems } of found) {
        if (failed > 0) tell(`${name}: seed ${seed}: ${kernel} ${variant}: ${failed} failed: ${problems[0] ?? ''}`);
      }
    }
    tell(`${name}: seed ${seed}: ${names.length} kernels done`);
  }
  const golden = cases === undefined ? [] : await asked.goldenRows(cases);
  for (const problem of golden.flatMap(({ failed }) => failed)) tell(`${name}: ONNX: ${problem}`);
  return { name, ...about, seeds, rows: merged(rows), golden, seconds: (performance.now() - start) / 1000 };
}

/** Rows of several seeds as one row each. */
function merged(rows: readonly ConformanceRow[]): ConformanceRow[] {
  const byKey = new Map<string, ConformanceRow>();
  for (const row of rows) {
    const key = `${row.kernel} ${row.variant}`;
    const known = byKey.get(key);
    byKey.set(key, known === undefined ? row : sum(known, row));
  }
  return [...byKey.values()];
}

const sum = (one: ConformanceRow, other: ConformanceRow): ConformanceRow => ({
  ...one,
  passed: one.passed + other.passed,
  failed: one.failed + other.failed,
  notApplicable: one.notApplicable + other.notApplicable,
  ofTolerance:
    one.ofTolerance === null || other.ofTolerance === null ? null : Math.max(one.ofTolerance, other.ofTolerance),
  problems: [...one.problems, ...other.problems],
});
