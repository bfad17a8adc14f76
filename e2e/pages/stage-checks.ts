/**
 * What must be true of stages on a real device, as functions that return what is wrong: `model.ts` runs them in a browser's
 * page, `src/models/stage.test.ts` on Dawn in Node. The expected side is the f64 network, or the same rows in other company.
 */

import { memorySource } from '../../src/core/byte-source.ts';
import { viewBytes } from '../../src/core/bytes.ts';
import { createRandom } from '../../src/core/prng.ts';
import { expectInput } from '../../src/core/result.ts';
import type { Device } from '../../src/kernels/device.ts';
import { safeVariant, variantsFor, type Choices } from '../../src/kernels/variants.ts';
import { initialParameters, llamaLayout } from '../../src/models/llama-parameters.ts';
import { logitsTruth } from '../../src/models/llama-truth.ts';
import { openNetworkWeights, wholeNetwork, type NetworkWeights } from '../../src/models/network-weights.ts';
import { createStage, type DecodeRow, type Stage, type StageOptions } from '../../src/models/stage.ts';
import type { StageRange } from '../../src/models/weight-plan.ts';
import { vectorWeights } from '../../src/models/weights/llama-weights.ts';
import type { ModelConfig } from '../../src/protocol/manifest.ts';
import { smallConfig } from './model-plans.ts';

const seed = 11;
const positionsMax = 64;

export const stageConfig: ModelConfig = {
  ...smallConfig,
  layers: 3,
  width: 96,
  hidden: 130,
  heads: 6,
  keyValueHeads: 3,
};

/** What Llama has not: heads of their own width, norms of them, biases, a classifier of its own. */
export const strangeConfigs: readonly ModelConfig[] = [
  { ...stageConfig, architecture: 'qwen3', headWidth: 10, queryKeyNorm: true },
  { ...stageConfig, architecture: 'qwen2', attentionBias: 'inputs', tied: false },
  { ...stageConfig, attentionBias: 'all', ropeScaling: { kind: 'linear', factor: 4 } },
];

/** Far from linear, gains and biases included. */
export function roughParameters(config: ModelConfig): Float32Array<ArrayBuffer> {
  const random = createRandom(seed, 1);
  return Float32Array.from(initialParameters(config, seed), (x) => x * 4 + 0.1 * random.normal());
}

export async function openWeights(
  device: Device,
  config: ModelConfig,
  range: StageRange = wholeNetwork(config),
): Promise<NetworkWeights> {
  const { elements } = llamaLayout(config);
  const parameters = roughParameters(config);
  if (parameters.length !== elements) throw new Error('parameters of another network');
  const source = expectInput(vectorWeights(config, memorySource('weights', viewBytes(parameters))));
  return openNetworkWeights(device, source, { ...range, positionsMax });
}

const room: Omit<StageOptions, 'weights'> = {
  pages: 64,
  pageTokens: 8,
  positionsMax,
  sequencesMax: 20,
  rowsMax: 48,
  logitsMax: 16,
  stepsMax: 4,
};

/** Runs `use` on a whole network, and frees everything. */
export async function withStage<T>(
  device: Device,
  use: (stage: Stage) => Promise<T>,
  options: Partial<Omit<StageOptions, 'weights'>> & { readonly config?: ModelConfig } = {},
): Promise<T> {
  const { config = stageConfig, ...own } = options;
  const weights = await openWeights(device, config);
  const stage = createStage(device, { ...room, ...own, weights });
  try {
    return await use(stage);
  } finally {
    stage.free();
    weights.free();
  }
}

export const tokensOf = (length: number, stream: number, vocabulary = stageConfig.vocabulary): number[] => {
  const random = createRandom(seed, stream);
  return Array.from({ length }, () => random.below(vocabulary));
};

/** Computes a prompt in slices; the logits after it stay on the stage. */
export async function prefill(
  stage: Stage,
  sequence: number,
  tokens: readonly number[],
  { slice = 48, from = 0 }: { readonly slice?: number; readonly from?: number } = {},
): Promise<void> {
  for (let first = from; first < tokens.length; first += slice) {
    const own = Uint32Array.from(tokens.slice(first, first + slice));
    const rows = Array.from(own, (_, index) => [sequence, first + index] as const);
    const isEnd = first + own.length === tokens.length;
    await stage.forward({ kind: 'prefill', rows, tokens: own, logits: isEnd ? [own.length - 1] : [] });
  }
}

