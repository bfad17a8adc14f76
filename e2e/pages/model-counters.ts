/**
 * What training and generation ask of the GPU once they are warm, as counts free of noise: dispatches of a layer, submits
 * and readbacks of a token, objects made on the way. And whether a sequence's logits depend on its batch, bit for bit.
 */

import { viewBytes, type Bytes } from '../../src/core/bytes.ts';
import type { Device } from '../../src/kernels/device.ts';
import { safeChoices, safeVariant, variantsFor, type Choices, type Family } from '../../src/kernels/variants.ts';
import { memorySource } from '../../src/core/byte-source.ts';
import { expectInput } from '../../src/core/result.ts';
import { initialParameters } from '../../src/models/llama-parameters.ts';
import { createTrainStep } from '../../src/models/llama-train-step.ts';
import { openNetworkWeights, wholeNetwork, type NetworkWeights } from '../../src/models/network-weights.ts';
import { createStage } from '../../src/models/stage.ts';
import { vectorWeights } from '../../src/models/weights/llama-weights.ts';
import type { GeneratePlan, ModelConfig } from '../../src/protocol/manifest.ts';
import { noCounts, type GpuCounts } from './gpu-counters.ts';
import { checkSeed, openGenerate, quiet } from './model-checks.ts';
import { artifactOf, smallConfig } from './model-plans.ts';

const layersOf = (layers: number): ModelConfig => ({ ...smallConfig, layers });

export interface TrainingCounts {
  /** Of one step, after others. */
  readonly step: GpuCounts;
  readonly dispatchesPerLayer: number;
}

export async function countTraining(device: Device, counts: GpuCounts): Promise<TrainingCounts> {
  const warmSteps = async (layers: number): Promise<GpuCounts> => {
    const config = layersOf(layers);
    const batch = 2;
    const train = createTrainStep(device, { config, batch });
    train.load(viewBytes(initialParameters(config, checkSeed)));
    const tokens = Uint32Array.from({ length: batch * config.context }, (_, index) => index % config.vocabulary);
    const step = async (): Promise<void> => {
      await device.run(train.step(tokens, tokens));
      await train.readLoss();
    };
    for (let index = 0; index < 3; index++) await step();
    Object.assign(counts, noCounts());
    await step();
    const counted = { ...counts };
    train.close();
    return counted;
  };
  const one = await warmSteps(1);
  const step = await warmSteps(3);
  return { step, dispatchesPerLayer: (step.dispatches - one.dispatches) / 2 };
}

export interface DecodingCounts {
  readonly tokens: number;
  /** Of a whole unit, prompt and last read included, after another unit. */
  readonly unit: GpuCounts;
  readonly dispatchesPerLayer: number;
}

export async function countDecoding(device: Device, counts: GpuCounts): Promise<DecodingCounts> {
  const tokens = 12;
  const warmUnit = async (layers: number, maxTokens: number): Promise<GpuCounts> => {
    const config = layersOf(layers);
    const weights = viewBytes(initialParameters(config, checkSeed));
    const plan: GeneratePlan = {
      model: config,
      weights: artifactOf(weights),
      promptTokens: [1, 2, 3],
      samplesPerUnit: 1,
      samples: 2,
      maxTokens,
      temperature: 0.9,
      topP: 0.95,
      topK: 20,
      seed: 5,
      stopTokens: [],
    };
    const program = await openGenerate(device, plan, weights);
    await program.run({ unit: 0, ...quiet });
    Object.assign(counts, noCounts());
    await program.run({ unit: 1, ...quiet });
    const counted = { ...counts };
    program.close();
    return counted;
  };
  const unit = await warmUnit(3, tokens);
  const dispatchesOf = async (layers: number): Promise<number> =>
    (await warmUnit(layers, tokens)).dispatches - (await warmUnit(layers, 1)).dispatches;
  const dispatchesPerLayer = ((await dispatchesOf(3)) - (await dispatchesOf(1))) / (2 * (tokens - 1));
  return { tokens, unit, dispatchesPerLayer };
}

/** Which sequences get other logits in a batch than alone, for each variant of each family that decoding asks for. */
export async function sequencesThatDependOnTheBatch(device: Device): Promise<string[]> {
  const different: string[] = [];
  for (const { name, choices } of await choicesOneByOne(device)) {
    const alone = [await logitsOf(device, choices, 0, 1), await logitsOf(device, choices, 3, 1)];
    for (const sequences of [4, 16]) {
      const together = await logitsOf(device, choices, 0, sequences);
      for (const [index, row] of [0, 3].entries()) {
        const same = together[row]?.every((byte, at) => byte === alone[index]?.[0]?.[at]);
        if (same !== true) different.push(`${name}: sequence ${row} of ${sequences}`);
      }
    }
  }
  return different;
}

/** The safe variant of everything, and of everything but one. */
async function choicesOneByOne(device: Device): Promise<{ readonly name: string; readonly choices: Choices }[]> {
  const asked = new Set<Family>();
  const remember: Choices = {
    variantOf: (family) => {
      asked.add(family);
      return safeVariant(family).name;
    },
  };
  await logitsOf(device, remember, 0, 1);
  const others = [...asked].flatMap((family) =>
    variantsFor(family, device)
      .slice(1)
      .map((variant) => ({
        name: `${family.name} ${variant.name}`,
        choices: {
          variantOf: (wanted: Family) => (wanted === family ? variant.name : safeVariant(wanted).name),
        },
      })),
  );
  return [{ name: 'safe variants', choices: safeChoices }, ...others];
}

/** Weights of a network that is nowhere nearly linear, opened whole. */
async function openRough(device: Device, config: ModelConfig, positionsMax: number): Promise<NetworkWeights> {
  const parameters = Float32Array.from(initialParameters(config, checkSeed), (x) => x * 6);
  const source = expectInput(vectorWeights(config, memorySource('weights', viewBytes(parameters))));
  return openNetworkWeights(device, source, { ...wholeNetwork(config), positionsMax });
}

/** Logits bytes of each of these sequences after six tokens of their own behind one prompt. */
async function logitsOf(device: Device, choices: Choices, first: number, sequences: number): Promise<Bytes[]> {
  const config = { ...smallConfig, width: 96, hidden: 130, heads: 6, keyValueHeads: 3 };
  const { vocabulary } = config;
  const prompt = [4, 5, 6, 7, 8];
  const steps = 6;
  const positionsMax = prompt.length + steps;
  const weights = await openRough(device, config, positionsMax);
  const room = { pages: 3 * (sequences + 1), pageTokens: 4, sequencesMax: sequences + 1, rowsMax: 16 };
  const stage = createStage(device, { weights, positionsMax, ...room, choices });
  stage.open(sequences, prompt.length);
  const promptRows = prompt.map((_, position) => [sequences, position] as const);
  await stage.forward({ kind: 'prefill', rows: promptRows, tokens: Uint32Array.from(prompt), logits: [] });
  for (let row = 0; row < sequences; row++) {
    stage.open(row, positionsMax, { of: sequences, tokens: prompt.length });
  }
  for (let step = 0; step < steps; step++) {
    const rows = Array.from({ length: sequences }, (_, row) => [row, prompt.length + step] as const);
    const tokens = Uint32Array.from(rows, ([row]) => ((first + row) * 7 + step * 3) % vocabulary);
    await stage.forward({ kind: 'decode', rows, tokens });
  }
  const bytes = viewBytes(await stage.readLogits());
  stage.free();
  weights.free();
  const rowBytes = vocabulary * 4;
  return Array.from({ length: sequences }, (_, row) => bytes.slice(row * rowBytes, (row + 1) * rowBytes));
}
