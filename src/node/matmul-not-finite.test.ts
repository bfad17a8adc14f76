/** NaN and infinity in a product's inputs come out as such in every variant, never as zeros, and stay in their own rows. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { viewBytes } from '../core/bytes.ts';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { matmulDispatch, matmulVariants } from '../kernels/matmul.ts';
import { matvecDispatch, matvecVariants } from '../kernels/matvec.ts';
import { canRun } from '../kernels/variants.ts';
import { openNodeGpu } from './open-gpu.ts';

const [rows, columns, inner] = [5, 12, 36];

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('on a device', () => {
  let opened: OpenedDevice | undefined;
  beforeAll(async () => {
    opened = await openDevice(await openNodeGpu());
  }, 60_000);
  afterAll(() => opened?.close());

  const variants = [
    ...matmulVariants.map((variant) => ['matmul', variant] as const),
    ...matvecVariants.map((variant) => ['matvec', variant] as const),
  ];
  test.each(variants.map(([operation, variant]) => [operation, variant.name, variant] as const))(
    '%s, variant %s, keeps them',
    { timeout: 120_000 },
    async (operation, name, variant) => {
      const device = opened?.device;
      if (device === undefined) throw new Error('no device');
      if (!canRun(variant, device)) return;
      const tensor = (values: Float32Array): Tensor => {
        const buffer = device.createBuffer(name, values.byteLength);
        device.write(buffer, viewBytes(values));
        return { buffer };
      };
      const left = new Float32Array(rows * inner).fill(1);
      left[inner + 7] = NaN;
      left[2 * inner + inner - 1] = Infinity;
      const weight = tensor(new Float32Array(columns * inner).fill(0.5));
      const output = tensor(new Float32Array(rows * columns));
      const of = { output, rows, columns, inner, choices: { variantOf: () => name } };
      await device.run([
        operation === 'matmul'
          ? matmulDispatch({ ...of, form: 'NT', left: tensor(left), right: weight })
          : matvecDispatch({ ...of, input: tensor(left), weight }),
      ]);
      const bytes = await device.read(output.buffer);
      const got = new Float32Array(bytes.buffer, bytes.byteOffset, rows * columns);
      const rowOf = (row: number): number[] => [...got.subarray(row * columns, (row + 1) * columns)];
      expect(rowOf(0)).toEqual(new Array(columns).fill(inner / 2));
      expect(rowOf(1)).toEqual(new Array(columns).fill(NaN));
      expect(rowOf(2)).toEqual(new Array(columns).fill(Infinity));
      expect(rowOf(4)).toEqual(new Array(columns).fill(inner / 2));
    },
  );
});