/** Feeds these tokens one after another as decode does, and gives the logits after each. */
async function feed(stage: Stage, sequence: number, position: number, tokens: readonly number[]): Promise<string[]> {
  const found: string[] = [];
  for (const [step, token] of tokens.entries()) {
    await stage.forward({ kind: 'decode', rows: [[sequence, position + step]], tokens: Uint32Array.of(token) });
    found.push(bitsOf(await stage.readLogits()));
  }
  return found;
}

const bitsOf = (values: Float32Array<ArrayBuffer>): string => new Uint32Array(values.buffer).join();

/** In which slices of a prompt the logits after it, or after tokens that follow, have other bits than in one piece. */
export async function slicesThatDiffer(device: Device, choices: Choices = device.choices): Promise<string[]> {
  const prompt = tokensOf(45, 2);
  const next = tokensOf(3, 3);
  const check = async (stage: Stage): Promise<string[]> => {
    const logitsAfter = async (slice: number): Promise<string[]> => {
      stage.open(0, positionsMax);
      await prefill(stage, 0, prompt, { slice });
      const found = [bitsOf(await stage.readLogits()), ...(await feed(stage, 0, prompt.length, next))];
      stage.close(0);
      return found;
    };
    const whole = await logitsAfter(prompt.length);
    const different: string[] = [];
    for (const slice of [1, 7, 32]) {
      const found = await logitsAfter(slice);
      found.forEach((bits, token) => {
        if (bits !== whole[token]) different.push(`slices of ${slice}: logits after token ${prompt.length + token}`);
      });
    }
    return different;
  };
  return withStage(device, check, { choices });
}

/** Of each family the variant that stands last among those that run here: what a tuner might choose, and unlike the safe ones. */
export const lastChoices = (device: Device): Choices => ({
  variantOf: (family, bucket) => variantsFor(family, device, bucket).at(-1)?.name ?? safeVariant(family).name,
});

/** What differs between a sequence that computed its whole prompt and one that began with another's pages. */
export async function sharingThatShows(device: Device): Promise<string[]> {
  const prompt = tokensOf(29, 4);
  const next = tokensOf(3, 5);
  return withStage(device, async (stage) => {
    const different: string[] = [];
    stage.open(0, positionsMax);
    await prefill(stage, 0, prompt);
    const alone = [bitsOf(await stage.readLogits()), ...(await feed(stage, 0, prompt.length, next))];
    // A whole number of pages, a page and a part, and less than a page.
    for (const [index, shared] of [24, 13, 5].entries()) {
      stage.open(index + 1, positionsMax, { of: 0, tokens: shared });
      await prefill(stage, index + 1, prompt, { from: shared });
      const found = [bitsOf(await stage.readLogits()), ...(await feed(stage, index + 1, prompt.length, next))];
      if (found.join() !== alone.join()) different.push(`a prefix of ${shared} tokens`);
    }
    // The others' pages stay when the first owner has gone.
    stage.close(0);
    stage.open(9, positionsMax);
    await prefill(stage, 9, tokensOf(positionsMax, 6));
    stage.open(10, positionsMax, { of: 1, tokens: 24 });
    await prefill(stage, 10, prompt, { from: 24 });
    if (bitsOf(await stage.readLogits()) !== alone[0]) different.push('a prefix whose first owner has gone');
    return different;
  });
}

/** Largest difference of the logits after a prompt and after each of some tokens from those of the f64 network. */
export async function differenceFromTruth(device: Device, config: ModelConfig): Promise<number> {
  const prompt = tokensOf(11, 7);
  const next = tokensOf(4, 8);
  return withStage(
    device,
    async (stage) => {
      stage.open(3, positionsMax);
      await prefill(stage, 3, prompt, { slice: 4 });
      const found = [...(await stage.readLogits())];
      for (const [step, token] of next.entries()) {
        const rows = [[3, prompt.length + step]] as const;
        await stage.forward({ kind: 'decode', rows, tokens: Uint32Array.of(token) });
        found.push(...(await stage.readLogits()));
      }
      const truth = logitsTruth(config, roughParameters(config), [...prompt, ...next]);
      const expected = truth.slice((prompt.length - 1) * config.vocabulary);
      return found.reduce((most, x, index) => Math.max(most, Math.abs(x - (expected[index] ?? NaN))), 0);
    },
    { config },
  );
}

