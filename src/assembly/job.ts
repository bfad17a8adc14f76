/**
 * From what a person wrote to what is signed and sent: a job file and the files it names become a manifest, its exact
 * bytes, the job's id and the content-addressed chunks. Also the way back: a result's bytes as typed arrays, and the
 * groups of a reduce tree. Signing is the submitter's; files and digests are arguments. Bad input throws `InputError`.
 */

import { concatAll, copyBytes, utf8, fromUtf8, type Bytes } from '../core/bytes.ts';
import { chunkBytesMax } from '../core/limits.ts';
import { jobOfManifest, type AccountId, type Digest, type JobId } from '../core/ids.ts';
import { InputError, expectInput, type Result } from '../core/result.ts';
import type { Pins } from '../kernels/variants.ts';
import type { Artifact } from '../protocol/artifact.ts';
import {
  countUnits,
  modelOfFile,
  parseGenerateOptions,
  parseJobFile,
  parseReduceFile,
  roundsOf,
  type GenerateOptionsInput,
  type ReduceJobFile,
  type ShaderJobFile,
  type ShaderJobInput,
  type TrainJobFile,
} from '../protocol/job-file.ts';
import type { JobValue } from '../protocol/job-value.ts';
import {
  decodeManifest,
  elementBytes,
  encodeManifest,
  resultLayout,
  type ElementType,
  type Manifest,
  type ManifestOf,
  type ModelConfig,
  type ShaderBuffer,
  type ShaderStep,
} from '../protocol/manifest.ts';
import type { DigestBytes } from '../protocol/ports.ts';
import { checkShaderUse } from '../protocol/shader-bindings.ts';

/** Reads a file that a job names, relative to the job file. Rejects where there is none. */
export type ReadFile = (path: string) => Promise<Uint8Array>;

export interface PrepareOptions {
  readonly submitter: AccountId;
  /** 32 random hex digits, so that two equal jobs are two jobs. */
  readonly nonce: string;
  /** Seconds since 1970. */
  readonly now: number;
  readonly digest: DigestBytes;
  /** Begins error lines; the job file's name. */
  readonly where?: string;
  /** Credit for each accepted attempt; 1 when left out. */
  readonly price?: number;
  /** Seconds after `now` when nobody should start the job any more; a week when left out. */
  readonly lifetime?: number;
}

export interface PreparedJob<Name extends Manifest['program'] = Manifest['program']> {
  readonly manifest: ManifestOf<Name>;
  readonly manifestBytes: Bytes;
  readonly job: JobId;
  /** Everything the hub may ask for; the manifest's own bytes among it, under the job's id. */
  readonly chunks: ReadonlyMap<Digest, Bytes>;
}

/** Compares a shader's text with what the job gives it and finds the entry point where the job names none. */
export type CheckShader = (
  wgsl: string,
  use: Pick<ReduceJobFile, 'entryPoint' | 'steps' | 'buffers' | 'constants'>,
  file: string,
) => ShaderChecked | Promise<ShaderChecked>;
export type ShaderChecked = Result<{ readonly entryPoint: string | undefined }>;

const weekSeconds = 7 * 24 * 3600;

/** Content-addressed chunks that are being gathered for one job. */
export interface ChunkCutter {
  readonly chunks: Map<Digest, Bytes>;
  /** Cuts bytes into chunks of at most 1 MiB, remembers them, and names them. */
  artifactOf(bytes: Uint8Array): Promise<Artifact>;
}

export function createChunkCutter(digest: DigestBytes): ChunkCutter {
  const chunks = new Map<Digest, Bytes>();
  return {
    chunks,
    async artifactOf(bytes) {
      const leaves: Digest[] = [];
      for (let start = 0; start < bytes.byteLength; start += chunkBytesMax) {
        const chunk = copyBytes(bytes.subarray(start, start + chunkBytesMax));
        const name = await digest(chunk);
        chunks.set(name, chunk);
        leaves.push(name);
      }
      return { bytes: bytes.byteLength, chunks: leaves };
    },
  };
}

