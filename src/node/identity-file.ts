/**
 * The account key of a hub or a command line: PKCS#8 in PEM under the data folder, readable by its owner only. Whoever
 * has the file has the account.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SigningKey } from '../adapters/crypto/ed25519.ts';
import { createWebEd25519, seedToPkcs8 } from '../adapters/crypto/web-ed25519.ts';
import { fromBase64, toBase64, type Bytes } from '../core/bytes.ts';
import { InputError } from '../core/result.ts';
import { isSystemError, readTextIfThere } from './system-error.ts';

/** Where a command keeps its key, and a hub everything, unless `--data` says otherwise. */
export const defaultDataFolder = (): string => process.env['TABSWARM_DATA'] ?? '.tabswarm';

export const identityPath = (dataFolder: string): string => join(dataFolder, 'account-key.pem');

/** The data folder's account key, made where there is none; an `InputError` where the file holds something else. */
export async function loadAccountKeyFile(dataFolder: string): Promise<SigningKey> {
  const path = identityPath(dataFolder);
  const text = (await readTextIfThere(path)) ?? (await makeKeyFile(dataFolder, path));
  const pkcs8 = parsePem(text);
  try {
    if (pkcs8 !== undefined) return await createWebEd25519(crypto.subtle).fromPkcs8(pkcs8);
  } catch {
    // Falls through: a PEM file of another kind of key.
  }
  throw new InputError(`${path}: not an Ed25519 private key in PKCS#8 PEM; move it away and a new account is made`);
}

/** Writes a new key unless another process was faster; the text of the file. */
async function makeKeyFile(dataFolder: string, path: string): Promise<string> {
  await mkdir(dataFolder, { recursive: true });
  const seed = crypto.getRandomValues(new Uint8Array(32));
  const lines = toBase64(seedToPkcs8(seed)).match(/.{1,64}/g) ?? [];
  const text = `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
    return text;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return readFile(path, 'utf8');
    throw error;
  }
}

function parsePem(text: string): Bytes | undefined {
  const body = /-----BEGIN PRIVATE KEY-----([\s\S]+?)-----END PRIVATE KEY-----/.exec(text)?.[1];
  return body === undefined ? undefined : fromBase64(body.replaceAll(/\s/g, ''));
}
