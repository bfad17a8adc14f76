/** Starts the compute worker in a browser. What is said to it then is `compute-client.ts`. */

import type { ComputeOptions } from './compute-api.ts';
import { openCompute, type SpawnedCompute } from './compute-client.ts';

export { WorkerGoneError, type SpawnedCompute, type SpawnedUnit } from './compute-client.ts';

/** Starts a worker and opens its device; rejects with one line where the browser has no usable GPU. */
export const spawnCompute = (options: ComputeOptions = {}): Promise<SpawnedCompute> =>
  openCompute(new Worker(new URL('./compute-worker.ts', import.meta.url), { type: 'module' }), options);
