/** Where a model's files lie, on this machine or on a web server, to those who read them by name: no difference. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openUrlSource, readUrlText } from '../adapters/source/url-source.ts';
import type { ByteSource } from '../core/byte-source.ts';
import { InputError } from '../core/result.ts';
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

export const placeOf = (path: string): ModelPlace =>
  /^https?:\/\//.test(path) ? createServerPlace() : createDiskPlace();

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
