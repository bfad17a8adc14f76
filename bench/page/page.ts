/**
 * The page in which ours and the other libraries compute in turn. It does nothing by itself: the command calls
 * `kernelBench.open` once, `ceilings`, then `race` for each problem, and reads what they return.
 */

import { openTunedDevice, type TunedDevice } from '../../src/adapters/gpu/tuned-device.ts';
import { createMemoryWinners } from '../../src/adapters/store/memory-winners.ts';
import { measureCeilings } from '../../src/kernels/ceilings.ts';
import { measureInference, type InferenceReport } from '../inference.ts';
import { oursOn } from '../kernels/ours.ts';
import { problems } from '../kernels/problem.ts';
import { race, type Library } from '../kernels/work.ts';
import type { MeasuredCase } from '../measure.ts';
import { ceilingsOf, variantsOf, type RunCeilings } from '../report.ts';
import { promptAllDevices } from './prompt-all.ts';

export interface Opened {
  readonly adapter: string;
  readonly fallback: boolean;
  /** Libraries that did not open, with their reason. */
  readonly failed: Readonly<Record<string, string>>;
}

export interface KernelBench {
  open(withPeers: boolean): Promise<Opened>;
  ceilings(): Promise<RunCeilings>;
  race(problem: string, rounds: number): Promise<MeasuredCase>;
  /** Tokens a second of a whole model. */
  inference(rounds: number): Promise<InferenceReport>;
  /** Which variant won each bucket that the problems asked for, one line each; what was wrong too. */
  variants(): readonly string[];
}

/** Loaded when they are wanted, as their packages may not be installed. */
const peers: Readonly<Record<string, () => Promise<Library>>> = {
  '@jax-js/jax': async () => (await import('../peers/jax.ts')).openJax(),
  '@tensorflow/tfjs-backend-webgpu': async () => (await import('../peers/tfjs.ts')).openTfjs(),
  'onnxruntime-web': async () => (await import('../peers/onnxruntime.ts')).openOnnxruntime(),
};

/** On adapters that are not software: long enough that the look at the result does not count. */
const runSecondsMin = 0.02;

let tuned: TunedDevice | undefined;
let libraries: readonly [Library, ...Library[]] | undefined;

const openedDevice = (): TunedDevice => {
  if (tuned === undefined) throw new Error('call `open` first');
  return tuned;
};

const kernelBench: KernelBench = {
  async open(withPeers) {
    tuned = await openTunedDevice(navigator.gpu, { store: createMemoryWinners() });
    const others: Library[] = [];
    const failed: Record<string, string> = {};
    for (const [name, open] of withPeers ? Object.entries(peers) : []) {
      try {
        others.push(await open());
      } catch (error) {
        failed[name] = error instanceof Error ? error.message : String(error);
      }
    }
    libraries = [oursOn(tuned), ...others];
    const { deviceClass, fallback } = tuned.description;
    return { adapter: deviceClass, fallback, failed };
  },
  ceilings: async () => ceilingsOf(await measureCeilings(openedDevice())),
  async race(name, rounds) {
    const make = problems[name];
    if (libraries === undefined || make === undefined) throw new Error(`open first, then race a problem: ${name}`);
    const secondsMin = openedDevice().description.fallback ? 0 : runSecondsMin;
    return race(make(), libraries, { rounds, now: () => performance.now() / 1000, secondsMin });
  },
  inference: (rounds) => measureInference(openedDevice(), rounds, () => performance.now() / 1000),
  variants: () => variantsOf(openedDevice().tuner),
};

promptAllDevices();
Object.assign(globalThis, { kernelBench });
