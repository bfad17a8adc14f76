/**
 * The job files that people write: shader jobs, training configurations, generation options. One schema each gives
 * type, defaults and parser; a field that is not listed is an error that names it. What a job file becomes on the
 * wire (manifest, chunks) is `assembly/job`'s; reading the files that it names is the shell's.
 *
 * Defaults: `verify` asks for 2 agreeing results within a relative difference of 1e-5, `limits.unitSeconds` is 30.
 * `loop` stands beside `steps`. A file named by `reduce` is a shader job file without `units`; see `parseReduceFile`.
 */

import { finite, parse, positive, shortText, v, whole } from '../core/schema.ts';
import { replicasMax, resultBytesMax, unitSecondsDefault, unitsPerJobMax } from '../core/limits.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { alignUp } from '../core/bytes.ts';
import {
  elementBytes,
  elementTypes,
  gridSchema,
  methodSchema,
  modelConfigSchema,
  optimizerSchema,
  shaderStepSchema,
  trainPlanSchema,
  verifySchema,
  type Method,
  type ModelConfig,
} from './manifest.ts';
import { jobFileVersion } from './versions.ts';
import { valueSchema } from './job-value.ts';

const fileName = v.pipe(v.string(), v.minLength(1, 'expected the name of a file'), v.maxLength(4096));
const binding = whole(0, 63);
const count = whole(1, resultBytesMax);
const bufferName = v.pipe(v.string(), v.minLength(1, 'expected a name'), v.maxLength(100));

const bufferSchema = v.variant('kind', [
  v.strictObject({ binding, kind: v.literal('unit') }),
  v.strictObject({ binding, kind: v.literal('input'), data: valueSchema }),
  v.strictObject({ binding, kind: v.literal('uniform'), data: valueSchema }),
  v.strictObject({ binding, kind: v.literal('each'), name: bufferName }),
  v.strictObject({ binding, kind: v.literal('scratch'), type: v.picklist(elementTypes), count }),
  v.strictObject({ binding, kind: v.literal('output'), type: v.picklist(elementTypes), count }),
]);

const unitsCountSchema = v.strictObject({ count: v.pipe(v.number(), v.integer(), v.minValue(0)) });
const unitsEachSchema = v.strictObject({ each: v.record(bufferName, v.array(valueSchema)) });
/** Chosen by the field that stands there, so that an error names the wrong field inside and not the pair of forms. */
const unitsSchema = v.lazy((units) =>
  typeof units === 'object' && units !== null && 'each' in units ? unitsEachSchema : unitsCountSchema,
);

const shaderFields = {
  version: v.literal(jobFileVersion),
  name: shortText,
  program: v.literal('shader'),
  shader: fileName,
  entryPoint: v.optional(shortText),
  constants: v.optional(v.record(v.string(), finite), {}),
  buffers: v.pipe(
    v.array(bufferSchema),
    v.minLength(1, 'no buffers, give at least one of kind output'),
    v.maxLength(64),
  ),
  grid: v.optional(gridSchema),
  steps: v.optional(
    v.pipe(v.array(shaderStepSchema), v.minLength(1, 'no steps, give at least one'), v.maxLength(1000)),
  ),
  /** How often the whole step list runs; stands beside `steps`. */
  loop: v.optional(whole(1, 1_000_000)),
  verify: v.optional(
    v.strictObject({
      replicas: v.optional(whole(1, replicasMax), 2),
      absolute: v.optional(verifySchema.entries.absolute, 0),
      relative: v.optional(verifySchema.entries.relative, 1e-5),
    }),
    {},
  ),
  limits: v.optional(v.strictObject({ unitSeconds: v.optional(positive, unitSecondsDefault) }), {}),
  /** A second job file that joins `fanIn` outputs at a time, level by level, until one is left. */
  reduce: v.optional(v.strictObject({ file: fileName, fanIn: v.optional(whole(2, 1024), 8) })),
};

export const shaderJobFileSchema = v.strictObject({ ...shaderFields, units: unitsSchema });
export type ShaderJobFile = v.InferOutput<typeof shaderJobFileSchema>;
/** The same with typed arrays allowed where values stand, and defaults left out: what the SDK's `submit` takes. */
export type ShaderJobInput = v.InferInput<typeof shaderJobFileSchema>;

const { reduce: _noReduceInReduce, ...reduceFields } = shaderFields;
/** A file named by `reduce`: a shader job without `units` (they are the groups of outputs) and with one `each` buffer. */
export const reduceJobFileSchema = v.strictObject(reduceFields);
export type ReduceJobFile = v.InferOutput<typeof reduceJobFileSchema>;

const model = modelConfigSchema.entries;
const method = methodSchema.entries;
const optimizer = optimizerSchema.entries;
const train = trainPlanSchema.entries;

