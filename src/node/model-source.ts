/**
 * Models that `generate` takes: a folder with `config.json` and safetensors in one file or several (a checkpoint of ours, a
 * Hugging Face repository), a `.safetensors` with its `config.json` beside it, a `.gguf`, or a llama2.c `.bin`. Weights come
 * out as one flat f32 vector; files are read in pieces and closed again. Its tokenizer is `model-tokenizer.ts`.
 */

import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ByteSource } from '../core/byte-source.ts';
import { viewBytes } from '../core/bytes.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { openGguf } from '../models/weights/gguf.ts';
import { configOfGguf, decodeConfig } from '../models/weights/llama-config.ts';
import { loadParameters } from '../models/weights/llama-weights.ts';
import { openLlama2c } from '../models/weights/llama2c.ts';
import { openSafetensors, openShardedSafetensors } from '../models/weights/safetensors.ts';
import type { TensorFile } from '../models/weights/tensor-file.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { openFileSource, type FileSource } from './file-source.ts';
import { readTokenizer } from './model-tokenizer.ts';
import { readInput } from './read-input.ts';
import { readTextIfThere } from './system-error.ts';

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
}
type OpenSource = (path: string) => Promise<ByteSource>;

const weightsName = 'model.safetensors';
const indexName = 'model.safetensors.index.json';

export async function readModel(path: string, tokenizerPath: string | undefined): Promise<ModelSource> {
  if (path.endsWith('.bin') && tokenizerPath === undefined) {
    throw new InputError(`--model ${path}: a llama2.c model needs --tokenizer FILE`);
  }
  const opened: FileSource[] = [];
  const open: OpenSource = async (file) => {
    const source = await openFileSource(file);
    opened.push(source);
    return source;
  };
  try {
    const { model, file, folder } = await openModel(path, open);
    // Before weights are read, which may take long.
    const { vocabulary } = model;
    const tokenizer = await readTokenizer({ path, given: tokenizerPath, folder, file, vocabulary });
    return { name: basename(path), model, weights: viewBytes(await loadParameters(model, file)), tokenizer };
  } finally {
    for (const source of opened) await source.close();
  }
}

async function openModel(path: string, open: OpenSource): Promise<OpenedModel> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new InputError(`--model ${path}: no such folder or file`);
  if (found.isDirectory()) return openFolder(path, open);
  if (path.endsWith('.bin')) {
    const { config, file } = expectInput(await openLlama2c(await open(path)));
    return { model: config, file };
  }
  if (path.endsWith('.gguf')) {
    const file = expectInput(await openGguf(await open(path)));
    return { model: expectInput(configOfGguf(file)), file };
  }
  if (path.endsWith('.safetensors')) {
    const folder = dirname(path);
    const model = await readConfig(folder);
    return { model, folder, file: expectInput(await openSafetensors(await open(path))) };
  }
  throw new InputError(
    `--model ${path}: not a kind of file that is read; give a folder with config.json, a .safetensors, a .gguf or a llama2.c .bin`,
  );
}

async function openFolder(folder: string, open: OpenSource): Promise<OpenedModel> {
  const model = await readConfig(folder);
  const indexPath = join(folder, indexName);
  const index = await readTextIfThere(indexPath);
  if (index !== undefined) {
    return {
      model,
      folder,
      file: expectInput(await openShardedSafetensors(index, indexPath, (file) => open(join(folder, file)))),
    };
  }
  return { model, folder, file: expectInput(await openSafetensors(await open(join(folder, weightsName)))) };
}

async function readConfig(folder: string): Promise<ModelConfig> {
  const where = join(folder, 'config.json');
  return expectInput(decodeConfig((await readInput(where)).toString('utf8'), where));
}
