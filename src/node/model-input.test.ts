/**
 * Bad input of `train` and `generate` that needs a model or a text to be bad with: one line that names it and how to
 * mend it, exit code 2, and nothing started. The hub that is named does not exist, so whoever asked it would say so.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { initialParameters } from '../models/llama-parameters.ts';
import { encodeLlama } from '../models/weights/encode-llama.ts';
import { encodeConfig } from '../models/weights/llama-config.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { runProgram } from './program.ts';

const folder = await mkdtemp(join(tmpdir(), 'tabswarm-model-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const nobody = 'http://127.0.0.1:1';

async function run(...words: readonly string[]) {
  const results: string[] = [];
  const progress: string[] = [];
  const code = await runProgram([...words, '--hub', nobody, '--data', join(folder, 'account')], {
    result: (line) => void results.push(line),
    progress: (line) => void progress.push(line),
  });
  return { code, results, progress };
}

async function expectRefused(words: readonly string[], line: RegExp): Promise<void> {
  const { code, results, progress } = await run(...words);
  expect(progress).toEqual([expect.stringMatching(line)]);
  expect([code, results]).toEqual([2, []]);
  expect(progress[0]).not.toContain('\n');
}

const model: ModelConfig = {
  architecture: 'llama',
  layers: 1,
  width: 8,
  hidden: 24,
  heads: 2,
  keyValueHeads: 2,
  vocabulary: 256,
  context: 16,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const configText = encodeConfig(model);

interface CheckpointFiles {
  readonly config?: string | undefined;
  readonly weights?: Uint8Array | undefined;
}

let folders = 0;
async function writeCheckpoint(files: CheckpointFiles): Promise<string> {
  const path = join(folder, `checkpoint-${folders++}`);
  await mkdir(path);
  if (files.config !== undefined) await writeFile(join(path, 'config.json'), files.config);
  if (files.weights !== undefined) await writeFile(join(path, 'model.safetensors'), files.weights);
  return path;
}

const weightsOf = (config: ModelConfig) => encodeLlama(config, initialParameters(config, 1));
const weights = weightsOf(model);
const replaced = (from: string, to: string): string => {
  expect(configText).toContain(from);
  return configText.replace(from, to);
};

describe('a checkpoint', () => {
  const wide = { ...model, vocabulary: 300 };
  it.each<[string, CheckpointFiles, RegExp]>([
    ['without its config', { weights }, /config\.json: no such file/],
    ['without its weights', { config: configText }, /model\.safetensors: no such file/],
    ['whose config is no JSON', { config: '{', weights }, /config\.json: not JSON/],
    [
      'of another architecture',
      { config: replaced('"llama"', '"mamba"'), weights },
      /config\.json: model_type: .*"mamba"/,
    ],
    [
      'whose heads do not divide',
      { config: replaced('"num_attention_heads": 2', '"num_attention_heads": 3'), weights },
      /config\.json: .*heads/,
    ],
    [
      'whose weights are another network’s',
      { config: replaced('"hidden_size": 8', '"hidden_size": 16'), weights },
      /model\.safetensors: tensor .* expected \[/,
    ],
    ['whose weights are cut off', { config: configText, weights: weights.slice(0, -4) }, /model\.safetensors: cut off/],
    [
      'with a vocabulary that is not bytes',
      { config: encodeConfig(wide), weights: weightsOf(wide) },
      /vocabulary of 300 needs a tokenizer/,
    ],
  ])('%s is refused in one line', async (_what, files, line) => {
    await expectRefused(['generate', '--model', await writeCheckpoint(files), '--prompt', 'a'], line);
  });
});

describe('a prompt', () => {
  const right = () => writeCheckpoint({ config: configText, weights });
  it.each<[string, string[], RegExp]>([
    ['that is empty where the model has no start token', [], /--prompt: empty, .* no start token; give some text/],
    ['as long as the context', ['--prompt', 'x'.repeat(16)], /--prompt: 16 tokens, .* context holds 16; shorten it/],
    [
      'with a stop text of several tokens',
      ['--prompt', 'a', '--stop', 'end'],
      /--stop "end": is 3 tokens .* give text that is one/,
    ],
  ])('%s is refused before anybody is asked', async (_what, words, line) => {
    await expectRefused(['generate', '--model', await right(), ...words], line);
  });

  it('that suits the model gets as far as the hub, which is not there', async () => {
    await expectRefused(
      ['generate', '--model', await right(), '--prompt', 'x'.repeat(15), '--stop', '.'],
      /no hub answers/,
    );
  });
});

describe('a llama2.c model', () => {
  it('needs its tokenizer', async () => {
    const path = join(folder, 'model.bin');
    await writeFile(path, new Uint8Array(28));
    await expectRefused(['generate', '--model', path, '--prompt', 'a'], /model\.bin: .*needs --tokenizer FILE/);
  });
});

describe('a training', () => {
  const write = async (name: string, more: object): Promise<string> => {
    const path = join(folder, `${name}.json`);
    await writeFile(
      path,
      JSON.stringify({ version: 1, name, program: 'train', data: { files: ['text.txt'] }, ...more }),
    );
    return path;
  };

  it.each<[string, object, RegExp]>([
    ['without its text', { data: { files: ['none.txt'] } }, /data\.files\.0: none\.txt: no such file/],
    ['with too little text', {}, /data\.files: 600 bytes leave 60 for validation .* give more text/],
    ['by a method that is not known', { method: { name: 'demo' } }, /method\.name: /],
    ['of another architecture', { model: { architecture: 'mamba' } }, /model\.architecture: /],
    ['with a field that nobody knows', { learningRate: 1 }, /learningRate: unknown field, remove it/],
    ['that is a shader job', { program: 'shader' }, /\.json: /],
  ])('%s is refused before anybody is asked', async (what, more, line) => {
    await writeFile(join(folder, 'text.txt'), 'six by'.repeat(100));
    await expectRefused(['train', await write(what.replaceAll(' ', '-'), more)], line);
  });

  it('that is right gets as far as the hub, which is not there', async () => {
    await writeFile(join(folder, 'text.txt'), 'six by'.repeat(2000));
    await expectRefused(['train', await write('right', {})], /no hub answers/);
  });
});
