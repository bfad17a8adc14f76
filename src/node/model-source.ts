/**
 * Models that `generate` takes: a folder with `config.json` and safetensors in one file or several (a checkpoint of ours, a
 * Hugging Face repository), a `.safetensors` with its `config.json` beside it, a `.gguf`, or a llama2.c `.bin`; on this machine or at a URL. Weights come
 * out as one flat f32 vector; files are read in pieces and closed again. Its tokenizer is `model-tokenizer.ts`.
 */

import { basename, dirname } from 'node:path';
import { viewBytes } from '../core/bytes.ts';
import { expectInput, InputError } from '../core/result.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { openGguf } from '../models/weights/gguf.ts';
import { configOfGguf } from '../models/weights/gguf-config.ts';
import { decodeConfig } from '../models/weights/llama-config.ts';
import { loadParameters } from '../models/weights/llama-weights.ts';
import { openLlama2c } from '../models/weights/llama2c.ts';
import { openSafetensors, openShardedSafetensors } from '../models/weights/safetensors.ts';
import type { TensorFile } from '../models/weights/tensor-file.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { placeOf, type ModelPlace } from './model-place.ts';
import { readTokenizer } from './model-tokenizer.ts';

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

const weightsName = 'model.safetensors';
const indexName = 'model.safetensors.index.json';

export async function readModel(path: string, tokenizerPath: string | undefined): Promise<ModelSource> {
  if (path.endsWith('.bin') && tokenizerPath === undefined) {
    throw new InputError(`--model ${path}: a llama2.c model needs --tokenizer FILE`);
  }
  const place = placeOf(path);
  try {
    const { model, file, folder } = await openModel(path, place);
    // Before weights are read, which may take long.
    const { vocabulary } = model;
    const tokenizer = await readTokenizer({ path, given: tokenizerPath, folder, place, file, vocabulary });
    return { name: basename(path), model, weights: viewBytes(await loadParameters(model, file)), tokenizer };
  } finally {
    await place.close();
  }
}

async function openModel(path: string, place: ModelPlace): Promise<OpenedModel> {
  if (await place.isFolder(path)) return openFolder(path, place);
  if (path.endsWith('.bin')) {
    const { config, file } = expectInput(await openLlama2c(await place.open(path)));
    return { model: config, file };
  }
  if (path.endsWith('.gguf')) {
    const file = expectInput(await openGguf(await place.open(path)));
    return { model: expectInput(configOfGguf(file)), file };
  }
  if (path.endsWith('.safetensors')) {
    const folder = dirname(path);
    const model = await readConfig(folder, place);
    return { model, folder, file: expectInput(await openSafetensors(await place.open(path))) };
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
  const file =
    index === undefined
      ? await openSafetensors(await open(join(folder, weightsName)))
      : await openShardedSafetensors(index, indexPath, (name) => open(join(folder, name)));
  return { model, folder, file: expectInput(file) };
}

async function readConfig(folder: string, place: ModelPlace): Promise<ModelConfig> {
  const where = place.join(folder, 'config.json');
  const text = await place.text(where);
  if (text === undefined) throw new InputError(`${where}: no such file`);
  return expectInput(decodeConfig(text, where));
}