export const trainJobFileSchema = v.strictObject({
  version: v.literal(jobFileVersion),
  name: shortText,
  program: v.literal('train'),
  model: v.optional(
    v.strictObject({
      architecture: v.optional(v.literal('llama', 'only "llama" is trained so far'), 'llama'),
      layers: v.optional(model.layers, 2),
      width: v.optional(model.width, 64),
      /** Left out: 8/3 of the width, rounded up to a multiple of 4. */
      hidden: v.optional(model.hidden),
      heads: v.optional(model.heads, 4),
      /** Left out: as many as `heads`. */
      keyValueHeads: v.optional(model.keyValueHeads),
      context: v.optional(model.context, 64),
      vocabulary: v.optional(
        v.literal(
          'bytes',
          'only "bytes" (256 tokens) is supported for training so far; "characters" and tokenizer files are not',
        ),
        'bytes',
      ),
      ropeTheta: v.optional(model.ropeTheta, 10_000),
      normEpsilon: v.optional(model.normEpsilon, 1e-5),
    }),
    {},
  ),
  data: v.strictObject({
    /** Read one after another. */
    files: v.pipe(v.array(fileName), v.minLength(1, 'no files, name at least one text')),
    validation: v.optional(train.validation, 0.1),
  }),
  method: v.optional(
    v.strictObject({
      name: v.optional(method.name, 'diloco'),
      workers: v.optional(method.workers, 4),
      innerSteps: v.optional(method.innerSteps, 50),
      compress: v.optional(method.compress, 'uint8'),
      outerLearningRate: v.optional(method.outerLearningRate, 0.7),
      outerMomentum: v.optional(method.outerMomentum, 0.9),
    }),
    {},
  ),
  optimizer: v.optional(
    v.strictObject({
      name: v.optional(optimizer.name, 'adamw'),
      learningRate: v.optional(optimizer.learningRate, 0.001),
      betas: v.optional(optimizer.betas, [0.9, 0.95]),
      epsilon: v.optional(optimizer.epsilon, 1e-8),
      weightDecay: v.optional(optimizer.weightDecay, 0.1),
      clip: v.optional(optimizer.clip, 1),
      warmup: v.optional(optimizer.warmup, 50),
      schedule: v.optional(optimizer.schedule, 'cosine'),
    }),
    {},
  ),
  batch: v.optional(train.batch, 8),
  steps: v.optional(train.steps, 600),
  seed: v.optional(train.seed, 1),
  out: v.optional(fileName, 'run'),
});
export type TrainJobFile = v.InferOutput<typeof trainJobFileSchema>;
export type TrainJobInput = v.InferInput<typeof trainJobFileSchema>;

/** What a person chooses about generation, beside model and prompt. */
export const generateOptionsSchema = v.strictObject({
  samples: v.optional(whole(1, 1_000_000), 1),
  /** Samples that one unit draws together. */
  samplesPerUnit: v.optional(whole(1, 1024), 8),
  maxTokens: v.optional(whole(1, 1_000_000), 128),
  /** 0 takes the likeliest token. */
  temperature: v.optional(v.pipe(finite, v.minValue(0)), 0.8),
  topP: v.optional(v.pipe(finite, v.gtValue(0), v.maxValue(1)), 1),
  /** 0 keeps all. */
  topK: v.optional(whole(0, 1_000_000), 0),
  seed: v.optional(whole(0, Number.MAX_SAFE_INTEGER), 0),
  verify: v.optional(v.strictObject({ replicas: v.optional(whole(1, replicasMax), 1) }), {}),
  limits: v.optional(v.strictObject({ unitSeconds: v.optional(positive, 120) }), {}),
});
export type GenerateOptions = v.InferOutput<typeof generateOptionsSchema>;
export type GenerateOptionsInput = v.InferInput<typeof generateOptionsSchema>;

const jobFileSchema = v.variant('program', [shaderJobFileSchema, trainJobFileSchema]);
export type JobFile = ShaderJobFile | TrainJobFile;

/** A job file (text already parsed, or an object of the SDK) with defaults filled in, or one line: `where: path: what`. */
export function parseJobFile(value: unknown, where: string): Result<JobFile> {
  const parsed = parse(jobFileSchema, value, where);
  if (!parsed.ok) return parsed;
  return parsed.value.program === 'shader' ? checkShaderFile(parsed.value, where) : checkTrainFile(parsed.value, where);
}

/** A file that another job's `reduce` names. */
export function parseReduceFile(value: unknown, where: string): Result<ReduceJobFile> {
  const parsed = parse(reduceJobFileSchema, value, where);
  if (!parsed.ok) return parsed;
  const checked = checkPasses(parsed.value, where);
  if (!checked.ok) return checked;
  const each = parsed.value.buffers.filter((buffer) => buffer.kind === 'each').length;
  if (each === 1) return parsed;
  return problem(
    'job',
    `${where}: buffers: ${each} of kind each, a reduce file has exactly one, which takes the outputs of a group`,
  );
}

