/**
 * Keys of the hub's API. A key is shown once, when it is made; the data folder keeps its SHA-256, which is enough for keys of
 * 256 random bits. A running hub notices what `tabswarm api-keys` adds and revokes. Keys of an operator's own file are hashed
 * when the hub starts.
 */

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectInput, InputError } from '../../core/result.ts';
import { digest, parseJson, v, whole } from '../../core/schema.ts';
import { readTextIfThere } from '../system-error.ts';

const keySchema = v.strictObject({
  /** Names the key to people; its first hash digits. */
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{8}$/)),
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  hash: digest,
  /** Seconds since 1970. */
  created: whole(0, Number.MAX_SAFE_INTEGER),
});
const fileSchema = v.strictObject({ version: v.literal(1), keys: v.array(keySchema) });
export type ApiKey = v.InferOutput<typeof keySchema>;

export const apiKeysPath = (dataFolder: string): string => join(dataFolder, 'api-keys.json');

const keyPrefix = 'ts-';
/** A shorter key of an operator's own could be guessed. */
const ownKeyCharactersMin = 20;

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex') as ApiKey['hash'];

/** The keys of a data folder, oldest first. */
export async function listApiKeys(dataFolder: string): Promise<readonly ApiKey[]> {
  const path = apiKeysPath(dataFolder);
  const text = await readTextIfThere(path);
  return text === undefined ? [] : expectInput(parseJson(fileSchema, text, path)).keys;
}

/** Makes a key; nobody can show it again. */
export async function addApiKey(
  dataFolder: string,
  name: string,
): Promise<{ readonly key: string; readonly kept: ApiKey }> {
  if (name.trim() === '' || name.length > 100) throw new InputError('--add: give a name of up to 100 characters');
  const key = `${keyPrefix}${randomBytes(32).toString('base64url')}`;
  const hash = hashOf(key);
  const kept = { id: hash.slice(0, 8), name, hash, created: Math.floor(Date.now() / 1000) };
  await writeKeys(dataFolder, [...(await listApiKeys(dataFolder)), kept]);
  return { key, kept };
}

export async function revokeApiKey(dataFolder: string, id: string): Promise<ApiKey> {
  const keys = await listApiKeys(dataFolder);
  const revoked = keys.find((key) => key.id === id);
  if (revoked === undefined)
    throw new InputError(`--revoke ${id}: there is no such key; list them with tabswarm api-keys`);
  await writeKeys(
    dataFolder,
    keys.filter((key) => key !== revoked),
  );
  return revoked;
}

async function writeKeys(dataFolder: string, keys: readonly ApiKey[]): Promise<void> {
  await mkdir(dataFolder, { recursive: true });
  const path = apiKeysPath(dataFolder);
  await writeFile(`${path}.new`, `${JSON.stringify({ version: 1, keys }, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** The hashes of the keys in a file of the operator's, one to a line; `#` begins a comment. */
export async function readOwnKeys(path: string): Promise<ReadonlySet<string>> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw new InputError(`--api-key-file ${path}: cannot be read; give a file with one key on each line`);
  });
  const keys = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const short = keys.findIndex((key) => key.length < ownKeyCharactersMin || /\s/.test(key));
  if (short >= 0)
    throw new InputError(
      `--api-key-file ${path}: key ${short + 1} is shorter than ${ownKeyCharactersMin} characters or has spaces; make one with tabswarm api-keys --add NAME`,
    );
  if (keys.length === 0) throw new InputError(`--api-key-file ${path}: no keys in it; give one on each line`);
  return new Set(keys.map(hashOf));
}

export interface KeyRing {
  /** False where nobody made a key: then only programs of this machine are let in. */
  hasKeys(): Promise<boolean>;
  accepts(key: string): Promise<boolean>;
}

/** The keys that count now: those of the operator's file and those of the data folder as it stands. */
export function createKeyRing(dataFolder: string, own: ReadonlySet<string> = new Set()): KeyRing {
  let read: { readonly stamp: string; readonly hashes: ReadonlySet<string> } | undefined;
  const made = async (): Promise<ReadonlySet<string>> => {
    const found = await stat(apiKeysPath(dataFolder)).catch(() => undefined);
    const stamp = found === undefined ? 'none' : `${found.mtimeMs} ${found.ino} ${found.size}`;
    if (read?.stamp !== stamp) {
      const hashes = new Set<string>((await listApiKeys(dataFolder)).map(({ hash }) => hash));
      read = { stamp, hashes };
    }
    return read.hashes;
  };
  return {
    hasKeys: async () => own.size > 0 || (await made()).size > 0,
    // Hashes are compared, whose beginnings tell nothing about a key.
    accepts: async (key) => own.has(hashOf(key)) || (await made()).has(hashOf(key)),
  };
}