/** A shader job, from a parsed file. */
export async function prepareShaderJob(
  file: ShaderJobFile,
  read: ReadFile,
  options: PrepareOptions,
  check: CheckShader = checkShaderUse,
): Promise<PreparedJob<'shader'>> {
  const where = options.where ?? 'job';
  const units = expectInput(countUnits(file.units, where));
  const each = new Map<string, Uint8Array[]>();
  for (const [name, values] of 'each' in file.units ? Object.entries(file.units.each) : []) {
    const list: Uint8Array[] = [];
    for (const [index, value] of values.entries()) {
      list.push(await valueBytes(value, read, `${where}: units.each.${name}.${index}`));
    }
    each.set(name, list);
  }
  return assembleShader(file, units, (name) => each.get(name) ?? [], read, options, check);
}

/** The same from an object, as the SDK takes it: defaults left out, typed arrays where values stand. */
export async function prepareShaderInput(
  input: ShaderJobInput,
  read: ReadFile,
  options: PrepareOptions,
  check?: CheckShader,
): Promise<PreparedJob<'shader'>> {
  const parsed = expectInput(parseJobFile(input, options.where ?? 'job'));
  if (parsed.program !== 'shader') throw new InputError(`${options.where ?? 'job'}: program: not a shader job`);
  return prepareShaderJob(parsed, read, options, check);
}

/** One level of a reduce tree: a job whose units each take the outputs of one group, joined end to end. */
export async function prepareReduceJob(
  file: ReduceJobFile,
  groups: readonly Uint8Array[],
  read: ReadFile,
  options: PrepareOptions,
  check: CheckShader = checkShaderUse,
): Promise<PreparedJob<'shader'>> {
  return assembleShader(file, groups.length, () => groups, read, options, check);
}

