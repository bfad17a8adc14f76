import { describe, expect, test } from 'vitest';
import { utf8 } from '../core/bytes.ts';
import { sha256Text } from '../core/hash.ts';
import { chunkBytesMax } from '../core/limits.ts';
import type { AccountId, Digest } from '../core/ids.ts';
import { checkArtifact, chunksOfRange, type Artifact } from './artifact.ts';
import {
  artifactsOf,
  decodeManifest,
  encodeManifest,
  resultLayout,
  type Manifest,
  type ManifestOf,
  type ShaderBuffer,
} from './manifest.ts';

const digest = 'ab'.repeat(32) as Digest;
const artifact = (bytes: number): Artifact => ({ bytes, chunks: Array(Math.ceil(bytes / chunkBytesMax)).fill(digest) });
const output: ShaderBuffer = { binding: 3, kind: 'output', type: 'f32', count: 16 };

const common = {
  version: 1 as const,
  name: 'job',
  nonce: '0'.repeat(32),
  submitter: 'cd'.repeat(32) as AccountId,
  expires: 1_800_000_000,
  price: 1,
  units: 4,
  verify: { replicas: 2, absolute: 0, relative: 1e-5 },
  limits: { unitSeconds: 30 },
};
const shaderJob = (buffers: ShaderBuffer[] = [output]): ManifestOf<'shader'> => ({
  ...common,
  program: 'shader',
  shader: {
    wgsl: artifact(100),
    constants: { factor: 2 },
    buffers,
    steps: [{ entryPoint: 'main', grid: [1, 1, 1], repeat: 1 }],
    loop: 1,
  },
});
const model = {
  architecture: 'llama' as const,
  layers: 2,
  width: 64,
  hidden: 172,
  heads: 4,
  keyValueHeads: 4,
  vocabulary: 256,
  context: 64,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const generateJob: ManifestOf<'generate'> = {
  ...common,
  program: 'generate',
  generate: {
    model,
    weights: artifact(3_000_000),
    promptTokens: [1, 2],
    samplesPerUnit: 8,
    samples: 30,
    maxTokens: 64,
    temperature: 0.8,
    topP: 1,
    topK: 0,
    seed: 1,
    stopTokens: [],
  },
};

const refusal = (manifest: unknown): string => {
  const decoded = decodeManifest(utf8(JSON.stringify(manifest)));
  return decoded.ok ? 'ok' : decoded.error.text;
};

describe('a manifest', () => {
  test('survives its own bytes', () => {
    for (const manifest of [shaderJob(), generateJob] as Manifest[]) {
      const decoded = decodeManifest(encodeManifest(manifest));
      expect(decoded.ok && decoded.value).toEqual(manifest);
    }
  });

  test('has other bytes, so another id, for another nonce', () => {
    const text = JSON.stringify(shaderJob());
    expect(sha256Text(text)).not.toBe(sha256Text(text.replace('0'.repeat(32), `1${'0'.repeat(31)}`)));
  });

  test.each([
    ['an unknown field', { ...shaderJob(), extra: 1 }, 'manifest: extra: unknown field, remove it'],
    ['no submitter', { ...shaderJob(), submitter: undefined }, /^manifest: submitter: /],
    ['no units', { ...shaderJob(), units: 0 }, /^manifest: units: /],
    ['a free price', { ...shaderJob(), price: 0 }, /^manifest: price: /],
    ['a program that nobody has', { ...shaderJob(), program: 'mine' }, /^manifest: program: /],
    ['no output', shaderJob([{ binding: 0, kind: 'unit' }]), 'manifest: a shader job needs an output buffer'],
    ['a binding twice', shaderJob([output, output]), 'manifest: buffer at binding 3: used twice'],
    [
      'outputs that are too large',
      shaderJob([{ binding: 0, kind: 'output', type: 'f32', count: 2 ** 24 + 1 }]),
      /^manifest: outputs of 67108868 bytes a unit, the most is 67108864/,
    ],
    [
      'each values for too few units',
      shaderJob([output, { binding: 1, kind: 'each', data: artifact(12), sizes: [4, 8] }]),
      'manifest: buffer at binding 1: 2 values for 4 units',
    ],
    [
      'each values that do not fill their data',
      shaderJob([output, { binding: 1, kind: 'each', data: artifact(12), sizes: 4 }]),
      'manifest: buffer at binding 1: sizes sum to 16, data has 12 bytes',
    ],
    [
      'too few chunks',
      shaderJob([output, { binding: 1, kind: 'input', data: { bytes: chunkBytesMax + 1, chunks: [digest] } }]),
      `manifest: buffer at binding 1: ${chunkBytesMax + 1} bytes need 2 chunks, not 1`,
    ],
    [
      'key and value heads that do not divide the heads',
      { ...generateJob, generate: { ...generateJob.generate, model: { ...model, keyValueHeads: 3 } } },
      'manifest: model: 3 key and value heads do not divide 4 heads',
    ],
    [
      'an odd head width',
      { ...generateJob, generate: { ...generateJob.generate, model: { ...model, width: 60 } } },
      'manifest: model: width 60 is no even multiple of 4 heads',
    ],
    [
      'samples that are not its units',
      { ...generateJob, units: 3 },
      'manifest: 30 samples in groups of 8 are not 3 units',
    ],
  ])('with %s is refused', (_what, manifest, text) => {
    if (typeof text === 'string') expect(refusal(manifest)).toBe(text);
    else expect(refusal(manifest)).toMatch(text);
  });

  test('with each values of one size, or a size for every unit, is taken', () => {
    expect(refusal(shaderJob([output, { binding: 1, kind: 'each', data: artifact(16), sizes: 4 }]))).toBe('ok');
    expect(refusal(shaderJob([output, { binding: 1, kind: 'each', data: artifact(40), sizes: [4, 8, 12, 16] }]))).toBe(
      'ok',
    );
  });

  test('that is no text, no JSON or too long is refused', () => {
    const text = (bytes: Uint8Array): string => {
      const decoded = decodeManifest(bytes);
      return decoded.ok ? 'ok' : decoded.error.text;
    };
    expect(text(Uint8Array.of(0xff))).toBe('manifest: not UTF-8');
    expect(text(utf8('{'))).toMatch(/^manifest: not JSON/);
    expect(text(new Uint8Array(chunkBytesMax + 1))).toMatch(/^manifest: larger than/);
  });

  test('lays its outputs out in binding order', () => {
    const job = shaderJob([{ binding: 5, kind: 'output', type: 'u32', count: 2 }, output]);
    expect(resultLayout(job)).toEqual([
      { type: 'f32', count: 16 },
      { type: 'u32', count: 2 },
    ]);
    expect(resultLayout(generateJob)).toBeUndefined();
    expect(artifactsOf(job).map(([where]) => where)).toEqual(['shader.wgsl']);
    expect(artifactsOf(generateJob).map(([where]) => where)).toEqual(['generate.weights']);
  });
});

describe('an artifact', () => {
  test('has exactly the chunks that its size needs', () => {
    for (const bytes of [0, 1, chunkBytesMax - 1, chunkBytesMax, chunkBytesMax + 1, 5 * chunkBytesMax]) {
      expect(checkArtifact(artifact(bytes), 'x').ok).toBe(true);
      expect(checkArtifact({ ...artifact(bytes), chunks: [...artifact(bytes).chunks, digest] }, 'x').ok).toBe(false);
    }
  });

  test('says which chunks hold a range', () => {
    expect(chunksOfRange(0, 1)).toEqual({ first: 0, last: 0 });
    expect(chunksOfRange(0, chunkBytesMax)).toEqual({ first: 0, last: 0 });
    expect(chunksOfRange(chunkBytesMax - 1, chunkBytesMax + 1)).toEqual({ first: 0, last: 1 });
    expect(chunksOfRange(chunkBytesMax, 3 * chunkBytesMax)).toEqual({ first: 1, last: 2 });
  });
});