/** Whether a network in stages of these many layers gives the bits of the whole. */
export async function stagesThatDiffer(device: Device, layers: readonly number[]): Promise<string[]> {
  const config = stageConfig;
  const prompt = tokensOf(9, 9);
  const next = tokensOf(3, 10);
  const whole = await withStage(device, async (stage) => {
    stage.open(0, positionsMax);
    await prefill(stage, 0, prompt);
    return [bitsOf(await stage.readLogits()), ...(await feed(stage, 0, prompt.length, next))];
  });
  const parts: { weights: NetworkWeights; stage: Stage }[] = [];
  for (const [index, count] of layers.entries()) {
    const first = layers.slice(0, index).reduce((sum, own) => sum + own, 0);
    const ends = { embedding: index === 0, head: index === layers.length - 1 };
    const weights = await openWeights(device, config, { first, count, ...ends });
    parts.push({ weights, stage: createStage(device, { ...room, weights }) });
  }
  const through = async (kind: 'prefill' | 'decode', position: number, tokens: readonly number[]): Promise<string> => {
    const rows = tokens.map((_, index) => [5, position + index] as const);
    let values: Float32Array<ArrayBuffer> | undefined;
    for (const { stage } of parts) {
      const input = values === undefined ? { tokens: Uint32Array.from(tokens) } : { values };
      values = await stage.forward({ kind, rows, ...input, ...(stage.isLast && { logits: [tokens.length - 1] }) });
    }
    return bitsOf((await parts.at(-1)?.stage.readLogits()) ?? new Float32Array());
  };
  for (const { stage } of parts) stage.open(5, positionsMax);
  const found = [await through('prefill', 0, prompt)];
  for (const [step, token] of next.entries()) found.push(await through('decode', prompt.length + step, [token]));
  for (const { stage, weights } of parts) {
    stage.free();
    weights.free();
  }
  return found.flatMap((bits, index) =>
    bits === whole[index] ? [] : [`${layers.join(' + ')} layers: logits ${index}`],
  );
}

/** Draws of requests that differ in everything, as rows of `decode`. */
export const mixedRows = (sequences: number, position: number): DecodeRow[] =>
  Array.from({ length: sequences }, (_, sequence) => ({
    sequence,
    position,
    token: (7 * sequence + 3) % stageConfig.vocabulary,
    draw: {
      sample: sequence,
      seed: 100 + (sequence % 3),
      temperature: [0, 0.8, 1.2][sequence % 3] ?? 1,
      topK: sequence % 2 === 0 ? 0 : 12,
      topP: sequence % 4 === 0 ? 0.9 : 1,
      top: sequence % 3,
    },
  }));

/** What several steps at once choose other than the same steps one by one, alone and in a batch. */
export async function stepsThatDiffer(device: Device): Promise<string[]> {
  const prompt = tokensOf(10, 12);
  const [sequences, blocks, steps] = [5, 2, 4];
  const run = (together: readonly number[], block: number): Promise<string[]> =>
    withStage(device, async (stage) => {
      stage.open(99, prompt.length);
      await prefill(stage, 99, prompt);
      let rows = mixedRows(sequences, prompt.length).filter(({ sequence }) => together.includes(sequence));
      for (const { sequence } of rows) stage.open(sequence, positionsMax, { of: 99, tokens: prompt.length });
      const told = rows.map((): string[] => []);
      for (let done = 0; done < blocks * steps; done += block) {
        const chosen = await stage.decode(rows, block);
        chosen.forEach((own, row) => told[row]?.push(...own.map((one) => JSON.stringify(one))));
        rows = rows.map((row, index) => ({
          ...row,
          position: row.position + block,
          token: chosen[index]?.at(-1)?.token ?? 0,
        }));
      }
      return told.map((own) => own.join());
    });
  const all = Array.from({ length: sequences }, (_, sequence) => sequence);
  const expected = await run(all, steps);
  const oneByOne = await run(all, 1);
  const different = all.filter((row) => oneByOne[row] !== expected[row]).map((row) => `row ${row} step by step`);
  for (const row of all) {
    const [alone] = await run([row], steps);
    if (alone !== expected[row]) different.push(`row ${row} alone`);
  }
  return different;
}
