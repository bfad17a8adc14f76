/** What is listed of families before any device: no kernel under two names, as the tuner would race it against itself. */

import { expect, test } from 'vitest';
import { createRandom } from '../core/prng.ts';
import { attentionFamily, attentionGradientFamily } from './attention.ts';
import type { DeviceLimits } from './device.ts';
import { matmulFamily } from './matmul.ts';
import { matvecDispatch, matvecFamily } from './matvec.ts';
import { q4MatvecFamily, quantMatvecDispatch } from './quant-matvec.ts';
import { safeChoices, variantsFor, type Choices, type Family, type Variant } from './variants.ts';

const limits: DeviceLimits = {
  bindingBytesMax: 2 ** 27,
  bufferBytesMax: 2 ** 28,
  workgroupsPerDimensionMax: 65535,
  storageBindingsMax: 8,
  workgroupInvocationsMax: 256,
  workgroupBytesMax: 32768,
  memoryBytesMax: 2 ** 30,
};

const features = new Set(['subgroups']);
/** Some variants are for devices with small workgroups, others for those with large ones. */
const gpus = [256, 1024].map((size) => ({ limits: { ...limits, workgroupInvocationsMax: size }, features }));
/** What each variant would run in the bucket, as the device tells pipelines apart. */
const pipelinesOf = (family: Family, bucket: string, variants: readonly Variant[]): string[] => {
  const trial = family.trial(bucket, createRandom(1));
  return variants.map(({ name }) =>
    JSON.stringify(trial.caseOf(name).dispatches((label) => ({ buffer: { label, bytes: 4 } }))[0]?.pipeline),
  );
};

test.each([
  [matmulFamily, 'NN,rows:64,columns:64,inner:32'],
  [matmulFamily, 'NT-f16,rows:64,columns:64,inner:32'],
  [matmulFamily, 'NT-f16-odd,rows:64,columns:64,inner:32'],
  [matmulFamily, 'TN-odd,rows:64,columns:64,inner:32'],
  [matvecFamily, 'f32,columns:64,inner:64'],
  [matvecFamily, 'f16-odd,columns:64,inner:64'],
  [q4MatvecFamily, 'columns:64,inner:128'],
  [q4MatvecFamily, 'columns:64,inner:128,odd:1'],
  [attentionFamily, 'tokens:16,head:32'],
  [attentionFamily, 'tokens:16,head:32,odd:1'],
  [attentionGradientFamily, 'tokens:4,head:256,odd:1'],
])('$0.name $1: every variant that is listed there is a kernel of its own', (family, bucket) => {
  for (const gpu of gpus) {
    const listed = pipelinesOf(family, bucket, variantsFor(family, gpu, bucket));
    expect(new Set(listed).size).toBe(listed.length);
  }
});

test('without a look at the bucket a kernel would be listed under two names', () => {
  const bucket = 'NN-odd,rows:64,columns:64,inner:32';
  for (const gpu of gpus) {
    const all = pipelinesOf(matmulFamily, bucket, variantsFor(matmulFamily, gpu));
    expect(new Set(all).size).toBeLessThan(all.length);
  }
});

test('rows that the widest elements do not fit have a bucket of their own', () => {
  const asked: string[] = [];
  const choices: Choices = {
    variantOf: (family, bucket) => (asked.push(bucket), safeChoices.variantOf(family, bucket)),
  };
  const tensor = (label: string) => ({ buffer: { label, bytes: 4 } });
  const of = { input: tensor('input'), output: tensor('output'), rows: 1, columns: 64, choices };
  for (const inner of [176, 172]) matvecDispatch({ ...of, weight: tensor('weight'), inner });
  const blocks = { quants: tensor('quants'), scales: tensor('scales') };
  for (const inner of [192, 160]) quantMatvecDispatch({ ...of, ...blocks, format: 'q4_0', inner });
  const sizes = 'columns:64,inner:256';
  expect(asked).toEqual([`f32,${sizes}`, `f32-odd,${sizes}`, sizes, `${sizes},odd:1`]);
});
