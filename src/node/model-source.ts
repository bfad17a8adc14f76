/** Models that `generate` takes: a folder with `config.json` and `model.safetensors`, or a llama2.c `.bin` with its tokenizer. */

import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expectInput, InputError } from '../core/result.ts';
import { viewBytes } from '../core/bytes.ts';
import { decodeConfig, decodeLlama } from '../models/llama-checkpoint.ts';
import { decodeLlama2c } from '../models/llama2c.ts';
import { decodeLlama2cTokenizer } from '../models/llama2c-tokenizer.ts';
import { byteTokenizer, type Tokenizer } from '../models/tokenizer.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { readInput } from './read-input.ts';

export interface ModelSource {
  readonly name: string;
  readonly model: ModelConfig;
  /** One flat f32 vector. */
  readonly weights: Uint8Array;
  readonly tokenizer: Tokenizer;
}

export async function readModel(path: string, tokenizerPath: string | undefined): Promise<ModelSource> {
  if (path.endsWith('.bin')) return readLlama2c(path, tokenizerPath);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new InputError(`--model ${path}: no such folder or file`);
  if (!found.isDirectory()) {
    throw new InputError(`--model ${path}: not supported yet; give a checkpoint folder or a llama2.c .bin file`);
  }
  const where = join(path, 'config.json');
  const model = expectInput(decodeConfig((await readInput(where)).toString('utf8'), where));
  const weightsPath = join(path, 'model.safetensors');
  const vector = expectInput(decodeLlama(model, await readInput(weightsPath), weightsPath));
  if (model.vocabulary !== byteTokenizer.vocabulary) {
    throw new InputError(
      `--model ${path}: a vocabulary of ${model.vocabulary} needs a tokenizer, which folders do not bring yet`,
    );
  }
  return { name: basename(path), model, weights: viewBytes(vector), tokenizer: byteTokenizer };
}

async function readLlama2c(path: string, tokenizerPath: string | undefined): Promise<ModelSource> {
  if (tokenizerPath === undefined) throw new InputError(`--model ${path}: a llama2.c model needs --tokenizer FILE`);
  const { config, parameters } = expectInput(decodeLlama2c(await readInput(path), path));
  const tokenizer = expectInput(
    decodeLlama2cTokenizer(await readInput(tokenizerPath), config.vocabulary, tokenizerPath),
  );
  return { name: basename(path), model: config, weights: viewBytes(parameters), tokenizer };
}
