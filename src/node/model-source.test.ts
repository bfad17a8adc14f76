/** Models on a disk in every form that `--model` takes, the same weights out of each; and those that are not to be had. */

import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { concatAll, equalBytes, viewBytes } from '../core/bytes.ts';
import { memorySource } from '../core/byte-source.ts';
import { expectInput } from '../core/result.ts';
import { initialParameters } from '../models/llama-parameters.ts';
import { byteTokenizer } from '../models/tokenizer.ts';
import { encodeGguf, type GgufEntry, type GgufType } from '../models/weights/encode-gguf.ts';
import { encodeLlama, llamaGguf } from '../models/weights/encode-llama.ts';
import { encodeConfig } from '../models/weights/llama-config.ts';
import { encodeSafetensors, openSafetensors, type SafetensorsEntry } from '../models/weights/safetensors.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { readModel } from './model-source.ts';

const temporary = await mkdtemp(join(tmpdir(), 'tabswarm-models-'));
afterAll(() => rm(temporary, { recursive: true, force: true }));

const config: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 32,
  hidden: 64,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 256,
  context: 16,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const parameters = initialParameters(config, 3);
const wide = { ...config, vocabulary: 300 };

let folders = 0;
async function write(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = join(temporary, String(folders++));
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

const gguf = (model: ModelConfig, type: GgufType, more: Readonly<Record<string, GgufEntry>> = {}): Uint8Array => {
  const file = llamaGguf(model, initialParameters(model, 3), type);
  return concatAll([...encodeGguf({ ...file, metadata: { ...file.metadata, ...more } })]);
};

/** The checkpoint's tensors in two files with an index. */
async function shards(): Promise<Record<string, string | Uint8Array>> {
  const source = memorySource('model', encodeLlama(config, parameters));
  const { tensors } = expectInput(await openSafetensors(source));
  const parts: SafetensorsEntry[][] = [[], []];
  const map: Record<string, string> = {};
  for (const { name, shape, start, end } of tensors.values()) {
    const part = name.includes('.1.') ? 1 : 0;
    map[name] = `part-${part}.safetensors`;
    parts[part]?.push({ name, type: 'F32', shape, bytes: await source.read(start, end) });
  }
  return {
    'part-0.safetensors': encodeSafetensors(parts[0] ?? []),
    'part-1.safetensors': encodeSafetensors(parts[1] ?? []),
    'model.safetensors.index.json': JSON.stringify({ weight_map: map }),
  };
}

describe('a model', () => {
  const weights = encodeLlama(config, parameters);
  const configText = encodeConfig(config);

  test.each<[string, () => Promise<string>]>([
    ['is a folder', () => write({ 'config.json': configText, 'model.safetensors': weights })],
    [
      'is a folder with weights in several files',
      async () => write({ 'config.json': configText, ...(await shards()) }),
    ],
    [
      'is a .safetensors beside its config',
      async () => join(await write({ 'config.json': configText, 'own.safetensors': weights }), 'own.safetensors'),
    ],
    ['is a .gguf', async () => join(await write({ 'own.gguf': gguf(config, 'f32') }), 'own.gguf')],
  ])('%s', async (_what, path) => {
    const source = await readModel(await path(), undefined);
    expect(source.model).toEqual(config);
    expect(equalBytes(source.weights, viewBytes(parameters))).toBe(true);
    expect(source.tokenizer).toBe(byteTokenizer);
  });

  test('of eight bits is near what it was', async () => {
    const source = await readModel(join(await write({ 'own.gguf': gguf(config, 'q8_0') }), 'own.gguf'), undefined);
    const read = new Float32Array(source.weights.slice().buffer);
    expect(read).toHaveLength(parameters.length);
    expect(read).not.toEqual(parameters);
    expect(Math.max(...read.map((value, index) => Math.abs(value - (parameters[index] ?? NaN))))).toBeLessThan(1e-3);
  });

  test('brings its vocabulary inside a GGUF file', async () => {
    // SentencePiece's: unknown, start, end, the bytes, the space, letters.
    const letters = Array.from({ length: 40 }, (_, index) => String.fromCodePoint(0x400 + index));
    const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    const tokens = ['<unk>', '<s>', '</s>', ...bytes, '\u2581', ...letters];
    const array = (subType: number, value: (string | number)[]): GgufEntry => ({ type: 9, subType, value });
    const path = join(
      await write({
        'own.gguf': gguf(wide, 'f16', {
          'tokenizer.ggml.model': { type: 8, value: 'llama' },
          'tokenizer.ggml.tokens': array(8, tokens),
          'tokenizer.ggml.scores': array(
            6,
            tokens.map((_, index) => -index),
          ),
          'tokenizer.ggml.token_type': array(
            5,
            tokens.map((_, index) => (index === 0 ? 2 : index < 3 ? 3 : index < 259 ? 6 : 1)),
          ),
          'tokenizer.ggml.bos_token_id': { type: 4, value: 1 },
          'tokenizer.ggml.eos_token_id': { type: 4, value: 2 },
        }),
      }),
      'own.gguf',
    );
    const { tokenizer } = await readModel(path, undefined);
    expect([tokenizer.vocabulary, tokenizer.start, tokenizer.stop]).toEqual([300, 1, [2]]);
    expect(tokenizer.decode(tokenizer.encode('ЀЁ x'))).toBe('ЀЁ x');
  });

  test.each<[string, () => Promise<string>, RegExp]>([
    ['that is not there', async () => join(temporary, 'none'), /--model .*none: no such folder or file/],
    [
      'of an unknown kind',
      async () => join(await write({ 'model.onnx': 'x' }), 'model.onnx'),
      /not a kind of file that is read/,
    ],
    ['without weights', () => write({ 'config.json': configText }), /model\.safetensors: no such file/],
    [
      'whose config lies elsewhere',
      async () => join(await write({ 'own.safetensors': weights }), 'own.safetensors'),
      /config\.json: no such file/,
    ],
    [
      'whose index names a file that is not there',
      () =>
        write({ 'config.json': configText, 'model.safetensors.index.json': '{"weight_map":{"a":"part.safetensors"}}' }),
      /part\.safetensors: no such file/,
    ],
    [
      'in GGUF without a vocabulary',
      async () => join(await write({ 'own.gguf': gguf(wide, 'f16') }), 'own.gguf'),
      /a vocabulary of 300 needs a tokenizer, and the model brings none; give --tokenizer FILE/,
    ],
    [
      'whose tokenizer.json is none',
      () =>
        write({
          'config.json': encodeConfig(wide),
          'model.safetensors': encodeLlama(wide, initialParameters(wide, 1)),
          'tokenizer.json': '{}',
        }),
      /tokenizer\.json: model: /,
    ],
  ])('%s is refused in one line', async (_what, path, line) => {
    const reading = readModel(await path(), undefined);
    await expect(reading).rejects.toThrow(line);
    await expect(reading).rejects.toThrow(/^[^\n]+$/);
  });
});

describe('a model on a server', () => {
  /** Serves a folder of our own by ranges, as servers for files do. */
  async function serve(folder: string): Promise<{ readonly url: string; readonly asked: string[]; close: () => void }> {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const name = basename(request.url ?? '');
      asked.push(`${name} ${request.headers.range ?? 'whole'}`);
      const path = join(folder, name);
      if (!existsSync(path)) return void response.writeHead(404).end();
      const bytes = readFileSync(path);
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (first === undefined) return void response.writeHead(200).end(bytes);
      const range = `bytes ${first}-${Math.min(Number(last), bytes.length - 1)}/${bytes.length}`;
      response.writeHead(206, { 'content-range': range }).end(bytes.subarray(Number(first), Number(last) + 1));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    return { url: `http://127.0.0.1:${port}`, asked, close: () => void server.close() };
  }

  test('is read by ranges, a folder with its config or one file', async () => {
    const files = { 'config.json': encodeConfig(config), 'own.gguf': gguf(config, 'f32'), ...(await shards()) };
    const server = await serve(await write(files));
    for (const path of [server.url, `${server.url}/own.gguf`]) {
      const source = await readModel(path, undefined);
      expect([source.model, source.tokenizer]).toEqual([config, byteTokenizer]);
      expect(equalBytes(source.weights, viewBytes(parameters))).toBe(true);
    }
    expect(server.asked.filter((one) => one.endsWith('whole')).toSorted()).toEqual([
      'config.json whole',
      'model.safetensors.index.json whole',
      'tokenizer.json whole',
    ]);
    await expect(readModel(`${server.url}/none.gguf`, undefined)).rejects.toThrow(
      /none\.gguf: no such file on the server/,
    );
    await expect(readModel(`${server.url}/none.safetensors`, undefined)).rejects.toThrow(
      /none\.safetensors: no such file/,
    );
    server.close();
  });
});

const stories = '../shared/data/stories260K';
test.skipIf(!existsSync(stories))('a llama2.c model comes with the tokenizer that is named', async () => {
  const { model, tokenizer } = await readModel(`${stories}/stories260K.bin`, `${stories}/tok512.bin`);
  expect([model.vocabulary, tokenizer.encode('Once upon a time').length]).toEqual([512, 5]);
});
