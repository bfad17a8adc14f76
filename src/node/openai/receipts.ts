/**
 * What the hub says about an answer afterwards: which model, how many tokens, and which volunteers computed which layers. A
 * receipt is a JSON file named by the SHA-256 of its bytes, so that whoever has the id can hold the bytes against it. It holds
 * neither prompt nor answer. Only the newest are kept.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes } from '../../core/bytes.ts';
import type { JobId } from '../../core/ids.ts';
import type { ComputedBy } from '../../protocol/serving-messages.ts';
import { isSystemError } from '../system-error.ts';

export interface AnswerReceipt {
  readonly version: 1;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly job: JobId;
  readonly seed: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly choices: readonly { readonly index: number; readonly finish_reason: string; readonly tokens: number }[];
  readonly computed_by: readonly ComputedBy[];
}

export interface ReceiptShelf {
  /** The receipt's id. */
  keep(receipt: AnswerReceipt): Promise<string>;
  /** The bytes that have this id. */
  read(id: string): Promise<Bytes | undefined>;
}

/** A receipt of one volunteer has some 600 bytes. */
export const receiptsMax = 10_000;

export async function openReceipts(folder: string, kept = receiptsMax): Promise<ReceiptShelf> {
  await mkdir(folder, { recursive: true });
  const ids = await oldestFirst(folder);
  let writes = 0;
  return {
    keep: async (receipt) => {
      const text = JSON.stringify(receipt);
      const id = createHash('sha256').update(text).digest('hex');
      const temporary = join(folder, `${id}.${writes++}.new`);
      await writeFile(temporary, text);
      await rename(temporary, pathOf(folder, id));
      if (!ids.includes(id)) ids.push(id);
      for (const old of ids.splice(0, Math.max(0, ids.length - kept))) await rm(pathOf(folder, old), { force: true });
      return id;
    },
    read: async (id) => {
      if (!/^[0-9a-f]{64}$/.test(id)) return undefined;
      try {
        const bytes = await readFile(pathOf(folder, id));
        return new Uint8Array(bytes);
      } catch (error) {
        if (isSystemError(error, 'ENOENT')) return undefined;
        throw error;
      }
    },
  };
}

const pathOf = (folder: string, id: string): string => join(folder, `${id}.json`);

async function oldestFirst(folder: string): Promise<string[]> {
  const found: { readonly id: string; readonly at: number }[] = [];
  for (const name of await readdir(folder)) {
    const id = /^([0-9a-f]{64})\.json$/.exec(name)?.[1];
    if (id === undefined) await rm(join(folder, name), { force: true });
    else found.push({ id, at: (await stat(join(folder, name))).mtimeMs });
  }
  return found.toSorted((a, b) => a.at - b.at).map(({ id }) => id);
}
