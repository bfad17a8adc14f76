/**
 * The kernels' self-test on a real device without a browser: with `TABSWARM_NODE_GPU=1` and a Vulkan driver in reach
 * (`VK_DRIVER_FILES`). The same self-test runs in a browser in `e2e/kernels.spec.ts`.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { kernelCases } from '../kernels/catalogue.ts';
import type { Device } from '../kernels/device.ts';
import { selfTest } from '../kernels/self-test.ts';
import { openNodeGpu } from './open-gpu.ts';

const seed = 1;

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('on a device', () => {
  let gpu: GPU | undefined;
  let opened: OpenedDevice | undefined;
  const device = (): Device => {
    if (opened === undefined) throw new Error('no device');
    return opened.device;
  };

  beforeAll(async () => {
    gpu = await openNodeGpu();
    opened = await openDevice(gpu);
  }, 60_000);
  afterAll(() => opened?.close());

  test(`every kernel agrees with its truth, seed ${seed}`, { timeout: 300_000 }, async () => {
    const report = await selfTest(device(), { seed });
    if (process.env['TABSWARM_VERBOSE'] === '1') {
      for (const own of report.cases) {
        console.log(
          `${own.passed ? 'ok  ' : 'FAIL'} ${own.kernel} (${own.title}): ${own.errorMax.toExponential(1)}, ${own.ofTolerance.toFixed(3)} of tolerance ${own.problem ?? ''}`,
        );
      }
    }
    expect(report.cases.filter((own) => !own.passed)).toEqual([]);
    expect(report.passed).toBe(kernelCases(seed).length);
  });
});
