import { describe, expect, test } from 'vitest';
import { memorySource, type ByteSource } from '../core/byte-source.ts';
import { countingSource } from '../core/counting-source.fixture.ts';
import { concatAll } from '../core/bytes.ts';
import { sha256 } from '../core/hash.ts';
import type { AccountId, Digest } from '../core/ids.ts';
import { chunkBytesMax } from '../core/limits.ts';
import { expectInput } from '../core/result.ts';
import { encodeTokenizerBundle } from '../models/tokenizer-bundle.ts';
import { decodeManifest, type ModelConfig } from '../protocol/manifest.ts';
import { createMemoryHub } from './memory-hub.fixture.ts';
import type { PrepareOptions } from './job.ts';
import { prepareServeJob, serveDefaults, type ServeSource } from './serve-job.ts';
import { connectSubmitter } from './submitter.ts';
import { systemClock } from '../adapters/clock/system-clock.ts';
import { ed25519 } from '../adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../adapters/crypto/identity.ts';
import { sha256Large } from '../adapters/crypto/sha256-large.ts';
import { createMemoryChunks } from '../adapters/store/memory-chunks.ts';

const options: PrepareOptions = {
  submitter: 'cd'.repeat(32) as AccountId,
  nonce: '1'.repeat(32),
  now: 1000,
  digest: (bytes) => Promise.resolve(sha256(bytes)),
  where: 'serve',
};
const model: ModelConfig = {
  architecture: 'llama',
  vocabulary: 256,
  context: 64,
  width: 8,
  hidden: 16,
  layers: 3,
  heads: 2,
  keyValueHeads: 1,
  ropeTheta: 10000,
  normEpsilon: 1e-5,
};
const tokenizer = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 256, source: { kind: 'bytes' } }));
const bytes = Uint8Array.from({ length: 2 * chunkBytesMax + 100 }, (_, index) => (index * 31 + (index >> 20)) % 256);
const source = (weights: ByteSource = memorySource('weights.bin', bytes)): ServeSource => ({
  model,
  weights,
  format: 'llama2c',
  tokenizer,
});
const chosen = { ...serveDefaults, name: 'small', stages: 3, spares: 1, pipelines: 2 };

describe('a job that serves a model', () => {
  test('holds the file as it is, chunk by chunk, and has a unit for each place', async () => {
    const prepared = await prepareServeJob(source(), chosen, options);
    const { manifest } = prepared;
    expect(decodeManifest(prepared.manifestBytes)).toEqual({ ok: true, value: manifest });
    expect(manifest).toMatchObject({
      program: 'serve',
      units: 12,
      verify: { replicas: 1, absolute: 0, relative: 0 },
      limits: { unitSeconds: 60 },
      serve: { name: 'small', context: 64, sequences: 16, activations: 'f32', format: 'llama2c' },
    });
    const chunks = await Promise.all(manifest.serve.weights.chunks.map((digest) => prepared.chunks.get(digest)));
    expect(sha256(concatAll(chunks.map((chunk) => chunk ?? new Uint8Array())))).toBe(sha256(bytes));
    const [bundle = '' as Digest] = manifest.serve.tokenizer.chunks;
    expect(await prepared.chunks.get(bundle)).toEqual(tokenizer);
    expect(prepared.chunks.get(sha256(new Uint8Array(3)))).toBeUndefined();
  });

  test('has never more than one chunk of its weights in memory: each read is one', async () => {
    const counted = countingSource(memorySource('weights.bin', bytes));
    await prepareServeJob(source(counted), chosen, options);
    expect(counted.reads.map(({ start, end }) => end - start)).toEqual([chunkBytesMax, chunkBytesMax, 100]);
  });

  test.each([
    ['stages', { stages: 4 }, 'serve: --stages 4: the model has 3 layers; a stage needs one at least'],
    ['context', { context: 65 }, 'serve: --context 65: the model was made for 64'],
    ['name', { name: ' ' }, 'serve: --name: empty; give what requests shall call the model'],
    ['sequences', { sequences: 300 }, 'serve: --sequences 300: at most 256 run at once'],
  ])('refuses %s that do not suit the model, with the mend', async (_, wrong, line) => {
    await expect(prepareServeJob(source(), { ...chosen, ...wrong }, options)).rejects.toThrow(line);
  });

  test("refuses another model's tokenizer", async () => {
    const other = expectInput(encodeTokenizerBundle({ version: 1, vocabulary: 300, source: { kind: 'bytes' } }));
    await expect(prepareServeJob({ ...source(), tokenizer: other }, chosen, options)).rejects.toThrow(
      /made for 300 tokens/,
    );
  });

  test('a hub gets every chunk from the file; one that changed meanwhile is refused', async () => {
    const hub = await createMemoryHub();
    const identity = await createIdentity({ accountKey: await (await ed25519()).generate() });
    const submitter = await connectSubmitter({
      identity,
      verify: verifySignature,
      digestOf: sha256Large,
      clock: systemClock,
      dial: async () => ({ link: hub.dial() }),
      chunks: createMemoryChunks({ digestBytes: sha256Large }),
      connectMsMax: 5_000,
    });
    const mine = { ...options, submitter: identity.account, digest: sha256Large, now: Math.floor(Date.now() / 1000) };
    try {
      const prepared = await prepareServeJob(source(), chosen, mine);
      const handle = await submitter.submit(prepared);
      await new Promise<void>((resolve) => handle.onChange(resolve));
      expect(['waiting', 'running']).toContain(handle.state()?.state?.state);
      for (const digest of prepared.manifest.serve.weights.chunks) expect(await hub.chunks.has(digest)).toBe(true);

      const changed = Uint8Array.from(bytes, (value) => value ^ 1);
      const weights = memorySource('weights.bin', changed);
      const broken = await prepareServeJob(source(weights), chosen, { ...mine, nonce: '2'.repeat(32) });
      changed[5] = 77;
      const refused = await submitter.submit(broken);
      await expect(refused.finished).rejects.toThrow('weights.bin: changed while it was being offered; serve it again');
    } finally {
      submitter.close();
      await hub.close();
    }
  });
});