/** The reduce file that a job names, and that it can take its own outputs again where the tree has several levels. */
export async function readReduceFile(
  job: ShaderJobFile,
  units: number,
  read: ReadFile,
  where: string,
): Promise<{ readonly file: ReduceJobFile; readonly fanIn: number } | undefined> {
  if (job.reduce === undefined) return undefined;
  const { file: path, fanIn } = job.reduce;
  const text = await readText(path, read, `${where}: reduce.file`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const file = expectInput(parseReduceFile(value, path));
  const from = outputBytes(job.buffers);
  const to = outputBytes(file.buffers);
  if (units > fanIn && from !== to) {
    throw new InputError(
      `${path}: buffers: outputs of ${to} bytes cannot stand beside outputs of ${from} bytes on the tree's next level; make both equal or fanIn at least ${units}`,
    );
  }
  return { file, fanIn };
}

export interface ReduceGroup {
  /** Outputs `first` to `end - 1` of the level below. */
  readonly first: number;
  readonly end: number;
}

/** The levels of a reduce tree over `outputs` leaves until one is left; even a single output goes through one level. */
export function reduceLevels(outputs: number, fanIn: number): readonly (readonly ReduceGroup[])[] {
  if (!(Number.isInteger(fanIn) && fanIn >= 2))
    throw new InputError(`reduce.fanIn: ${fanIn} does not shrink anything, use 2 or more`);
  const levels: ReduceGroup[][] = [];
  let left = outputs;
  while (left > 1 || (left === 1 && levels.length === 0)) {
    const groups: ReduceGroup[] = [];
    for (let first = 0; first < left; first += fanIn) groups.push({ first, end: Math.min(first + fanIn, left) });
    levels.push(groups);
    left = groups.length;
  }
  return levels;
}

/** What the units of one level read. */
export const joinGroups = (outputs: readonly Uint8Array[], groups: readonly ReduceGroup[]): readonly Bytes[] =>
  groups.map(({ first, end }) => concatAll(outputs.slice(first, end)));

/** A training job; the text files are joined in order and taken as byte tokens. */
export async function prepareTrainJob(
  file: TrainJobFile,
  read: ReadFile,
  options: PrepareOptions,
): Promise<PreparedJob<'train'>> {
  const where = options.where ?? 'job';
  const parts: Uint8Array[] = [];
  for (const [index, path] of file.data.files.entries())
    parts.push(await readBytes(path, read, `${where}: data.files.${index}`));
  const tokens = concatAll(parts);
  const model = modelOfFile(file);
  checkTrainingText(tokens.byteLength, file, where);
  const cutter = createChunkCutter(options.digest);
  const manifest: ManifestOf<'train'> = {
    ...common(file.name, options),
    program: 'train',
    // A unit is one seat in one round; the round after the last only evaluates and reports digests.
    units: (roundsOf(file.steps, file.method) + 1) * file.method.workers,
    verify: { replicas: 1, absolute: 0, relative: 0 },
    limits: { unitSeconds: 60 },
    train: {
      model,
      data: await cutter.artifactOf(tokens),
      validation: file.data.validation,
      method: file.method,
      optimizer: { ...file.optimizer, betas: [file.optimizer.betas[0], file.optimizer.betas[1]] },
      batch: file.batch,
      steps: file.steps,
      seed: file.seed,
    },
  };
  return seal(manifest, cutter, options);
}

/** Both parts of the text must hold a sequence and its next token; each worker trains on a part of its own. */
export function checkTrainingText(tokens: number, file: TrainJobFile, where: string): void {
  const held = Math.floor(tokens * file.data.validation);
  const shard = Math.floor((tokens - held) / file.method.workers);
  const needed = file.model.context + 1;
  if (held >= needed && shard >= needed) return;
  throw new InputError(
    `${where}: data.files: ${tokens} bytes leave ${held} for validation and ${shard} for each of ${file.method.workers} workers, which need ${needed}; give more text or a shorter context`,
  );
}

/** What a generation job generates from: the model's flat f32 weights and token ids. */
export interface GenerateSource {
  readonly name: string;
  readonly model: ModelConfig;
  readonly weights: Uint8Array;
  readonly promptTokens: readonly number[];
  readonly stopTokens: readonly number[];
}

export async function prepareGenerateJob(
  source: GenerateSource,
  chosen: GenerateOptionsInput,
  options: PrepareOptions,
): Promise<PreparedJob<'generate'>> {
  const { verify, limits, samplesPerUnit, ...sampling } = expectInput(
    parseGenerateOptions(chosen, options.where ?? 'options'),
  );
  const cutter = createChunkCutter(options.digest);
  const perUnit = Math.min(samplesPerUnit, sampling.samples);
  const manifest: ManifestOf<'generate'> = {
    ...common(source.name, options),
    program: 'generate',
    units: Math.ceil(sampling.samples / perUnit),
    verify: { replicas: verify.replicas, absolute: 0, relative: 0 },
    limits,
    generate: {
      model: source.model,
      weights: await cutter.artifactOf(source.weights),
      promptTokens: [...source.promptTokens],
      stopTokens: [...source.stopTokens],
      samplesPerUnit: perUnit,
      ...sampling,
      variants: await safePins(),
    },
  };
  return seal(manifest, cutter, options);
}

/**
 * A seed stands for its samples, whichever tab of a numeric class draws them, and results are compared bit for bit: all must
 * sum in one order, that of the safe variants. Loaded late: the kernels' shaders come with it.
 */
const safePins = async (): Promise<Pins> => (await import('../kernels/families.ts')).safePins();

/** One output buffer of a unit. */
export interface UnitOutput {
  readonly binding: number;
  readonly type: ElementType;
  /** f16 is widened to f32. */
  readonly data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Bytes;
}

/** A shader unit's result as typed arrays, in binding order; asserts nothing about a wrong length, which throws. */
export function readOutputs(manifest: ManifestOf<'shader'>, result: Uint8Array): readonly UnitOutput[] {
  const bindings = manifest.shader.buffers
    .filter((buffer) => buffer.kind === 'output')
    .map((buffer) => buffer.binding)
    .toSorted((a, b) => a - b);
  let offset = 0;
  return (resultLayout(manifest) ?? []).map(({ type, count }, index) => {
    const end = offset + count * elementBytes[type];
    if (end > result.byteLength) throw new InputError(`result: ${result.byteLength} bytes end inside an output buffer`);
    const bytes = copyBytes(result.subarray(offset, end));
    offset = end;
    return { binding: bindings[index] ?? 0, type, data: typedArray(type, bytes) };
  });
}

function typedArray(type: ElementType, bytes: Bytes): UnitOutput['data'] {
  switch (type) {
    case 'f32':
      return new Float32Array(bytes.buffer);
    case 'u32':
      return new Uint32Array(bytes.buffer);
    case 'i32':
      return new Int32Array(bytes.buffer);
    case 'f16':
      return Float32Array.from(new Uint16Array(bytes.buffer), halfToNumber);
    case 'bytes':
      return bytes;
  }
}

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

async function assembleShader(
  file: ReduceJobFile,
  units: number,
  eachValues: (name: string) => readonly Uint8Array[],
  read: ReadFile,
  options: PrepareOptions,
  check: CheckShader,
): Promise<PreparedJob<'shader'>> {
  const where = options.where ?? 'job';
  const cutter = createChunkCutter(options.digest);
  const wgsl = await readText(file.shader, read, `${where}: shader`);
  const { entryPoint } = expectInput(await check(wgsl, file, file.shader));
  const buffers: ShaderBuffer[] = [];
  for (const [index, buffer] of file.buffers.entries()) {
    const at = `${where}: buffers.${index}`;
    switch (buffer.kind) {
      case 'input':
      case 'uniform': {
        const bytes = await valueBytes(buffer.data, read, `${at}.data`);
        buffers.push({ binding: buffer.binding, kind: buffer.kind, data: await cutter.artifactOf(bytes) });
        break;
      }
      case 'each': {
        const values = eachValues(buffer.name);
        const sizes = values.map((value) => value.byteLength);
        const first = sizes[0] ?? 0;
        buffers.push({
          binding: buffer.binding,
          kind: 'each',
          data: await cutter.artifactOf(concatAll(values)),
          sizes: sizes.every((size) => size === first) ? first : sizes,
        });
        break;
      }
      default:
        buffers.push(buffer);
    }
  }
  const manifest: ManifestOf<'shader'> = {
    ...common(file.name, options),
    program: 'shader',
    units,
    verify: file.verify,
    limits: file.limits,
    shader: {
      wgsl: await cutter.artifactOf(utf8(wgsl)),
      constants: file.constants,
      buffers,
      steps: stepsOf(file, entryPoint, where),
      loop: file.loop ?? 1,
    },
  };
  return seal(manifest, cutter, options);
}

function stepsOf(file: ReduceJobFile, entryPoint: string | undefined, where: string): ShaderStep[] {
  if (file.steps !== undefined) return file.steps;
  if (entryPoint === undefined)
    throw new InputError(`${where}: entryPoint: missing field, name the @compute function to run`);
  return [{ entryPoint, grid: file.grid ?? [1, 1, 1], repeat: 1 }];
}

/** What every manifest begins with. */
export const common = (name: string, { submitter, nonce, now, price, lifetime }: PrepareOptions) => ({
  version: 1 as const,
  name,
  nonce,
  submitter,
  expires: Math.floor(now + (lifetime ?? weekSeconds)),
  price: price ?? 1,
});

/** A manifest as it is signed and sent, with its chunks. */
export async function seal<Name extends Manifest['program']>(
  manifest: ManifestOf<Name>,
  { chunks }: ChunkCutter,
  { digest, where = 'job' }: PrepareOptions,
): Promise<PreparedJob<Name>> {
  const manifestBytes = encodeManifest(manifest);
  if (manifestBytes.byteLength > chunkBytesMax) {
    throw new InputError(
      `${where}: its manifest has ${manifestBytes.byteLength} bytes, the most is ${chunkBytesMax}; make several jobs`,
    );
  }
  // The hub reads these bytes with this function; whatever it would refuse is refused here, where a person can mend it.
  const readBack = decodeManifest(manifestBytes);
  if (!readBack.ok) throw new InputError(readBack.error.text.replace(/^manifest/, where));
  const manifestDigest = await digest(manifestBytes);
  chunks.set(manifestDigest, manifestBytes);
  return { manifest, manifestBytes, job: jobOfManifest(manifestDigest), chunks };
}

async function valueBytes(value: JobValue, read: ReadFile, where: string): Promise<Uint8Array> {
  const bytes = 'file' in value ? await readBytes(value.file, read, where) : value.bytes;
  const what = 'file' in value ? `${where}: ${value.file}` : where;
  if (bytes.byteLength === 0) throw new InputError(`${what}: no bytes, give at least 4`);
  if (bytes.byteLength % 4 !== 0)
    throw new InputError(`${what}: ${bytes.byteLength} bytes are not a multiple of 4, pad them`);
  return bytes;
}

async function readBytes(path: string, read: ReadFile, where: string): Promise<Uint8Array> {
  try {
    return await read(path);
  } catch (error) {
    throw new InputError(`${where}: cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

async function readText(path: string, read: ReadFile, where: string): Promise<string> {
  const bytes = await readBytes(path, read, where);
  try {
    return fromUtf8(bytes);
  } catch {
    throw new InputError(`${where}: ${path} is not UTF-8 text`);
  }
}

const outputBytes = (buffers: ReduceJobFile['buffers']): number =>
  buffers.reduce((sum, buffer) => (buffer.kind === 'output' ? sum + buffer.count * elementBytes[buffer.type] : sum), 0);
