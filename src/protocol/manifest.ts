/**
 * The manifest: what a submitter signs and what a job is. It names programs, inputs by digest, grid, verification,
 * limits and price; the job's id is the SHA-256 of its exact bytes, so nobody can change it on the way.
 */

import { parseJson, v, accountId, finite, fraction, positive, shortText, whole } from '../core/schema.ts';
import { fromUtf8, utf8, type Bytes } from '../core/bytes.ts';
import {
  chunkBytesMax,
  leaseMsMax,
  priceMax,
  replicasMax,
  resultBytesMax,
  sequencesMax,
  servedContextMax,
  unitsPerJobMax,
} from '../core/limits.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { artifactSchema, checkArtifact } from './artifact.ts';
import { misshapen, modelConfigSchema, untrainable, type ModelConfig } from './model-config.ts';

export const elementTypes = ['f32', 'u32', 'i32', 'f16', 'bytes'] as const;
export type ElementType = (typeof elementTypes)[number];
export const elementBytes: Record<ElementType, number> = { f32: 4, u32: 4, i32: 4, f16: 2, bytes: 1 };

const binding = whole(0, 63);
const count = whole(1, resultBytesMax);
export const gridSchema = v.strictTuple([whole(1, 65535), whole(1, 65535), whole(1, 65535)]);
export type Grid = v.InferOutput<typeof gridSchema>;

export const shaderBufferSchema = v.variant('kind', [
  /** Uniform of four u32: unit index, unit count, 0, 0. */
  v.strictObject({ binding, kind: v.literal('unit') }),
  v.strictObject({ binding, kind: v.literal('input'), data: artifactSchema }),
  v.strictObject({ binding, kind: v.literal('uniform'), data: artifactSchema }),
  /** One value per unit, laid end to end in one artifact: all of one size in bytes, or a size for each unit. */
  v.strictObject({
    binding,
    kind: v.literal('each'),
    data: artifactSchema,
    sizes: v.union([whole(4, resultBytesMax), v.array(whole(4, resultBytesMax))]),
  }),
  v.strictObject({ binding, kind: v.literal('scratch'), type: v.picklist(elementTypes), count }),
  v.strictObject({ binding, kind: v.literal('output'), type: v.picklist(elementTypes), count }),
]);
export type ShaderBuffer = v.InferOutput<typeof shaderBufferSchema>;

export const shaderStepSchema = v.strictObject({
  entryPoint: shortText,
  grid: gridSchema,
  repeat: v.optional(whole(1, 1_000_000), 1),
});
export type ShaderStep = v.InferOutput<typeof shaderStepSchema>;

export const shaderPlanSchema = v.strictObject({
  /** The WGSL text. */
  wgsl: artifactSchema,
  constants: v.record(v.string(), finite),
  buffers: v.pipe(v.array(shaderBufferSchema), v.minLength(1), v.maxLength(64)),
  steps: v.pipe(v.array(shaderStepSchema), v.minLength(1), v.maxLength(1000)),
  /** How often the whole step list runs. */
  loop: whole(1, 1_000_000),
});
export type ShaderPlan = v.InferOutput<typeof shaderPlanSchema>;

export { modelConfigSchema, type ModelConfig };

export const methodSchema = v.strictObject({
  name: v.picklist(['diloco', 'solo']),
  /** Seats: how many volunteers train at once. */
  workers: whole(1, 256),
  /** H: optimiser steps between two outer steps. */
  innerSteps: whole(1, 100_000),
  compress: v.picklist(['none', 'uint8']),
  outerLearningRate: positive,
  outerMomentum: fraction,
});
export type Method = v.InferOutput<typeof methodSchema>;

export const optimizerSchema = v.strictObject({
  name: v.literal('adamw'),
  learningRate: positive,
  betas: v.strictTuple([fraction, fraction]),
  epsilon: positive,
  weightDecay: v.pipe(finite, v.minValue(0)),
  /** Largest global norm of a gradient. */
  clip: positive,
  /** Steps of linear warm-up. */
  warmup: whole(0, 1_000_000),
  schedule: v.picklist(['constant', 'cosine']),
});
export type Optimizer = v.InferOutput<typeof optimizerSchema>;

/** Kernel variants by family that every volunteer shall run, so that all sum in the same order; others as they choose. */
const variants = v.optional(v.record(shortText, shortText));

export const trainPlanSchema = v.strictObject({
  model: modelConfigSchema,
  /** Token ids as bytes (vocabulary up to 256), one after another. */
  data: artifactSchema,
  /** The last fraction of the data, contiguous, never trained on. */
  validation: v.pipe(finite, v.minValue(0.001), v.maxValue(0.9)),
  method: methodSchema,
  optimizer: optimizerSchema,
  /** Sequences per optimiser step of one worker. */
  batch: whole(1, 4096),
  /** Optimiser steps of each worker in the whole run. */
  steps: whole(1, 10_000_000),
  seed: whole(0, Number.MAX_SAFE_INTEGER),
  variants,
});
export type TrainPlan = v.InferOutput<typeof trainPlanSchema>;

