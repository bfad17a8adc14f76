/** Stages on a real device: Dawn in Node, where `TABSWARM_NODE_GPU=1` says that a GPU is at hand. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { MemoryError } from '../kernels/device.ts';
import { openNodeGpu } from '../node/open-gpu.ts';
import {
  differenceFromTruth,
  lastChoices,
  openWeights,
  prefill,
  sharingThatShows,
  slicesThatDiffer,
  stageConfig,
  stagesThatDiffer,
  stepsThatDiffer,
  strangeConfigs,
  tokensOf,
  withStage,
} from '../../e2e/pages/stage-checks.ts';
import { createStage, NoPagesError, pagesThatFit } from './stage.ts';

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('a stage', { timeout: 300_000 }, () => {
  let opened: OpenedDevice;
  beforeAll(async () => {
    opened = await openDevice(await openNodeGpu());
  }, 60_000);
  afterAll(() => opened.close());

  test.each([stageConfig, ...strangeConfigs].map((config, index) => [index, config.architecture, config] as const))(
    'gives the logits of the f64 network, in slices and token by token (%i, %s)',
    async (_index, _name, config) => {
      expect(await differenceFromTruth(opened.device, config)).toBeLessThan(2e-3);
    },
  );

  test('gives equal bits however a prompt is cut into slices', async () => {
    expect(await slicesThatDiffer(opened.device)).toEqual([]);
    expect(await slicesThatDiffer(opened.device, lastChoices(opened.device))).toEqual([]);
  });

  test('gives equal bits with its own prompt and with pages of another', async () => {
    expect(await sharingThatShows(opened.device)).toEqual([]);
  });

  test('another beginning gives other bits, so that the comparisons above can fail', async () => {
    await withStage(opened.device, async (stage) => {
      const prompt = tokensOf(20, 1);
      const logitsBehind = async (sequence: number, beginning: readonly number[]): Promise<Float32Array> => {
        stage.open(sequence, 20);
        await prefill(stage, sequence, beginning);
        stage.open(sequence + 1, 20, { of: sequence, tokens: 13 });
        await prefill(stage, sequence + 1, prompt, { from: 13 });
        return stage.readLogits();
      };
      const own = await logitsBehind(0, prompt);
      const other = await logitsBehind(
        2,
        prompt.map((token, position) => (position === 4 ? token + 1 : token) % 37),
      );
      expect(other).not.toEqual(own);
    });
  });

  test.each([[[1, 2]], [[1, 1, 1]]])('gives equal bits whole and in stages of %j layers', async (layers) => {
    expect(await stagesThatDiffer(opened.device, layers)).toEqual([]);
  });

  test('chooses the same tokens in blocks and one by one, alone and beside requests of other kinds', async () => {
    expect(await stepsThatDiffer(opened.device)).toEqual([]);
  });

  test('refuses a sequence that has no room, and takes it when another has closed', async () => {
    await withStage(
      opened.device,
      async (stage) => {
        stage.open(1, 24);
        expect(() => stage.open(2, 25)).toThrow(NoPagesError);
        expect(() => stage.open(2, 25)).toThrow(
          /^no room for a sequence of 25 tokens: it takes 4 pages of 8, 3 are free/,
        );
        stage.close(1);
        stage.open(2, 25);
        await prefill(stage, 2, tokensOf(25, 1));
        const rows = [[2, 27]] as const;
        const ahead = stage.forward({ kind: 'decode', rows, tokens: Uint32Array.of(1) });
        await expect(ahead).rejects.toThrow('sequence 2: position 27 comes after 25 were computed');
      },
      { pages: 6 },
    );
  });

  test('is refused as a whole where its cache cannot fit, and what fits is told', async () => {
    const weights = await openWeights(opened.device, stageConfig);
    const before = opened.device.usage();
    const pages = 2 ** 27;
    const room = { positionsMax: 64, sequencesMax: 4, rowsMax: 8, weights };
    expect(() => createStage(opened.device, { ...room, pages })).toThrow(MemoryError);
    expect(opened.device.usage()).toEqual(before);
    const of = { config: stageConfig, layers: 3, tokensMax: 2 ** 30 };
    expect(pagesThatFit(opened.device, { ...of, bytes: 3 * 16 * 96 * 4 * 7 + 100 })).toBe(7);
    expect(pagesThatFit(opened.device, { ...of, bytes: 2 ** 50 })).toBeLessThanOrEqual(
      opened.device.limits.bindingBytesMax / (16 * 96 * 4),
    );
    weights.free();
  });
});
