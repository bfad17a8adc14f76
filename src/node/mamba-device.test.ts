/** The recurrent network on a real device: logits of f64, equal bits in any company, and a state that does not grow with the text. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { createRandom } from '../core/prng.ts';
import type { Device } from '../kernels/device.ts';
import { safeChoices } from '../kernels/variants.ts';
import { createMambaDecoder } from '../models/mamba-decode.ts';
import { initialMamba, stateBytes, type MambaConfig } from '../models/mamba-parameters.ts';
import { mambaTruth } from '../models/mamba-truth.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';

const seed = 21;
const config: MambaConfig = {
  layers: 3,
  width: 64,
  heads: 4,
  headWidth: 32,
  states: 16,
  groups: 1,
  taps: 4,
  vocabulary: 97,
  normEpsilon: 1e-5,
};
const random = createRandom(seed, 5);
const parameters = Float32Array.from(initialMamba(config, seed), (x) => x + 0.1 * random.normal());
const textOf = (length: number): number[] => Array.from({ length }, () => random.below(config.vocabulary));

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
  afterAll(() => {
    opened?.close();
    if (gpu !== undefined) closeNodeGpu(gpu);
  });

  test('logits are those of f64 after every token of a long text', { timeout: 60_000 }, async () => {
    const text = textOf(120);
    const truth = mambaTruth(config, parameters, text);
    const spread = Math.max(...truth.map(Math.abs));
    const decoder = createMambaDecoder(device(), { config, slots: 1, rowsMax: 1, choices: safeChoices });
    decoder.load(parameters);
    const { bytes } = device().usage();
    let worst = 0;
    for (const [position, token] of text.entries()) {
      await decoder.feed([[0, token]]);
      const logits = await decoder.readLogits();
      logits.forEach((logit, index) => {
        worst = Math.max(worst, Math.abs(logit - (truth[position * config.vocabulary + index] ?? NaN)));
      });
    }
    expect(worst / spread).toBeLessThan(2e-5);
    // Nothing was added for the 120 tokens; the state is what the config says.
    expect(device().usage().bytes).toBe(bytes);
    expect(stateBytes(config)).toBe(4 * 3 * (160 * 3 + 4 * 16 * 32));
    decoder.free();
  });

  test('a sequence has equal bits alone and among 16 others, in any slot; a cleared slot begins anew', async () => {
    const texts = Array.from({ length: 16 }, () => textOf(6));
    const decoder = createMambaDecoder(device(), { config, slots: 16, rowsMax: 16, choices: safeChoices });
    decoder.load(parameters);
    const [first = []] = texts;
    for (const token of first) await decoder.feed([[11, token]]);
    const alone = await decoder.readLogits();
    // Slot 11 is the third row's then.
    decoder.clear(11);
    const slots = Array.from({ length: 16 }, (_, row) => (row * 5 + 1) % 16);
    const ownRow = slots.indexOf(11);
    for (let position = 0; position < first.length; position++) {
      await decoder.feed(slots.map((slot, row) => [slot, (row === ownRow ? first : texts[row])?.[position] ?? 0]));
    }
    const batch = await decoder.readLogits();
    const at = ownRow * config.vocabulary;
    expect(batch.subarray(at, at + config.vocabulary)).toEqual(alone);
    // Without clearing it goes on from what it has read.
    for (const token of first) await decoder.feed([[11, token]]);
    expect(await decoder.readLogits()).not.toEqual(alone);
    await expect(
      decoder.feed([
        [2, 1],
        [2, 1],
      ]),
    ).rejects.toThrow(/mamba: slots 2,2/);
    decoder.free();
  });
});