export const generatePlanSchema = v.strictObject({
  model: modelConfigSchema,
  /** Parameters as one flat f32 vector in the order of `models/llama-parameters`. */
  weights: artifactSchema,
  promptTokens: v.pipe(v.array(whole(0, 1_000_000)), v.minLength(1), v.maxLength(4096)),
  /** Samples drawn by each unit; unit u draws samples u*n to u*n+n-1. */
  samplesPerUnit: whole(1, 1024),
  samples: whole(1, 1_000_000),
  maxTokens: whole(1, 1_000_000),
  temperature: v.pipe(finite, v.minValue(0)),
  topP: fraction,
  /** 0 keeps all. */
  topK: whole(0, 1_000_000),
  seed: whole(0, Number.MAX_SAFE_INTEGER),
  /** Token ids that end a sample. */
  stopTokens: v.array(whole(0, 1_000_000)),
  variants,
});
export type GeneratePlan = v.InferOutput<typeof generatePlanSchema>;

/** How activations travel from stage to stage: as they are, rounded to halves, or to bytes with a scale for each block. */
export const activationFormats = ['f32', 'f16', 'int8'] as const;
export type ActivationFormat = (typeof activationFormats)[number];
export const weightFormats = ['safetensors', 'gguf', 'llama2c'] as const;

/** What weights are made on their way to a device, where they lie in something larger. */
export const quantisedFormats = ['f16', 'q8_0', 'q4_0'] as const;
export type QuantisedFormat = (typeof quantisedFormats)[number];

/** A model that answers requests for as long as the job lives. A unit is a place: a stage of a pipeline, or its spare. */
export const servePlanSchema = v.strictObject({
  /** What requests call it. */
  name: v.pipe(shortText, v.minLength(1)),
  model: modelConfigSchema,
  /** A whole file of weights; each stage reads the ranges that hold its layers. */
  weights: artifactSchema,
  format: v.picklist(weightFormats),
  /** Tokenizer and chat template, for those who ask; stages see token ids only. */
  tokenizer: artifactSchema,
  /** Into how many volunteers' devices a model is split, layer after layer. */
  stages: whole(1, 64),
  /** Volunteers that hold a stage's layers ready, in case its own goes away. */
  spares: whole(0, 4),
  /** Copies of the whole, each with requests of its own. */
  pipelines: whole(1, 256),
  /** Longest sequence in tokens, at most the model's own. */
  context: whole(2, servedContextMax),
  /** Sequences that one pipeline works on at once. */
  sequences: whole(1, sequencesMax),
  activations: v.picklist(activationFormats),
  /** Left out: weights stay as they are stored. */
  quantise: v.optional(v.picklist(quantisedFormats)),
  variants,
});
export type ServePlan = v.InferOutput<typeof servePlanSchema>;

/** Places in all: each stage of each pipeline, with its spares. */
export const placesOf = ({ stages, spares, pipelines }: ServePlan): number => pipelines * stages * (1 + spares);

export const verifySchema = v.strictObject({
  /** Agreeing results that a unit needs. */
  replicas: whole(1, replicasMax),
  absolute: v.pipe(finite, v.minValue(0)),
  relative: v.pipe(finite, v.minValue(0)),
});
export type Verify = v.InferOutput<typeof verifySchema>;

const common = {
  version: v.literal(1),
  name: shortText,
  /** Random, so that two equal jobs are two jobs. */
  nonce: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  submitter: accountId,
  /** Seconds since 1970 after which nobody should start it. */
  expires: whole(0, Number.MAX_SAFE_INTEGER),
  /** Credit for each accepted attempt. */
  price: v.pipe(positive, v.maxValue(priceMax)),
  units: whole(1, unitsPerJobMax),
  verify: verifySchema,
  limits: v.strictObject({ unitSeconds: v.pipe(positive, v.maxValue(leaseMsMax / 1000)) }),
};

export const manifestSchema = v.variant('program', [
  v.strictObject({ ...common, program: v.literal('shader'), shader: shaderPlanSchema }),
  v.strictObject({ ...common, program: v.literal('train'), train: trainPlanSchema }),
  v.strictObject({ ...common, program: v.literal('generate'), generate: generatePlanSchema }),
  v.strictObject({ ...common, program: v.literal('serve'), serve: servePlanSchema }),
]);
export type Manifest = v.InferOutput<typeof manifestSchema>;
export type ProgramName = Manifest['program'];
export type ManifestOf<Name extends ProgramName> = Extract<Manifest, { program: Name }>;

/** The exact bytes that are hashed and signed. */
export const encodeManifest = (manifest: Manifest): Bytes => utf8(JSON.stringify(manifest));

