/**
 * Where a model's files lie, to those who read them by name: on this machine, on a web server, in a repository of Hugging
 * Face's hub. The environment's `HF_ENDPOINT` and `HF_TOKEN` mean what they mean to Hugging Face's own tools.
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assertCommit,
  isHubAddress,
  openHubFile,
  parseHubAddress,
  readHubText,
  type HubAddress,
  type HubOptions,
} from '../adapters/source/hugging-face.ts';
import { openUrlSource, readUrlText } from '../adapters/source/url-source.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { expectInput, InputError } from '../core/result.ts';
import { openFileSource, type FileSource } from './file-source.ts';
import { readTextIfThere } from './system-error.ts';

export interface ModelPlace {
  /** Whether a model lies in a folder of this name, and not in a file; throws an `InputError` where nothing is there. */
  isFolder(path: string): Promise<boolean>;
  join(folder: string, name: string): string;
  open(path: string): Promise<ByteSource>;
  /** The text of a file, or undefined where there is none. */
  text(path: string): Promise<string | undefined>;
  /** Closes what was opened. */
  close(): Promise<void>;
}

export function placeOf(path: string): ModelPlace {
  if (isHubAddress(path)) return createHubPlace();
  return /^https?:\/\//.test(path) ? createServerPlace() : createDiskPlace();
}

function createDiskPlace(): ModelPlace {
  const opened: FileSource[] = [];
  return {
    isFolder: async (path) => {
      const found = await stat(path).catch(() => undefined);
      if (found === undefined) throw new InputError(`--model ${path}: no such folder or file`);
      return found.isDirectory();
    },
    join,
    open: async (path) => {
      const source = await openFileSource(path);
      opened.push(source);
      return source;
    },
    text: readTextIfThere,
    close: async () => {
      for (const source of opened) await source.close();
    },
  };
}

function createServerPlace(): ModelPlace {
  return {
    // Servers have no folders; what is called like a file is one.
    isFolder: async (path) => !/\.(gguf|safetensors|bin)$/.test(path),
    join: (folder, name) => `${folder.replace(/\/+$/, '')}/${name}`,
    open: (path) => openUrlSource(path),
    text: (path) => readUrlText(path),
    close: async () => {},
  };
}

function createHubPlace(): ModelPlace {
  const { HF_ENDPOINT: hubUrl, HF_TOKEN: accessToken } = process.env;
  const options: HubOptions = { ...(hubUrl && { hubUrl }), ...(accessToken && { accessToken }) };
  const fileOf = (path: string): HubAddress & { readonly file: string } => {
    const { file, ...address } = expectInput(parseHubAddress(path));
    if (file === undefined) throw new InputError(`${path}: names no file`);
    return { ...address, file };
  };
  return {
    isFolder: async (path) => {
      const address = expectInput(parseHubAddress(path));
      await assertCommit(address, options);
      return address.file === undefined || !/\.(gguf|safetensors|bin)$/.test(address.file);
    },
    join: (folder, name) => `${folder.replace(/\/+$/, '')}/${name}`,
    open: (path) => {
      const address = fileOf(path);
      return openHubFile(address, address.file, options);
    },
    text: (path) => {
      const address = fileOf(path);
      return readHubText(address, address.file, options);
    },
    close: async () => {},
  };
}
