/**
 * The certificate of `--https`: given files, or one that the hub signs itself, keeps under `--data`, and makes again
 * when it runs out or this machine has got other addresses. Browsers warn about it once; what they need is only that
 * WebGPU sees a secure context.
 */

import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { InputError } from '../core/result.ts';
import { isSystemError, readTextIfThere } from './system-error.ts';

/** Both in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const dayMs = 86_400_000;
/** Browsers refuse certificates that are valid for longer than 398 days. */
const validDays = 397;
/** A hub that is started now should not lose its certificate while it runs. */
const renewDays = 30;

/** The certificate in these files of the user's. */
export async function readCertificate(certPath: string, keyPath: string): Promise<Certificate> {
  const [cert, key] = await Promise.all([readGiven(certPath, '--cert'), readGiven(keyPath, '--key')]);
  return { cert, key };
}

/** The data folder's own certificate for this machine's names and addresses, made where it is missing or unfit. */
export async function ownCertificate(
  dataFolder: string,
  names: readonly string[] = namesOfThisMachine(),
): Promise<Certificate> {
  const certPath = join(dataFolder, 'certificate.pem');
  const keyPath = join(dataFolder, 'certificate-key.pem');
  const [cert, key] = await Promise.all([readTextIfThere(certPath), readTextIfThere(keyPath)]);
  if (cert !== undefined && key !== undefined && isFit(cert, names, Date.now())) return { cert, key };
  const made = await makeCertificate(names);
  await mkdir(dataFolder, { recursive: true });
  await writeFile(keyPath, made.key, { mode: 0o600 });
  await writeFile(certPath, made.cert);
  return made;
}

/** `localhost`, the host's name, and every address under which other machines may reach it. */
export function namesOfThisMachine(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    // A link-local IPv6 address works only with a zone, which no certificate can hold.
    (list ?? []).map(({ address }) => address).filter((address) => !address.toLowerCase().startsWith('fe80:')),
  );
  return [...new Set(['localhost', hostname(), `${hostname()}.local`, '127.0.0.1', '::1', ...addresses])];
}

async function makeCertificate(names: readonly string[]): Promise<Certificate> {
  const now = Date.now();
  const made = await generate([{ name: 'commonName', value: 'tabswarm hub' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // A client whose clock is slow must not find it too young.
    notBeforeDate: new Date(now - dayMs),
    notAfterDate: new Date(now + (validDays - 1) * dayMs),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })),
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}

/** Whether the certificate names all of these and has some time left. */
function isFit(cert: string, names: readonly string[], now: number): boolean {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(cert);
  } catch {
    return false;
  }
  if (Date.parse(parsed.validTo) < now + renewDays * dayMs) return false;
  return names.every((name) => (isIP(name) === 0 ? parsed.checkHost(name) : parsed.checkIP(name)) !== undefined);
}

async function readGiven(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EISDIR', 'EACCES')) {
      throw new InputError(`${option} ${path}: there is no file that can be read`);
    }
    throw error;
  }
}
