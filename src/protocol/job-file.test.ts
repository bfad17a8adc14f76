import { describe, expect, test } from 'vitest';
import {
  countUnits,
  modelOfFile,
  parseGenerateOptions,
  parseJobFile,
  parseReduceFile,
  roundsOf,
  type ShaderJobFile,
  type TrainJobFile,
} from './job-file.ts';
import type { Result } from '../core/result.ts';

const shader = {
  version: 1,
  name: 'scale points',
  program: 'shader',
  shader: 'scale.wgsl',
  entryPoint: 'main',
  constants: { factor: 2.5 },
  buffers: [
    { binding: 0, kind: 'unit' },
    { binding: 1, kind: 'input', data: { file: 'points.f32' } },
    { binding: 2, kind: 'each', name: 'offset' },
    { binding: 3, kind: 'output', type: 'f32', count: 4096 },
  ],
  grid: [64, 1, 1],
  units: { each: { offset: [{ f32: [1] }, { f32: [2] }] } },
  verify: { replicas: 2, absolute: 0, relative: 1e-5 },
  limits: { unitSeconds: 30 },
};
const counted = { ...shader, buffers: [shader.buffers[0], shader.buffers[3]], units: { count: 16 } };
const train = { version: 1, name: 'small', program: 'train', data: { files: ['corpus.txt'] } };

const line = (result: Result<unknown>): string => (result.ok ? 'ok' : result.error.text);
const refusal = (value: unknown): string => line(parseJobFile(value, 'job.json'));
const without = (value: object, field: string): object =>
  Object.fromEntries(Object.entries(value).filter(([name]) => name !== field));
function expectShader(value: unknown): ShaderJobFile {
  const parsed = parseJobFile(value, 'job.json');
  if (!parsed.ok) throw new Error(parsed.error.text);
  if (parsed.value.program !== 'shader') throw new Error('not a shader job');
  return parsed.value;
}
function expectTrain(value: unknown): TrainJobFile {
  const parsed = parseJobFile(value, 'job.json');
  if (!parsed.ok) throw new Error(parsed.error.text);
  if (parsed.value.program !== 'train') throw new Error('not a training job');
  return parsed.value;
}

