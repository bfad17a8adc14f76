/**
 * Runs every kernel's cases on a device and compares with the f64 truths: on the page `#/device`, in end-to-end tests, and
 * wherever a new adapter is met. Tensors lie at odd offsets between guard elements, so that a kernel that ignores its
 * offsets or writes beyond its output is found too.
 */

import { copyBytes, viewBytes } from '../core/bytes.ts';
import { present } from '../core/assert.ts';
import { kernelCases } from './catalogue.ts';
import type { Device, DeviceBuffer, Dispatch } from './device.ts';
import type { KernelCase } from './test-case.ts';
import { at } from './truth.ts';
import { canRun } from './variants.ts';

export interface CaseReport {
  readonly kernel: string;
  readonly title: string;
  readonly passed: boolean;
  /** The largest |got - want| over all outputs; for u32 outputs the count of wrong elements. */
  readonly errorMax: number;
  /** The largest |got - want| / (absolute + relative * |want|); up to 1 passes. */
  readonly ofTolerance: number;
  /** What went wrong first, with the output's name and element; absent when passed. */
  readonly problem?: string;
}

export interface SelfTestReport {
  readonly seed: number;
  readonly passed: number;
  readonly failed: number;
  /** Cases of variants that this device cannot run. */
  readonly notApplicable: number;
  readonly cases: readonly CaseReport[];
}

export interface SelfTestOptions {
  /** Default 1. */
  readonly seed?: number;
  /** Default: every kernel's. */
  readonly cases?: readonly KernelCase[];
  readonly onCase?: (report: CaseReport) => void;
}

export async function selfTest(device: Device, options: SelfTestOptions = {}): Promise<SelfTestReport> {
  const { seed = 1, cases = kernelCases(seed) } = options;
  const reports: CaseReport[] = [];
  const applicable = cases.filter(({ variant }) => variant === undefined || canRun(variant, device));
  for (const kernelCase of applicable) {
    const report = await runCase(device, kernelCase);
    reports.push(report);
    options.onCase?.(report);
  }
  const passed = reports.filter((report) => report.passed).length;
  const notApplicable = cases.length - applicable.length;
  return { seed, passed, failed: reports.length - passed, notApplicable, cases: reports };
}

const guardsBefore = ({ alignment }: KernelCase): number => alignment ?? 3;
const guardsAfter = 2;
const guardValue = 0x4d4d4d4d;

interface Placed {
  readonly buffer: DeviceBuffer;
  readonly count: number;
}

async function runCase(device: Device, kernelCase: KernelCase): Promise<CaseReport> {
  const placed = new Map<string, Placed>();
  try {
    for (const [name, values] of Object.entries(kernelCase.tensors))
      placed.set(name, place(device, name, values, kernelCase));
    const dispatches = kernelCase.dispatches((name) => ({
      buffer: placedAs(placed, name).buffer,
      offset: guardsBefore(kernelCase),
    }));
    await runAll(device, dispatches);
    return await compare(device, kernelCase, placed);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const { kernel, title } = kernelCase;
    return { kernel, title, passed: false, errorMax: Infinity, ofTolerance: Infinity, problem };
  } finally {
    for (const { buffer } of placed.values()) device.free(buffer);
  }
}

async function runAll(device: Device, dispatches: readonly Dispatch[]): Promise<void> {
  await device.prepare(dispatches.map((dispatch) => dispatch.pipeline));
  await device.run(dispatches);
}

const placedAs = (placed: ReadonlyMap<string, Placed>, name: string): Placed =>
  present(placed.get(name), `the case names a tensor '${name}' that it does not have`);

function place(device: Device, name: string, values: Float32Array | Uint32Array, kernelCase: KernelCase): Placed {
  const before = guardsBefore(kernelCase);
  // Rounded up, because a shader that reads four elements at once does not see a shorter rest.
  const after = guardsAfter + ((4 - ((before + values.length + guardsAfter) % 4)) % 4);
  const words = new Uint32Array(before + values.length + after).fill(guardValue);
  words.set(new Uint32Array(values.buffer, values.byteOffset, values.length), before);
  const buffer = device.createBuffer(`self-test ${name}`, words.byteLength);
  device.write(buffer, viewBytes(words));
  return { buffer, count: values.length };
}

async function compare(
  device: Device,
  kernelCase: KernelCase,
  placed: ReadonlyMap<string, Placed>,
): Promise<CaseReport> {
  let errorMax = 0;
  let ofTolerance = 0;
  let problem: string | undefined;
  for (const [name, want] of Object.entries(kernelCase.expected)) {
    const { buffer, count } = placedAs(placed, name);
    const words = new Uint32Array(copyBytes(await device.read(buffer)).buffer);
    const before = guardsBefore(kernelCase);
    if (!guardsStand(words, before, count)) problem ??= `${name}: an element outside the tensor was written`;
    const found = compareTensor(name, words.slice(before, before + count), want, kernelCase);
    errorMax = Math.max(errorMax, found.errorMax);
    ofTolerance = Math.max(ofTolerance, found.ofTolerance);
    problem ??= found.problem;
  }
  const { kernel, title } = kernelCase;
  const report = { kernel, title, passed: problem === undefined, errorMax, ofTolerance };
  return problem === undefined ? report : { ...report, problem };
}

const guardsStand = (words: Uint32Array, before: number, count: number): boolean =>
  words.every((word, index) => (index >= before && index < before + count) || word === guardValue);

function compareTensor(
  name: string,
  words: Uint32Array<ArrayBuffer>,
  want: Float64Array | Uint32Array,
  { tolerance }: KernelCase,
): Pick<CaseReport, 'errorMax' | 'ofTolerance' | 'problem'> {
  const exact = want instanceof Uint32Array;
  const got = exact ? words : new Float32Array(words.buffer);
  let errorMax = 0;
  let ofTolerance = 0;
  let problem: string | undefined;
  if (want.length !== got.length) problem = `${name} has ${got.length} elements, and the truth ${want.length}`;
  want.forEach((wanted: number, index: number) => {
    const value = at(got, index);
    const error = Math.abs(value - wanted);
    if (error === 0) return;
    const allowed = exact ? 0 : tolerance.absolute + tolerance.relative * Math.abs(wanted);
    // Said this way round, so that NaN is wrong too.
    const isWrong = !(error <= allowed);
    errorMax = exact ? errorMax + 1 : Math.max(errorMax, Number.isNaN(error) ? Infinity : error);
    ofTolerance = Math.max(ofTolerance, isWrong && !Number.isFinite(error / allowed) ? Infinity : error / allowed);
    if (isWrong) problem ??= `${name}[${index}] is ${value}, and the truth is ${wanted}`;
  });
  return problem === undefined ? { errorMax, ofTolerance } : { errorMax, ofTolerance, problem };
}
