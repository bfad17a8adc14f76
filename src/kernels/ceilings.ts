/**
 * What this adapter can do at most, by kernels that do nothing else: floating-point operations held in registers, bytes
 * moved, and what a dispatch costs by itself. Other kernels are judged by the fraction of these that they reach, as
 * data sheets are not at hand and software adapters have none.
 */

import type { Dispatch } from './device.ts';
import { defineKernel, dispatchOf, elementGrid, elementInvocations, type Tensor } from './kernel.ts';
import { busyMsOf, type TimedDevice } from './trial-run.ts';

const fmaNumbers = ['rounds', 'factor:f32'] as const;
const fmaOf = (number: 'number_f32' | 'number_f16_pair') =>
  defineKernel({ shader: 'ceiling_fma', parts: [number], tensors: ['>output'], numbers: fmaNumbers });
const fma = fmaOf('number_f32');
const fmaF16 = fmaOf('number_f16_pair');
const copy = defineKernel({ shader: 'ceiling_copy', tensors: ['input', '>output'], numbers: ['vectors'] });

export const ceilingKernels = [fma, fmaF16, copy];

export interface Ceilings {
  /** Floating-point operations a second, a fused multiplication and addition counted as two. */
  readonly f32Flops: number;
  /** Absent without `shader-f16`. */
  readonly f16Flops?: number;
  /** Bytes read and bytes written a second, together. */
  readonly copyBytes: number;
  /** What one more dispatch in a submit costs. */
  readonly dispatchMs: number;
  /** A submit by itself, until its end is known. */
  readonly submitMs: number;
}

/** Of each measure the best of a few samples, as everything that disturbs makes them worse. About a second on a software adapter. */
export async function measureCeilings(timed: TimedDevice): Promise<Ceilings> {
  const f32Flops = await flopsOf(timed, fma, 1);
  const f16 = timed.device.features.has('shader-f16') ? { f16Flops: await flopsOf(timed, fmaF16, 2) } : {};
  const copyBytes = await copyBytesOf(timed);
  return { f32Flops, ...f16, copyBytes, ...(await overheadOf(timed)) };
}

/** A sample must last so long that the submit itself does not count. */
const sampleMsMin = 40;
const samples = 3;

const fmaRounds = 256;
/** 12 sums four times, each a multiplication and an addition; of pairs in half precision. */
const flopsPerRound = 96;
const fmaGroupsMax = 16_384;

async function flopsOf(timed: TimedDevice, kernel: typeof fma, lanes: number): Promise<number> {
  const output = timed.device.createBuffer('ceiling output', 4 * fmaGroupsMax * elementInvocations);
  try {
    let best = 0;
    let groups = 64;
    let times = 1;
    for (let sample = 0; sample < samples;) {
      const invocations = groups * elementInvocations;
      const numbers = { rounds: fmaRounds, factor: 0.999 };
      const dispatch = dispatchOf(kernel, { output: { buffer: output } }, numbers, elementGrid(invocations));
      const ms = await sampleMs(timed, dispatch, times);
      if (ms >= sampleMsMin || times >= 256) {
        best = Math.max(best, (invocations * fmaRounds * flopsPerRound * lanes * times) / (ms / 1000));
        sample++;
      } else if (groups < fmaGroupsMax) groups *= 4;
      else times *= 4;
    }
    return best;
  } finally {
    timed.device.free(output);
  }
}

const glimpseBytes = 2 ** 22;

/** Bytes read and written a second, roughly: a few copies that take milliseconds, for those who place work by it. */
export async function glimpseCopyBytes(timed: TimedDevice): Promise<number> {
  const { device } = timed;
  const input: Tensor = { buffer: device.createBuffer('ceiling input', glimpseBytes) };
  const output: Tensor = { buffer: device.createBuffer('ceiling output', glimpseBytes) };
  try {
    const vectors = glimpseBytes / vectorBytes;
    const dispatch = dispatchOf(copy, { input, output }, { vectors }, elementGrid(vectors / 4));
    // The first run compiles.
    await sampleMs(timed, dispatch, 1);
    let fastest = Infinity;
    for (let sample = 0; sample < samples; sample++) fastest = Math.min(fastest, await sampleMs(timed, dispatch, 4));
    return (4 * 2 * glimpseBytes) / (Math.max(fastest, timed.grainMs ?? 0, 0.01) / 1000);
  } finally {
    device.free(input.buffer);
    device.free(output.buffer);
  }
}

/** Larger than a cache where the adapter is fast enough to have a large one. */
const copySizes = [2 ** 24, 2 ** 26, 2 ** 28];
const vectorBytes = 16;

async function copyBytesOf(timed: TimedDevice): Promise<number> {
  const { device } = timed;
  const { bindingBytesMax, bufferBytesMax, memoryBytesMax } = device.limits;
  const room = Math.min(bindingBytesMax, bufferBytesMax, (memoryBytesMax - device.usage().bytes) / 4);
  const fitting = copySizes.filter((bytes, index) => index === 0 || bytes <= room);
  let best = 0;
  for (const bytes of fitting) {
    const input: Tensor = { buffer: device.createBuffer('ceiling input', bytes) };
    const output: Tensor = { buffer: device.createBuffer('ceiling output', bytes) };
    try {
      const vectors = bytes / vectorBytes;
      const dispatch = dispatchOf(copy, { input, output }, { vectors }, elementGrid(vectors / 4));
      const first = await sampleMs(timed, dispatch, 1);
      const times = Math.min(64, Math.max(1, Math.ceil(sampleMsMin / Math.max(first, 0.01))));
      let fastest = Infinity;
      for (let sample = 0; sample < samples; sample++) {
        fastest = Math.min(fastest, (await sampleMs(timed, dispatch, times)) / times);
      }
      // The largest that was measured counts, not the fastest: smaller ones may have been a cache's speed.
      best = (2 * bytes) / (fastest / 1000);
      if (fastest > sampleMsMin / 8) break;
    } finally {
      device.free(input.buffer);
      device.free(output.buffer);
    }
  }
  return best;
}

async function overheadOf(timed: TimedDevice): Promise<Pick<Ceilings, 'dispatchMs' | 'submitMs'>> {
  const { device } = timed;
  const input: Tensor = { buffer: device.createBuffer('ceiling input', vectorBytes) };
  const output: Tensor = { buffer: device.createBuffer('ceiling output', vectorBytes) };
  try {
    const dispatch = dispatchOf(copy, { input, output }, { vectors: 1 }, elementGrid(1));
    const many = 512;
    let [dispatchMs, submitMs] = [Infinity, Infinity];
    for (let sample = 0; sample < samples + 1; sample++) {
      const one = await sampleMs(timed, dispatch, 1);
      const all = await sampleMs(timed, dispatch, many);
      submitMs = Math.min(submitMs, one);
      dispatchMs = Math.min(dispatchMs, Math.max(0, all - one) / (many - 1));
    }
    return { dispatchMs, submitMs };
  } finally {
    device.free(input.buffer);
    device.free(output.buffer);
  }
}

const sampleMs = async (timed: TimedDevice, dispatch: Dispatch, times: number): Promise<number> => {
  await timed.device.prepare([dispatch.pipeline]);
  const dispatches = Array.from({ length: times }, () => dispatch);
  return Math.max(1e-3, await busyMsOf(timed, () => timed.device.run(dispatches)));
};
