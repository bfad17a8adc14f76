/**
 * The dedicated worker in which all GPU work happens, so that no kernel ever makes a page stutter. Only puts parts
 * together: the browser's GPU, the programs, and the service behind Comlink.
 */

import { expose, transfer } from 'comlink';
import { programs } from '../../programs/registry.ts';
import { systemClock } from '../clock/system-clock.ts';
import { openTunedDevice } from '../gpu/tuned-device.ts';
import { createIndexedDbWinners } from '../store/indexeddb-winners.ts';
import { createComputeService } from './compute-service.ts';
import { lie } from './lie.ts';

// A constant of the build: without it the bundler finds no use of the liar and leaves it out.
const lying = import.meta.env.VITE_LIAR === 'allowed';

const service = createComputeService({
  openDevice: ({ memoryBytesMax, workScale }, report) =>
    openTunedDevice(navigator.gpu, {
      clock: systemClock,
      store: createIndexedDbWinners(),
      report,
      workScale,
      ...(memoryBytesMax === undefined ? {} : { memoryBytesMax }),
    }),
  programs,
  clock: systemClock,
  ...(lying ? { lie } : {}),
});

expose({
  ...service,
  runUnit: async (unit: Parameters<typeof service.runUnit>[0]) => {
    const result = await service.runUnit(unit);
    return transfer(result, [result.buffer]);
  },
});
