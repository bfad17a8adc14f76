/**
 * A job that serves a model: from an open file of weights to the manifest that is signed. The file's bytes become the chunks
 * of an artifact as they are, so that a stage fetches only those of its layers and quantised types stay as stored. Weights are
 * read once to be named and a second time when the hub asks for them; they are never in memory as a whole.
 */

import type { ByteSource } from '../core/byte-source.ts';
import type { Bytes } from '../core/bytes.ts';
import type { Digest } from '../core/ids.ts';
import { chunkBytesMax, sequencesMax, servedContextMax } from '../core/limits.ts';
import { expectInput, InputError } from '../core/result.ts';
import { openTokenizerBundle } from '../models/tokenizer-bundle.ts';
import type { Artifact } from '../protocol/artifact.ts';
import {
  placesOf,
  type ActivationFormat,
  type ManifestOf,
  type ModelConfig,
  type QuantisedFormat,
  type ServePlan,
} from '../protocol/manifest.ts';
import type { DigestBytes } from '../protocol/ports.ts';
import { common, createChunkCutter, seal, type PreparedJob, type PrepareOptions } from './job.ts';
import type { JobOffer } from './submitter.ts';

export interface ServeSource {
  readonly model: ModelConfig;
  /** One whole file of this format. */
  readonly weights: ByteSource;
  readonly format: ServePlan['format'];
  /** An encoded `TokenizerBundle`. */
  readonly tokenizer: Uint8Array;
}

export interface ServeChoices {
  /** What requests call the model. */
  readonly name: string;
  readonly stages: number;
  readonly spares: number;
  readonly pipelines: number;
  /** Longest sequence in tokens; the model's own, up to the bound of the protocol, when left out. */
  readonly context?: number;
  readonly sequences: number;
  readonly activations: ActivationFormat;
  /** What volunteers make of weights that lie in something larger; as they are stored when left out. */
  readonly quantise?: QuantisedFormat;
  /** Variants that every stage shall run; as each chooses when left out. */
  readonly variants?: ServePlan['variants'];
}

export const serveDefaults = { stages: 1, spares: 0, pipelines: 1, sequences: 16, activations: 'f32' } as const;

export type PreparedServe = Omit<PreparedJob<'serve'>, 'chunks'> & Pick<JobOffer, 'chunks'>;

/** It stays served until it is cancelled; volunteers turn away what has expired, so that is far off. */
const yearSeconds = 365 * 24 * 3600;

/** Throws `InputError` for a plan that does not suit the model. The source must stay open until the hub has the job. */
export async function prepareServeJob(
  source: ServeSource,
  choices: ServeChoices,
  options: PrepareOptions,
): Promise<PreparedServe> {
  const where = options.where ?? 'serve';
  const { model, format } = source;
  checkChoices(model, choices, where);
  expectInput(openTokenizerBundle(source.tokenizer, { where, rows: model.vocabulary }));
  const cutter = createChunkCutter(options.digest);
  const tokenizer = await cutter.artifactOf(source.tokenizer);
  const weights = await nameChunks(source.weights, options.digest);
  const { name, stages, spares, pipelines, sequences, activations, quantise, variants } = choices;
  const plan: ServePlan = {
    name,
    model,
    weights: weights.artifact,
    format,
    tokenizer,
    stages,
    spares,
    pipelines,
    context: choices.context ?? Math.min(model.context, servedContextMax),
    sequences,
    activations,
    ...(quantise === undefined ? {} : { quantise }),
    ...(variants === undefined ? {} : { variants }),
  };
  const manifest: ManifestOf<'serve'> = {
    ...common(name, { lifetime: yearSeconds, ...options }),
    program: 'serve',
    units: placesOf(plan),
    verify: { replicas: 1, absolute: 0, relative: 0 },
    limits: { unitSeconds: 60 },
    serve: plan,
  };
  const sealed = await seal(manifest, cutter, options);
  return { ...sealed, chunks: { get: (digest) => sealed.chunks.get(digest) ?? weights.read(digest) } };
}

/** What people choose, with the mend; the manifest's own rules come after it. */
function checkChoices(model: ModelConfig, { name, stages, context, sequences }: ServeChoices, where: string): void {
  if (name.trim() === '') throw new InputError(`${where}: --name: empty; give what requests shall call the model`);
  if (stages > model.layers)
    throw new InputError(
      `${where}: --stages ${stages}: the model has ${model.layers} layers; a stage needs one at least`,
    );
  if (context !== undefined && context > Math.min(model.context, servedContextMax)) {
    const why =
      model.context <= servedContextMax
        ? `the model was made for ${model.context}`
        : `at most ${servedContextMax} are served`;
    throw new InputError(`${where}: --context ${context}: ${why}`);
  }
  if (sequences > sequencesMax)
    throw new InputError(`${where}: --sequences ${sequences}: at most ${sequencesMax} run at once`);
}

interface NamedChunks {
  readonly artifact: Artifact;
  /** The bytes of one of them, read again and held against their digest. */
  read(digest: Digest): Promise<Bytes> | undefined;
}

async function nameChunks(source: ByteSource, digestOf: DigestBytes): Promise<NamedChunks> {
  const chunks: Digest[] = [];
  const starts = new Map<Digest, number>();
  const chunkAt = (start: number): Promise<Bytes> => source.read(start, Math.min(start + chunkBytesMax, source.bytes));
  for (let start = 0; start < source.bytes; start += chunkBytesMax) {
    const digest = await digestOf(await chunkAt(start));
    chunks.push(digest);
    starts.set(digest, start);
  }
  const readAgain = async (digest: Digest, start: number): Promise<Bytes> => {
    const bytes = await chunkAt(start);
    if ((await digestOf(bytes)) === digest) return bytes;
    throw new InputError(`${source.name}: changed while it was being offered; serve it again`);
  };
  return {
    artifact: { bytes: source.bytes, chunks },
    read: (digest) => {
      const start = starts.get(digest);
      return start === undefined ? undefined : readAgain(digest, start);
    },
  };
}
