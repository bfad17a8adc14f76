/**
 * The page in which ours and the other libraries compute in turn. It does nothing by itself: the command calls
 * `kernelBench.open` once and `kernelBench.race` for each problem, and reads what they return.
 */

import { openDevice } from '../../src/adapters/gpu/device.ts';
import { oursOn } from '../kernels/ours.ts';
import { problems } from '../kernels/problem.ts';
import { race, type Library } from '../kernels/work.ts';
import type { MeasuredCase } from '../measure.ts';

export interface Opened {
  readonly adapter: string;
  readonly fallback: boolean;
  /** Libraries that did not open, with their reason. */
  readonly failed: Readonly<Record<string, string>>;
}

export interface KernelBench {
  open(withPeers: boolean): Promise<Opened>;
  race(problem: string, rounds: number): Promise<MeasuredCase>;
}

/** Loaded when they are wanted, as their packages may not be installed. */
const peers: Readonly<Record<string, () => Promise<Library>>> = {
  '@jax-js/jax': async () => (await import('../peers/jax.ts')).openJax(),
  '@tensorflow/tfjs-backend-webgpu': async () => (await import('../peers/tfjs.ts')).openTfjs(),
  'onnxruntime-web': async () => (await import('../peers/onnxruntime.ts')).openOnnxruntime(),
};

let libraries: [Library, ...Library[]] | undefined;

const kernelBench: KernelBench = {
  async open(withPeers) {
    const { device, description } = await openDevice(navigator.gpu);
    libraries = [oursOn(device)];
    const failed: Record<string, string> = {};
    for (const [name, open] of withPeers ? Object.entries(peers) : []) {
      try {
        libraries.push(await open());
      } catch (error) {
        failed[name] = error instanceof Error ? error.message : String(error);
      }
    }
    return { adapter: description.deviceClass, fallback: description.fallback, failed };
  },
  async race(name, rounds) {
    const make = problems[name];
    if (libraries === undefined || make === undefined) throw new Error(`open first, then race a problem: ${name}`);
    return race(make(), libraries, rounds, () => performance.now() / 1000);
  },
};

Object.assign(globalThis, { kernelBench });
