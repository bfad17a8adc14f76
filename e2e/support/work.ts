/**
 * The job of most stories: units that take as long as a story needs, in steps short enough to be let go between them,
 * and whose results anybody can check at once. `work.wgsl` does the same on the GPU, one link of the chain at a time.
 */

import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import type { ShaderJobInput } from '../../src/protocol/job-file.ts';

export const workShader = readFileSync(new URL('../shaders/work.wgsl', import.meta.url), 'utf8');

const lanes = 4;
/** The shader's constant `rounds`: links of the chain in a step. */
export const workRounds = 200_000;
/** The job's input. */
export const workSeeds = Array.from({ length: lanes }, (_, lane) => lane * 977 + 1);

export interface WorkOptions {
  readonly name: string;
  readonly units: number;
  /** Steps of one unit: 256 take about a second on a software adapter, and a unit is let go or reports after 64. */
  readonly steps: number;
  readonly replicas?: number;
}

export const workJob = ({ name, units, steps, replicas = 1 }: WorkOptions): ShaderJobInput => ({
  version: 1,
  name,
  program: 'shader',
  shader: 'work.wgsl',
  constants: { rounds: workRounds },
  buffers: [
    { binding: 0, kind: 'unit' },
    { binding: 1, kind: 'input', data: { u32: workSeeds } },
    { binding: 2, kind: 'output', type: 'u32', count: lanes },
  ],
  steps: [
    { entryPoint: 'begin', grid: [1, 1, 1] },
    { entryPoint: 'step', grid: [1, 1, 1], repeat: steps },
  ],
  units: { count: units },
  verify: { replicas, absolute: 0, relative: 0 },
});

/** Writes the job and its shader into a folder; the job file's path. */
export async function writeWork(folder: string, options: WorkOptions): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'work.wgsl'), workShader);
  const path = join(folder, `${options.name}.json`);
  await writeFile(path, JSON.stringify(workJob(options)));
  return path;
}

/** What a unit of `steps` steps returns. */
export function workTruth(unit: number, steps: number): Uint8Array<ArrayBuffer> {
  const jump = chainOf(workRounds * steps);
  return new Uint8Array(
    Uint32Array.from(workSeeds, (seed) => Math.imul(seed + unit, jump.factor) + jump.offset).buffer,
  );
}

/** `length` links of value * factor + offset as one: squares the map once for each bit. */
function chainOf(length: number): { factor: number; offset: number } {
  let all = { factor: 1, offset: 0 };
  let power = { factor: 1664525, offset: 1013904223 };
  const after = (second: typeof all, first: typeof all): typeof all => ({
    factor: Math.imul(second.factor, first.factor),
    offset: (Math.imul(second.factor, first.offset) + second.offset) | 0,
  });
  for (let left = length; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) all = after(power, all);
    power = after(power, power);
  }
  return all;
}

/** Every unit's bytes are in this folder of `tabswarm submit --out`, and right. */
export async function expectWork(out: string, { units, steps }: WorkOptions): Promise<void> {
  for (let unit = 0; unit < units; unit++) {
    const bytes = await readFile(join(out, `${String(unit).padStart(6, '0')}.bin`));
    expect(bytes.equals(workTruth(unit, steps)), `unit ${unit} is not the work that was asked for`).toBe(true);
  }
}