describe('a shader job file', () => {
  test('is taken as people write it', () => {
    const file = expectShader(shader);
    expect(file.units).toEqual({
      each: { offset: [{ bytes: Uint8Array.of(0, 0, 128, 63) }, { bytes: Uint8Array.of(0, 0, 0, 64) }] },
    });
    expect(countUnits(file.units, 'job.json')).toEqual({ ok: true, value: 2 });
    expect(file.buffers[1]).toEqual({ binding: 1, kind: 'input', data: { file: 'points.f32' } });
  });

  test('needs no more than shader, buffers, grid and units', () => {
    const short = expectShader(['entryPoint', 'constants', 'verify', 'limits'].reduce(without, counted));
    expect(short.verify).toEqual({ replicas: 2, absolute: 0, relative: 1e-5 });
    expect(short.limits).toEqual({ unitSeconds: 30 });
    expect(short.constants).toEqual({});
    expect('entryPoint' in short).toBe(false);
    expect(expectShader({ ...counted, verify: { replicas: 3 } }).verify.relative).toBe(1e-5);
  });

  test('takes typed arrays where values stand', () => {
    const file = expectShader({
      ...shader,
      units: { each: { offset: [Float32Array.of(1), Int32Array.of(0, -1).subarray(1)] } },
    });
    expect('each' in file.units && file.units.each['offset']).toEqual([
      { bytes: Uint8Array.of(0, 0, 128, 63) },
      { bytes: Uint8Array.of(255, 255, 255, 255) },
    ]);
  });

  test.each([
    [{ u32: [4294967295] }, [255, 255, 255, 255]],
    [{ i32: [-2] }, [254, 255, 255, 255]],
    [{ base64: 'AQIDBA==' }, [1, 2, 3, 4]],
  ])('reads the value %j', (value, bytes) => {
    const file = expectShader({ ...shader, units: { each: { offset: [value] } } });
    expect('each' in file.units && file.units.each['offset']?.[0]).toEqual({ bytes: Uint8Array.from(bytes) });
  });

  test('has passes in steps, with a loop around them', () => {
    const steps = [
      { entryPoint: 'rows', grid: [64, 1, 1] },
      { entryPoint: 'columns', grid: [64, 1, 1], repeat: 10 },
    ];
    const base = ['entryPoint', 'grid'].reduce(without, counted);
    const file = expectShader({ ...base, steps, loop: 5 });
    expect(file.steps?.map((step) => step.repeat)).toEqual([1, 10]);
    expect(file.loop).toBe(5);
  });

  test.each([
    ['an unknown field', { ...counted, colour: 1 }, 'colour: unknown field, remove it'],
    [
      'an unknown field inside a buffer',
      { ...counted, buffers: [{ binding: 0, kind: 'unit', type: 'f32' }] },
      'buffers.0.type: unknown field, remove it',
    ],
    ['an unknown field of verify', { ...counted, verify: { replica: 2 } }, 'verify.replica: unknown field, remove it'],
    [
      'both kinds of units',
      { ...counted, units: { count: 2, each: { a: [] } } },
      'units.count: unknown field, remove it',
    ],
    ['no shader', without(counted, 'shader'), 'shader: missing field'],
    ['no units', without(counted, 'units'), 'units: missing field'],
    ['units without a count', { ...counted, units: {} }, 'units.count: missing field'],
    [
      'a buffer without data',
      { ...counted, buffers: [{ binding: 1, kind: 'uniform' }] },
      'buffers.0.data: missing field',
    ],
    ['no grid', without(counted, 'grid'), 'grid: missing field, give workgroups as [x, y, z] (or steps)'],
    ['zero units', { ...counted, units: { count: 0 } }, 'units.count: no units, ask for at least 1'],
    ['zero values', { ...shader, units: { each: { offset: [] } } }, 'units.each.offset: no units, ask for at least 1'],
    [
      'too many units',
      { ...counted, units: { count: 1_000_001 } },
      'units.count: 1000001 units, the most is 1000000; make several jobs',
    ],
    [
      'values for nobody',
      { ...shader, units: { each: { offset: [{ f32: [1] }], other: [{ f32: [1] }] } } },
      'units.each.other: no buffer of kind each has this name, add one or remove the values',
    ],
    [
      'a buffer without values',
      { ...shader, units: { count: 3 } },
      'buffers.2.name: no values for "offset", add units.each.offset',
    ],
    [
      'lists of unequal length',
      { ...shader, units: { each: { offset: [{ f32: [1] }], scale: [{ f32: [1] }, { f32: [1] }] } } },
      'units.each.scale: 2 values but offset has 1, give as many for each',
    ],
    [
      'a binding twice',
      { ...counted, buffers: [{ binding: 3, kind: 'unit' }, counted.buffers[1]] },
      'buffers.1.binding: 3 is taken by buffers.0, choose another',
    ],
    [
      'no output',
      { ...counted, buffers: [{ binding: 0, kind: 'unit' }] },
      'buffers: none of kind output, so nothing would come back; add one',
    ],
    [
      'outputs that are too large',
      { ...counted, buffers: [{ binding: 0, kind: 'output', type: 'f32', count: 67108864 }] },
      'buffers: outputs of 268435456 bytes a unit, the most is 67108864; use more and smaller units',
    ],
    [
      'steps beside a grid',
      { ...counted, entryPoint: undefined, steps: [{ entryPoint: 'a', grid: [1, 1, 1] }] },
      'grid: stands beside steps, which have grids of their own; keep one of them',
    ],
    [
      'steps beside an entry point',
      { ...counted, steps: [{ entryPoint: 'a', grid: [1, 1, 1] }] },
      'entryPoint: stands beside steps, keep one of them',
    ],
    ['a loop around nothing', { ...counted, loop: 2 }, 'loop: goes around steps, and there are none'],
    [
      'a value of an unknown form',
      { ...shader, units: { each: { offset: [{ f64: [1] }] } } },
      'units.each.offset.0: f64: unknown field, use f32, u32, i32, base64 or file',
    ],
    [
      'a value in two forms',
      { ...shader, units: { each: { offset: [{ f32: [1], u32: [1] }] } } },
      'units.each.offset.0: expected exactly one of f32, u32, i32, base64 or file',
    ],
    [
      'a number that is no u32',
      { ...shader, units: { each: { offset: [{ u32: [1, -1] }] } } },
      'units.each.offset.0: u32.1: expected a whole number from 0 to 4294967295',
    ],
    [
      'a number beyond f32',
      { ...shader, units: { each: { offset: [{ f32: [1e39] }] } } },
      'units.each.offset.0: f32.0: expected a number that fits f32',
    ],
    [
      'no base64',
      { ...shader, units: { each: { offset: [{ base64: '?' }] } } },
      'units.each.offset.0: base64: not a base64 text',
    ],
    [
      'a bare number as value',
      { ...shader, units: { each: { offset: [1] } } },
      'units.each.offset.0: expected an object with one of f32, u32, i32, base64 or file',
    ],
  ])('with %s is refused in one line', (_what, value, text) => {
    expect(refusal(value)).toBe(`job.json: ${text}`);
  });

  test.each([
    [{ ...counted, program: 'dance' }, /^job\.json: program: .*"shader" \| "train".*"dance"/],
    [{ ...counted, version: 2 }, /^job\.json: version: .*1.*2/],
    [{ ...counted, grid: [1, 1] }, /^job\.json: grid\.2: /],
    [{ ...counted, grid: [65536, 1, 1] }, /^job\.json: grid\.0: /],
    [{ ...counted, verify: { replicas: 17 } }, /^job\.json: verify\.replicas: /],
    [{ ...counted, reduce: { file: 'add.json', fanIn: 1 } }, /^job\.json: reduce\.fanIn: /],
    [[], /^job\.json: /],
    ['text', /^job\.json: /],
  ])('is refused where a field has the wrong kind', (value, pattern) => {
    expect(refusal(value)).toMatch(pattern);
    expect(refusal(value)).not.toContain('\n');
  });
});

