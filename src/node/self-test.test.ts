/**
 * The kernels' self-test on a real device without a browser: with `TABSWARM_NODE_GPU=1` and a Vulkan driver in reach
 * (`VK_DRIVER_FILES`). The same self-test runs in a browser in `e2e/kernels.spec.ts`.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failedWith, rowsThatDependOnTheBatch } from '../../e2e/pages/kernel-checks.ts';
import { miscompiles } from '../../e2e/pages/miscompiles.ts';
import { variantsThatDependOnTheBatch, variantsThatHideBadNumbers } from '../../e2e/pages/row-checks.ts';
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
    expect(report.cases.filter((own) => !own.passed)).toEqual([]);
    expect(report.passed).toBe(kernelCases(seed).length);
  });

  test.each(miscompiles)("a device that turns '$from' of $kernel into '$to' is found out", async (wrong) => {
    const failed = await failedWith(device(), wrong);
    expect(new Set(failed.map((own) => own.kernel))).toEqual(new Set([wrong.kernel]));
  });

  test('a row gives equal bits alone and in any batch', async () => {
    expect(await rowsThatDependOnTheBatch(device())).toEqual([]);
  });

  test('every variant of the row kernels gives a row equal bits at any place of any batch', async () => {
    expect(await variantsThatDependOnTheBatch(device())).toEqual([]);
  });

  test('NaN and infinity in a row come out as NaN, in every variant, and leave the rows beside it alone', async () => {
    expect(await variantsThatHideBadNumbers(device())).toEqual([]);
  });
});
