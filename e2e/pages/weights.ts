/** The page of `large-model.spec.ts`: a model's file from a URL to the browser's device, and some tokens out of it. */

import { openDevice } from '../../src/adapters/gpu/device.ts';
import { openUrlSource } from '../../src/adapters/source/url-source.ts';
import { expectInput } from '../../src/core/result.ts';
import type { Device } from '../../src/kernels/device.ts';
import { openNetworkWeights, wholeNetwork, type WeightOptions } from '../../src/models/network-weights.ts';
import { createStage } from '../../src/models/stage.ts';
import { configOfGguf } from '../../src/models/weights/gguf-config.ts';
import { openGguf } from '../../src/models/weights/gguf.ts';
import { matchLlama } from '../../src/models/weights/llama-weights.ts';

export interface WeightsRun {
  readonly tokens: readonly number[];
  /** Buffers that hold the embedding's rows. */
  readonly embeddingParts: number;
  readonly deviceBytes: number;
  readonly loadMs: number;
  /** Of each token, the prompt with the first. */
  readonly tokenMs: readonly number[];
}

export interface WeightsAsk extends Pick<WeightOptions, 'quantise'> {
  readonly url: string;
  readonly prompt: readonly number[];
  readonly tokens: number;
  /** Weights are laid out as if a binding held no more. */
  readonly bindingBytesMax?: number;
  readonly memoryBytesMax: number;
}

const greedy = { sample: 0, seed: 0, temperature: 0, topK: 0, topP: 1 };

async function run(ask: WeightsAsk): Promise<WeightsRun> {
  const opened = await openDevice(navigator.gpu, { memoryBytesMax: ask.memoryBytesMax });
  const { device } = opened;
  const { bindingBytesMax = device.limits.bindingBytesMax } = ask;
  const narrow: Device = { ...device, limits: { ...device.limits, bindingBytesMax } };
  try {
    const started = performance.now();
    const file = expectInput(await openGguf(await openUrlSource(ask.url)));
    const matched = expectInput(matchLlama(expectInput(configOfGguf(file)), file));
    const positionsMax = 64;
    const weights = await openNetworkWeights(narrow, matched, {
      ...wholeNetwork(matched.config),
      positionsMax,
      ...(ask.quantise && { quantise: ask.quantise }),
    });
    const loadMs = performance.now() - started;
    const stage = createStage(device, { weights, pages: 4, positionsMax, sequencesMax: 1, rowsMax: 8, logitsMax: 1 });
    stage.open(0, positionsMax);
    const tokens: number[] = [];
    const tokenMs: number[] = [];
    let fed = [...ask.prompt];
    let position = 0;
    while (tokens.length < ask.tokens) {
      const begun = performance.now();
      const own = position;
      const rows = fed.map((_, index) => [0, own + index] as const);
      await stage.forward({ kind: 'decode', rows, tokens: Uint32Array.from(fed), logits: [fed.length - 1] });
      position += fed.length;
      const [chosen] = await stage.sample([{ ...greedy, row: fed.length - 1, position }]);
      if (chosen === undefined) throw new Error('no token');
      tokens.push(chosen.token);
      fed = [chosen.token];
      tokenMs.push(performance.now() - begun);
    }
    return {
      tokens,
      embeddingParts: weights.embedding?.parts.length ?? 0,
      deviceBytes: weights.bytes,
      loadMs,
      tokenMs,
    };
  } finally {
    opened.close();
  }
}

const weightsUnderTest = { run };

declare global {
  interface Window {
    weightsUnderTest: typeof weightsUnderTest;
  }
}

window.weightsUnderTest = weightsUnderTest;
