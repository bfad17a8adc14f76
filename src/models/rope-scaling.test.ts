/**
 * Scaled rotary frequencies against numbers that transformers' own formulas gave (`modeling_rope_utils.py`, followed branch
 * by branch apart from this code).
 */

import { expect, test } from 'vitest';
import type { ModelConfig } from '../protocol/manifest.ts';
import { rotationOf, rotationTable } from './rope-scaling.ts';

/** The rotary part of Llama 3.1 8B. */
const config: ModelConfig = {
  architecture: 'llama',
  layers: 1,
  width: 128,
  hidden: 2,
  heads: 1,
  keyValueHeads: 1,
  vocabulary: 2,
  context: 131_072,
  ropeTheta: 500_000,
  normEpsilon: 1e-5,
};

const close = (frequencies: Float64Array, expected: Readonly<Record<number, number>>): void => {
  for (const [pair, value] of Object.entries(expected)) {
    expect((frequencies[Number(pair)] ?? NaN) / value, `pair ${pair}`).toBeCloseTo(1, 12);
  }
};

test("Llama 3's frequencies: fast pairs stay, slow ones are divided, and between them it is blended", () => {
  const scaling = { kind: 'llama3', factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192 } as const;
  const { frequencies, amplitude } = rotationOf({ ...config, ropeScaling: scaling });
  expect(amplitude).toBe(1);
  close(frequencies, {
    0: 1,
    1: 0.8146172338565447,
    28: 0.0032114459947525913,
    29: 0.002166570763503359,
    32: 0.0005248461609929547,
    34: 0.00017850781276799638,
    35: 9.556212353964683e-5,
    63: 3.068925988914511e-7,
  });
});

test("YaRN's frequencies, and the amplitude that goes with them", () => {
  const scaling = { kind: 'yarn', factor: 4, originalContext: 32_768, betaFast: 32, betaSlow: 1 } as const;
  const attentionFactor = 1.138629436111989;
  const ropeScaling = { ...scaling, attentionFactor };
  const { frequencies, amplitude } = rotationOf({ ...config, ropeTheta: 1e6, ropeScaling });
  expect(amplitude).toBe(attentionFactor);
  close(frequencies, {
    0: 1,
    10: 0.1154781984689458,
    23: 0.006978305848598663,
    24: 0.005375321490790102,
    30: 0.0010643609812470017,
    39: 6.490394320837028e-5,
    40: 4.445698525097307e-5,
    63: 3.102344401879299e-7,
  });
  const table = rotationTable({ ...config, ropeTheta: 1e6, ropeScaling }, 2);
  expect(table[0]).toBeCloseTo(attentionFactor, 6);
  expect(table[128 + 1]).toBeCloseTo(attentionFactor * Math.sin(1), 6);
});

test('linear scaling and factors of a file divide; without either nothing changes', () => {
  const plain = rotationOf(config).frequencies;
  const linear = rotationOf({ ...config, ropeScaling: { kind: 'linear', factor: 4 } }).frequencies;
  expect(linear).toEqual(plain.map((frequency) => frequency / 4));
  const factors = plain.map((_, pair) => 1 + pair);
  const divided = rotationOf({ ...config, ropeScaling: { kind: 'factors' } }, factors).frequencies;
  expect(divided).toEqual(plain.map((frequency, pair) => frequency / (1 + pair)));
  expect(() => rotationOf({ ...config, ropeScaling: { kind: 'factors' } })).toThrow(/undefined factors for 64 pairs/);
});
