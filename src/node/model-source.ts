/**
 * Models that `generate` and `serve` take: a folder with `config.json` and safetensors in one file or several (a checkpoint of
 * ours, a Hugging Face repository), a `.safetensors` with its `config.json` beside it, a `.gguf`, or a llama2.c `.bin`; on this
 * machine or at a URL. To generate, weights come out as one flat f32 vector; to serve, as the bytes of one file, which are read
 * in pieces. Its tokenizer is `model-tokenizer.ts`.
 */

import { basename, dirname } from 'node:path';
import type { ServeSource } from '../assembly/serve-job.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { viewBytes } from '../core/bytes.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { encodeTokenizerBundle } from '../models/tokenizer-bundle.ts';
import { openGguf } from '../models/weights/gguf.ts';
import { joinSafetensors } from '../models/weights/join-safetensors.ts';
import { configOfGguf } from '../models/weights/gguf-config.ts';
import { decodeConfig } from '../models/weights/llama-config.ts';
import { loadParameters } from '../models/weights/llama-weights.ts';
import { openLlama2c } from '../models/weights/llama2c.ts';
import { openSafetensors, openShardedSafetensors } from '../models/weights/safetensors.ts';
import type { TensorFile } from '../models/weights/tensor-file.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { placeOf, type ModelPlace } from './model-place.ts';
import { readTokenizer, type FoundTokenizer } from './model-tokenizer.ts';

export interface ModelSource {
  readonly name: string;
  readonly model: ModelConfig;
  /** One flat f32 vector. */
  readonly weights: Uint8Array;
  readonly tokenizer: Tokenizer;
}

interface OpenedModel {
  /** Where `config.json` lies. */
  readonly folder?: string;
  readonly model: ModelConfig;
  readonly file: TensorFile;
  readonly format: ServeSource['format'];
  /** All of it as one file of that format. */
  readonly whole: ByteSource;
}

const weightsName = 'model.safetensors';
const indexName = 'model.safetensors.index.json';

export async function readModel(path: string, tokenizerPath: string | undefined): Promise<ModelSource> {
  const place = placeOf(path);
  try {
    // The tokenizer comes before weights are read, which may take long.
    const { opened, text } = await openWithText(path, tokenizerPath, place);
    const weights = viewBytes(await loadParameters(opened.model, opened.file));
    return { name: basename(path), model: opened.model, weights, tokenizer: text.tokenizer };
  } finally {
    await place.close();
  }
}

export interface ServedSource extends ServeSource {
  close(): Promise<void>;
}

/** The model as it is served; it stays open, as its bytes are read when a hub asks for them. */
export async function openServedModel(path: string, tokenizerPath: string | undefined): Promise<ServedSource> {
  const place = placeOf(path);
  try {
    const { opened, text } = await openWithText(path, tokenizerPath, place);
    const { model, format, whole } = opened;
    const bundle = encodeTokenizerBundle({ version: 1, vocabulary: model.vocabulary, source: text.files });
    return { model, format, weights: whole, tokenizer: expectInput(bundle), close: () => place.close() };
  } catch (error) {
    await place.close();
    throw error;
  }
}

async function openWithText(
  path: string,
  tokenizerPath: string | undefined,
  place: ModelPlace,
): Promise<{ readonly opened: OpenedModel; readonly text: FoundTokenizer }> {
  if (path.endsWith('.bin') && tokenizerPath === undefined) {
    throw new InputError(`--model ${path}: a llama2.c model needs --tokenizer FILE`);
  }
  const opened = await openModel(path, place);
  const { folder, file, model } = opened;
  const { vocabulary } = model;
  return { opened, text: await readTokenizer({ path, given: tokenizerPath, folder, place, file, vocabulary }) };
}

async function openModel(path: string, place: ModelPlace): Promise<OpenedModel> {
  if (await place.isFolder(path)) return openFolder(path, place);
  if (path.endsWith('.bin')) {
    const whole = await place.open(path);
    const { config, file } = expectInput(await openLlama2c(whole));
    return { model: config, file, format: 'llama2c', whole };
  }
  if (path.endsWith('.gguf')) {
    const whole = await place.open(path);
    const file = expectInput(await openGguf(whole));
    return { model: expectInput(configOfGguf(file)), file, format: 'gguf', whole };
  }
  if (path.endsWith('.safetensors')) {
    const folder = dirname(path);
    const model = await readConfig(folder, place);
    const whole = await place.open(path);
    return { model, folder, file: expectInput(await openSafetensors(whole)), format: 'safetensors', whole };
  }
  throw new InputError(
    `--model ${path}: not a kind of file that is read; give a folder with config.json, a .safetensors, a .gguf or a llama2.c .bin`,
  );
}

async function openFolder(folder: string, place: ModelPlace): Promise<OpenedModel> {
  const { join, open } = place;
  const model = await readConfig(folder, place);
  const indexPath = join(folder, indexName);
  const index = await place.text(indexPath);
  if (index === undefined) {
    const whole = await open(join(folder, weightsName));
    return { model, folder, file: expectInput(await openSafetensors(whole)), format: 'safetensors', whole };
  }
  const file = expectInput(await openShardedSafetensors(index, indexPath, (name) => open(join(folder, name))));
  return { model, folder, file, format: 'safetensors', whole: joinSafetensors(file) };
}

async function readConfig(folder: string, place: ModelPlace): Promise<ModelConfig> {
  const where = place.join(folder, 'config.json');
  const text = await place.text(where);
  if (text === undefined) throw new InputError(`${where}: no such file`);
  return expectInput(decodeConfig(text, where));
}