describe('a reduce file', () => {
  const reduce = {
    ...without(without(counted, 'units'), 'entryPoint'),
    buffers: [
      { binding: 0, kind: 'each', name: 'group' },
      { binding: 1, kind: 'output', type: 'u32', count: 4 },
    ],
  };
  test('is a shader job without units and with one each buffer', () => {
    expect(line(parseReduceFile(reduce, 'add.json'))).toBe('ok');
    expect(line(parseReduceFile({ ...reduce, units: { count: 1 } }, 'add.json'))).toBe(
      'add.json: units: unknown field, remove it',
    );
    expect(line(parseReduceFile({ ...reduce, buffers: reduce.buffers.slice(1) }, 'add.json'))).toMatch(
      /^add\.json: buffers: 0 of kind each/,
    );
  });
});

describe('a training file', () => {
  test('fills in every constant', () => {
    const file = expectTrain(train);
    expect(file.method).toEqual({
      name: 'diloco',
      workers: 4,
      innerSteps: 50,
      compress: 'uint8',
      outerLearningRate: 0.7,
      outerMomentum: 0.9,
    });
    expect(file.optimizer).toEqual({
      name: 'adamw',
      learningRate: 0.001,
      betas: [0.9, 0.95],
      epsilon: 1e-8,
      weightDecay: 0.1,
      clip: 1,
      warmup: 50,
      schedule: 'cosine',
    });
    expect(modelOfFile(file)).toMatchObject({ width: 64, hidden: 172, heads: 4, keyValueHeads: 4, vocabulary: 256 });
    expect([file.batch, file.steps, file.seed, file.out, file.data.validation]).toEqual([8, 600, 1, 'run', 0.1]);
  });

  test('keeps what it says', () => {
    const file = expectTrain({
      ...train,
      model: { width: 96, heads: 6, hidden: 200, keyValueHeads: 2 },
      method: { workers: 2 },
    });
    expect(modelOfFile(file)).toMatchObject({ width: 96, hidden: 200, heads: 6, keyValueHeads: 2 });
    expect(file.method.workers).toBe(2);
    expect([roundsOf(600, file.method), roundsOf(601, file.method), roundsOf(1, file.method)]).toEqual([12, 13, 1]);
  });

  test.each([
    [{ ...train, data: {} }, 'job.json: data.files: missing field'],
    [{ ...train, data: { files: [] } }, 'job.json: data.files: no files, name at least one text'],
    [{ ...train, model: { depth: 3 } }, 'job.json: model.depth: unknown field, remove it'],
    [{ ...train, model: { width: 60, heads: 8 } }, 'job.json: model.width: 60 is not an even multiple of 8 heads'],
    [{ ...train, model: { keyValueHeads: 3 } }, 'job.json: model.keyValueHeads: 3 does not divide 4 heads'],
    [
      { ...train, model: { vocabulary: 'characters' } },
      'job.json: model.vocabulary: only "bytes" (256 tokens) is supported for training so far; "characters" and tokenizer files are not',
    ],
  ])('is refused in one line', (value, text) => {
    expect(refusal(value)).toBe(text);
  });

  test('names the methods that there are', () => {
    expect(refusal({ ...train, method: { name: 'wish' } })).toMatch(
      /^job\.json: method\.name: .*"diloco".*"solo".*"wish"/,
    );
  });
});

describe('generation options', () => {
  test('have defaults, and a name for what is wrong', () => {
    const parsed = parseGenerateOptions({}, 'options');
    expect(parsed.ok && parsed.value).toMatchObject({
      samples: 1,
      maxTokens: 128,
      temperature: 0.8,
      topP: 1,
      topK: 0,
      seed: 0,
    });
    expect(line(parseGenerateOptions({ temperature: -1 }, 'options'))).toMatch(/^options: temperature: /);
    expect(line(parseGenerateOptions({ topP: 0 }, 'options'))).toMatch(/^options: topP: /);
    expect(line(parseGenerateOptions({ heat: 1 }, 'options'))).toBe('options: heat: unknown field, remove it');
  });
});
