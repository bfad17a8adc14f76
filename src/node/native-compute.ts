/** Starts the compute worker in Node: one thread for each GPU, which looks to `compute-client.ts` like a browser's worker. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { ComputeOptions } from '../adapters/worker/compute-api.ts';
import { openCompute, type ComputeWorker, type SpawnedCompute } from '../adapters/worker/compute-client.ts';
import { present } from '../core/assert.ts';
import { threadEndpoint } from './thread-endpoint.ts';

export interface NativeWorkerData {
  /** The GPU's name, or a part of it; left out, Dawn chooses. */
  readonly adapter: string | undefined;
  /** Where the fastest variants of kernels are remembered. */
  readonly data: string;
}

/** Starts a thread and opens its GPU; rejects with one line where there is none. */
export const openNativeCompute = (
  workerData: NativeWorkerData,
  options: ComputeOptions = {},
): Promise<SpawnedCompute> => openCompute(workerLike(new Worker(workerFile(), { workerData })), options);

/** The built thread, which lies beside the built command line, whose pieces may lie one folder deeper. */
function workerFile(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const places = [here, join(here, '..'), join(here, '..', '..', 'dist', 'node')];
  const file = places.map((place) => join(place, 'native-worker.js')).find((path) => existsSync(path));
  return present(file, 'dist/node/native-worker.js is missing: run npm run build');
}

/** Node's worker as `compute-client.ts` knows workers; its end for whatever reason is an error there. */
function workerLike(worker: Worker): ComputeWorker {
  const endpoint = threadEndpoint(worker);
  worker.on('error', (error) => endpoint.fail(error.message));
  worker.on('exit', (code) => endpoint.fail(`its thread ended with ${code}`));
  return { ...endpoint, terminate: () => void worker.terminate() };
}