/** A manifest from the bytes that a peer sent, every rule checked. */
export function decodeManifest(bytes: Uint8Array): Result<Manifest> {
  if (bytes.byteLength > chunkBytesMax) return problem('manifest', `manifest: larger than ${chunkBytesMax} bytes`);
  let text: string;
  try {
    text = fromUtf8(bytes);
  } catch {
    return problem('manifest', 'manifest: not UTF-8');
  }
  const parsed = parseJson(manifestSchema, text, 'manifest');
  return parsed.ok ? checkManifest(parsed.value) : parsed;
}

/** The rules that relate one field to another. */
export function checkManifest(manifest: Manifest): Result<Manifest> {
  for (const [where, artifact] of artifactsOf(manifest)) {
    const checked = checkArtifact(artifact, `manifest: ${where}`);
    if (!checked.ok) return checked;
  }
  if (manifest.program === 'shader') return checkShader(manifest);
  const plan =
    manifest.program === 'train' ? manifest.train : manifest.program === 'serve' ? manifest.serve : manifest.generate;
  const wrong = misshapen(plan.model);
  if (wrong !== undefined) return problem('manifest', `manifest: model: ${wrong}`);
  const beyond = manifest.program === 'train' ? untrainable(plan.model) : undefined;
  if (beyond !== undefined) return problem('manifest', `manifest: train: ${beyond} cannot be trained, only run`);
  if (manifest.program === 'generate') {
    const { samples, samplesPerUnit } = manifest.generate;
    if (Math.ceil(samples / samplesPerUnit) !== manifest.units) {
      return problem(
        'manifest',
        `manifest: ${samples} samples in groups of ${samplesPerUnit} are not ${manifest.units} units`,
      );
    }
  }
  return manifest.program === 'serve' ? checkServe(manifest) : ok(manifest);
}

function checkServe(manifest: ManifestOf<'serve'>): Result<Manifest> {
  const refuse = (text: string) => problem('manifest', `manifest: serve: ${text}`);
  const { serve } = manifest;
  if (serve.stages > serve.model.layers) {
    return refuse(`${serve.stages} stages of ${serve.model.layers} layers; a stage needs one at least`);
  }
  if (serve.context > serve.model.context) {
    return refuse(`context of ${serve.context} tokens, the model was made for ${serve.model.context}`);
  }
  if (manifest.units !== placesOf(serve)) return refuse(`${manifest.units} units, its places are ${placesOf(serve)}`);
  if (manifest.verify.replicas !== 1) return refuse('verify.replicas must be 1');
  return ok(manifest);
}

function checkShader(manifest: ManifestOf<'shader'>): Result<Manifest> {
  const seen = new Set<number>();
  let outputBytes = 0;
  for (const buffer of manifest.shader.buffers) {
    const where = `manifest: buffer at binding ${buffer.binding}`;
    if (seen.has(buffer.binding)) return problem('manifest', `${where}: used twice`);
    seen.add(buffer.binding);
    if (buffer.kind === 'output') outputBytes += buffer.count * elementBytes[buffer.type];
    if (buffer.kind === 'each') {
      const sum =
        typeof buffer.sizes === 'number' ? buffer.sizes * manifest.units : buffer.sizes.reduce((a, b) => a + b, 0);
      if (typeof buffer.sizes !== 'number' && buffer.sizes.length !== manifest.units) {
        return problem('manifest', `${where}: ${buffer.sizes.length} values for ${manifest.units} units`);
      }
      if (sum !== buffer.data.bytes)
        return problem('manifest', `${where}: sizes sum to ${sum}, data has ${buffer.data.bytes} bytes`);
    }
  }
  if (outputBytes === 0) return problem('manifest', 'manifest: a shader job needs an output buffer');
  if (outputBytes > resultBytesMax) {
    return problem(
      'manifest',
      `manifest: outputs of ${outputBytes} bytes a unit, the most is ${resultBytesMax}; use more units`,
    );
  }
  return ok(manifest);
}

/** Every artifact that the manifest names, with its place. */
export function artifactsOf(manifest: Manifest): readonly (readonly [string, v.InferOutput<typeof artifactSchema>])[] {
  switch (manifest.program) {
    case 'shader':
      return [
        ['shader.wgsl', manifest.shader.wgsl],
        ...manifest.shader.buffers.flatMap((buffer) =>
          'data' in buffer ? [[`buffer at binding ${buffer.binding}`, buffer.data] as const] : [],
        ),
      ];
    case 'train':
      return [['train.data', manifest.train.data]];
    case 'generate':
      return [['generate.weights', manifest.generate.weights]];
    case 'serve':
      return [
        ['serve.weights', manifest.serve.weights],
        ['serve.tokenizer', manifest.serve.tokenizer],
      ];
  }
}

/** How the bytes of one result are to be read when two are compared. */
export function resultLayout(
  manifest: Manifest,
): readonly { readonly type: ElementType; readonly count: number }[] | undefined {
  if (manifest.program !== 'shader') return undefined;
  return manifest.shader.buffers
    .filter((buffer) => buffer.kind === 'output')
    .toSorted((a, b) => a.binding - b.binding)
    .map(({ type, count: elements }) => ({ type, count: elements }));
}