export const parseGenerateOptions = (value: unknown, where: string): Result<GenerateOptions> =>
  parse(generateOptionsSchema, value, where);

function checkShaderFile(file: ShaderJobFile, where: string): Result<JobFile> {
  const passes = checkPasses(file, where);
  if (!passes.ok) return passes;
  const units = countUnits(file.units, where);
  if (!units.ok) return units;
  const given = 'each' in file.units ? new Set(Object.keys(file.units.each)) : new Set<string>();
  const wanted = new Set<string>();
  for (const [index, buffer] of file.buffers.entries()) {
    if (buffer.kind !== 'each') continue;
    wanted.add(buffer.name);
    if (!given.has(buffer.name)) {
      return problem(
        'job',
        `${where}: buffers.${index}.name: no values for "${buffer.name}", add units.each.${buffer.name}`,
      );
    }
  }
  for (const name of given) {
    if (!wanted.has(name)) {
      return problem(
        'job',
        `${where}: units.each.${name}: no buffer of kind each has this name, add one or remove the values`,
      );
    }
  }
  return ok(file);
}

/** How many units the file asks for; zero, too many and lists of unequal length are refused. */
export function countUnits(units: ShaderJobFile['units'], where: string): Result<number> {
  if ('count' in units) return boundUnits(units.count, `${where}: units.count`);
  const lists = Object.entries(units.each);
  const first = lists[0];
  if (first === undefined)
    return problem('job', `${where}: units.each: names no buffer, give a list of values for each`);
  for (const [name, values] of lists) {
    if (values.length !== first[1].length) {
      return problem(
        'job',
        `${where}: units.each.${name}: ${values.length} values but ${first[0]} has ${first[1].length}, give as many for each`,
      );
    }
  }
  return boundUnits(first[1].length, `${where}: units.each.${first[0]}`);
}

function boundUnits(units: number, where: string): Result<number> {
  if (units === 0) return problem('job', `${where}: no units, ask for at least 1`);
  if (units > unitsPerJobMax)
    return problem('job', `${where}: ${units} units, the most is ${unitsPerJobMax}; make several jobs`);
  return ok(units);
}

/** Rules about buffers and passes that jobs and reduce files share. */
function checkPasses(file: ReduceJobFile, where: string): Result<undefined> {
  const no = (text: string) => problem('job', `${where}: ${text}`);
  if (file.steps !== undefined && file.entryPoint !== undefined)
    return no('entryPoint: stands beside steps, keep one of them');
  if (file.steps !== undefined && file.grid !== undefined)
    return no('grid: stands beside steps, which have grids of their own; keep one of them');
  if (file.steps === undefined && file.grid === undefined)
    return no('grid: missing field, give workgroups as [x, y, z] (or steps)');
  if (file.steps === undefined && file.loop !== undefined) return no('loop: goes around steps, and there are none');
  const indexByBinding = new Map<number, number>();
  let outputBytes = 0;
  for (const [index, buffer] of file.buffers.entries()) {
    const other = indexByBinding.get(buffer.binding);
    if (other !== undefined)
      return no(`buffers.${index}.binding: ${buffer.binding} is taken by buffers.${other}, choose another`);
    indexByBinding.set(buffer.binding, index);
    if (buffer.kind === 'output') outputBytes += buffer.count * elementBytes[buffer.type];
  }
  if (outputBytes === 0) return no('buffers: none of kind output, so nothing would come back; add one');
  if (outputBytes > resultBytesMax) {
    return no(
      `buffers: outputs of ${outputBytes} bytes a unit, the most is ${resultBytesMax}; use more and smaller units`,
    );
  }
  return ok(undefined);
}

function checkTrainFile(file: TrainJobFile, where: string): Result<JobFile> {
  const { heads, keyValueHeads, width } = modelOfFile(file);
  if (width % (2 * heads) !== 0)
    return problem('job', `${where}: model.width: ${width} is not an even multiple of ${heads} heads`);
  if (heads % keyValueHeads !== 0)
    return problem('job', `${where}: model.keyValueHeads: ${keyValueHeads} does not divide ${heads} heads`);
  return ok(file);
}

/** The model of a training file with what depends on other fields filled in. */
export function modelOfFile({
  model: { hidden, keyValueHeads, vocabulary: _bytes, ...rest },
}: TrainJobFile): ModelConfig {
  return {
    ...rest,
    hidden: hidden ?? alignUp((rest.width * 8) / 3, 4),
    keyValueHeads: keyValueHeads ?? rest.heads,
    vocabulary: 256,
  };
}

/** Synchronisation rounds of a training run: the last one may be shorter. */
export const roundsOf = (steps: number, { innerSteps }: Pick<Method, 'innerSteps'>): number =>
  Math.ceil(steps / innerSteps);
