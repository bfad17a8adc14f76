/**
 * The thread in which a native volunteer computes, so that its link stays responsive: Dawn's GPU, the programs, and the
 * same service behind Comlink as in a browser's compute worker. `native-compute.ts` starts it.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { expose, transfer } from 'comlink';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { openTunedDevice } from '../adapters/gpu/tuned-device.ts';
import { createComputeService } from '../adapters/worker/compute-service.ts';
import { present } from '../core/assert.ts';
import { programs } from '../programs/registry.ts';
import { createFileWinners } from './file-winners.ts';
import type { NativeWorkerData } from './native-compute.ts';
import { openNodeGpu } from './open-gpu.ts';
import { threadEndpoint } from './thread-endpoint.ts';

const { adapter, data } = workerData as NativeWorkerData;

const service = createComputeService({
  openDevice: async (options, report) =>
    openTunedDevice(await openNodeGpu(adapter === undefined ? {} : { adapter }), {
      ...options,
      engine: 'dawn',
      clock: systemClock,
      store: createFileWinners(data),
      report,
    }),
  programs,
  clock: systemClock,
});

expose(
  {
    ...service,
    runUnit: async (unit: Parameters<typeof service.runUnit>[0]) => {
      const result = await service.runUnit(unit);
      return transfer(result, [result.buffer]);
    },
  },
  threadEndpoint(present(parentPort, 'this file runs in a worker thread')),
);
