/**
 * The suite `inference`: tokens a second of a whole model on one device, in the benchmark's page: one sequence, sixteen at
 * once, and a prompt. The model has the shape of the 15M-parameter Llama of llama2.c and random weights, as speed does not
 * depend on them. Other libraries join a case as further contenders, in the same page and the same rounds.
 */

import { memorySource } from '../src/core/byte-source.ts';
import { viewBytes } from '../src/core/bytes.ts';
import { createRandom } from '../src/core/prng.ts';
import { expectInput } from '../src/core/result.ts';
import type { Choices, Family } from '../src/kernels/variants.ts';
import { llamaLayout } from '../src/models/llama-parameters.ts';
import { openNetworkWeights, wholeNetwork, type NetworkWeights } from '../src/models/network-weights.ts';
import { createStage, pageTokensDefault, type Stage } from '../src/models/stage.ts';
import { vectorWeights } from '../src/models/weights/llama-weights.ts';
import type { ModelConfig } from '../src/protocol/manifest.ts';
import type { Raced } from './kernels/ours.ts';
import { measure, median, type Case, type Contender, type MeasuredCase } from './measure.ts';

const model: ModelConfig = {
  architecture: 'llama',
  layers: 6,
  width: 288,
  hidden: 768,
  heads: 6,
  keyValueHeads: 6,
  vocabulary: 32_000,
  context: 256,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};

const manySequences = 16;
/** Tokens of a sequence between two readings, and those that stand before them. */
const stepsEach = 8;
const promptLength = 128;

export interface InferenceReport {
  readonly cases: readonly MeasuredCase[];
  /** How many times longer a step of sixteen sequences takes than one of a single sequence, in paired rounds. */
  readonly sixteenOverOne: number;
}

/** Whoever else can run such a model; each takes part in the cases that it knows. */
export interface InferencePeer {
  readonly name: string;
  readonly contenders: Readonly<Partial<Record<InferenceCase, Contender['run']>>>;
}

type InferenceCase = 'decode1' | 'decode16' | 'prefill';

export async function measureInference(
  raced: Raced,
  rounds: number,
  now: () => number,
  peers: readonly InferencePeer[] = [],
): Promise<InferenceReport> {
  const weights = await openRandomWeights(raced);
  const stage = await openTunedStage(raced, weights);
  try {
    const ours: Readonly<Record<InferenceCase, Contender['run']>> = {
      decode1: () => decode(stage, 1),
      decode16: () => decode(stage, manySequences),
      prefill: () => prefill(stage),
    };
    const caseOf = (name: InferenceCase): Case => ({
      name,
      unit: 'tokens/s',
      better: 'higher',
      scale: 1,
      contenders: [
        { name: 'ours', run: ours[name] },
        ...peers.flatMap(({ name: peer, contenders }) => {
          const run = contenders[name];
          return run === undefined ? [] : [{ name: peer, run }];
        }),
      ],
    });
    const one = await measure(caseOf('decode1'), rounds, now);
    const many = await measure(caseOf('decode16'), rounds, now);
    const prompt = await measure(caseOf('prefill'), rounds, now);
    const sixteenOverOne = await pairedRatio(rounds, now, ours.decode16, ours.decode1);
    return { cases: [one, many, prompt], sixteenOverOne };
  } finally {
    stage.free();
    weights.free();
  }
}

/** The median over rounds of how many times longer `first` takes than `second`, which run in turn. */
async function pairedRatio(
  rounds: number,
  now: () => number,
  first: Contender['run'],
  second: Contender['run'],
): Promise<number> {
  const secondsOf = async (run: Contender['run']): Promise<number> => {
    const start = now();
    await run();
    return now() - start;
  };
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) ratios.push((await secondsOf(first)) / (await secondsOf(second)));
  return median(ratios);
}

async function openRandomWeights({ device }: Raced): Promise<NetworkWeights> {
  const random = createRandom(1);
  // Few numbers again and again: drawing each would take longer than the suite.
  const some = Float32Array.from({ length: 65_521 }, () => 0.03 * random.normal());
  const vector = new Float32Array(llamaLayout(model).elements);
  for (let start = 0; start < vector.length; start += some.length) {
    vector.set(some.subarray(0, vector.length - start), start);
  }
  const source = expectInput(vectorWeights(model, memorySource('weights', viewBytes(vector))));
  return openNetworkWeights(device, source, { ...wholeNetwork(model), positionsMax: model.context });
}

/** What laying out and running a stage asks for is tuned, as a volunteer's idle time would; then it is laid out again. */
async function openTunedStage({ device, tuner }: Raced, weights: NetworkWeights): Promise<Stage> {
  const asked = new Map<string, readonly [Family, string]>();
  const choices: Choices = {
    variantOf: (family, bucket) => {
      asked.set(`${family.name} ${bucket}`, [family, bucket]);
      return tuner.variantOf(family, bucket);
    },
  };
  const open = (): Stage =>
    createStage(device, {
      weights,
      pages: (manySequences * model.context) / pageTokensDefault,
      positionsMax: model.context,
      sequencesMax: manySequences + 1,
      rowsMax: promptLength,
      logitsMax: manySequences,
      stepsMax: stepsEach,
      choices,
    });
  const first = open();
  await first.prepare({ prefill: promptLength, decode: 1 });
  first.free();
  for (const [family, bucket] of asked.values()) await tuner.tune(family, bucket);
  const stage = open();
  await stage.prepare({ prefill: promptLength, decode: 1 });
  await stage.prepare({ decode: manySequences });
  return stage;
}

/** Every sequence goes on for some steps behind a prompt of one token; returns the tokens drawn. */
async function decode(stage: Stage, sequences: number): Promise<number> {
  const draw = { sample: 0, seed: 1, temperature: 0.8, topK: 0, topP: 1 };
  const rows = Array.from({ length: sequences }, (_, sequence) => ({
    sequence,
    position: 0,
    token: sequence + 1,
    draw: { ...draw, sample: sequence },
  }));
  for (const { sequence } of rows) stage.open(sequence, stepsEach);
  await stage.decode(rows, stepsEach);
  stage.closeAll();
  return sequences * stepsEach;
}

/** A prompt in one slice, to its last logits; returns its tokens. */
async function prefill(stage: Stage): Promise<number> {
  const tokens = Uint32Array.from({ length: promptLength }, (_, position) => (position * 97) % model.vocabulary);
  stage.open(0, promptLength);
  const rows = Array.from(tokens, (_, position) => [0, position] as const);
  await stage.forward({ kind: 'prefill', rows, tokens, logits: [promptLength - 1] });
  await stage.sample([{ row: promptLength - 1, position: promptLength, sample: 0, seed: 1, temperature: 0 }]);
  stage.closeAll();
  return promptLength;
}
