/**
 * Files of a model repository on Hugging Face's hub, at one commit: `@huggingface/hub` knows its addresses and its answers,
 * ranges are read by `url-source.ts`. A branch may change while its files are fetched, and a job that names it could not be
 * repeated; so it is refused, with the commit that it stands for now.
 */

import { fileDownloadInfo, HubApiError, modelInfo } from '@huggingface/hub';
import type { ByteSource } from '../../core/byte-source.ts';
import { InputError, oneLine, problem, ok, type Result } from '../../core/result.ts';
import { openUrlSource, readUrlText } from './url-source.ts';

export interface HubAddress {
  /** `owner/name`. */
  readonly repository: string;
  /** A commit of 40 hexadecimal digits; `parseHubAddress` lets branches through for `assertCommit` to look up. */
  readonly revision: string;
  /** A file in it, or undefined for the whole. */
  readonly file?: string;
}

export interface HubOptions {
  /** Default https://huggingface.co. */
  readonly hubUrl?: string;
  /** Of its owner, for repositories that not everybody may read. */
  readonly accessToken?: string;
  readonly fetch?: typeof fetch;
}

const prefix = 'hf:';
const form = 'hf:OWNER/NAME@COMMIT or hf:OWNER/NAME@COMMIT/FILE';

export const isHubAddress = (text: string): boolean => text.startsWith(prefix);

/** `hf:OWNER/NAME@REVISION`, and behind a slash a file of it. Without a revision it is the branch `main`. */
export function parseHubAddress(text: string): Result<HubAddress> {
  const [, repository, revision = 'main', file] =
    /^hf:([\w.-]{1,96}\/[\w.-]{1,96})(?:@([\w.-]{1,255}))?(?:\/([\w./-]{1,1024}))?$/.exec(text) ?? [];
  if (repository === undefined || file?.split('/').includes('..')) {
    return problem('model', `${oneLine(text)}: expected ${form}`);
  }
  return ok({ repository, revision, ...(file !== undefined && { file }) });
}

/** Throws an `InputError` where the revision is no commit, with the commit that it stands for now. */
export async function assertCommit({ repository, revision }: HubAddress, options: HubOptions): Promise<void> {
  if (/^[0-9a-f]{40}$/.test(revision)) return;
  const where = `${prefix}${repository}@${revision}`;
  const found = await asked(where, () =>
    modelInfo({ name: repository, revision, additionalFields: ['sha'], ...paramsOf(options) }),
  );
  throw new InputError(
    `${where}: '${revision}' may change; name the commit, which now is ${prefix}${repository}@${oneLine(String(found.sha))}`,
  );
}

/** A file of the repository; throws an `InputError` of one line where it is not to be had. */
export async function openHubFile(address: HubAddress, file: string, options: HubOptions): Promise<ByteSource> {
  const url = await urlOf(address, file, options);
  if (url === undefined)
    throw new InputError(`${nameOf(address, file)}: the repository has no such file at this commit`);
  const source = await openUrlSource(url, sourceOptions(options));
  return { ...source, name: nameOf(address, file) };
}

/** A small file whole, or undefined where the repository has none of this name. */
export async function readHubText(address: HubAddress, file: string, options: HubOptions): Promise<string | undefined> {
  const url = await urlOf(address, file, options);
  return url === undefined ? undefined : readUrlText(url, sourceOptions(options));
}

const nameOf = ({ repository, revision }: HubAddress, file: string): string =>
  `${prefix}${repository}@${revision.slice(0, 7)}/${file}`;

async function urlOf(address: HubAddress, path: string, options: HubOptions): Promise<string | undefined> {
  const { repository, revision } = address;
  const info = await asked(nameOf(address, path), () =>
    fileDownloadInfo({ repo: { type: 'model', name: repository }, path, revision, ...paramsOf(options) }),
  );
  return info?.url;
}

const paramsOf = ({ hubUrl, accessToken, fetch }: HubOptions) => ({
  ...(hubUrl !== undefined && { hubUrl }),
  ...(accessToken !== undefined && { accessToken }),
  ...(fetch !== undefined && { fetch }),
});

const sourceOptions = ({ accessToken, fetch }: HubOptions) => ({
  ...(accessToken !== undefined && { headers: { authorization: `Bearer ${accessToken}` } }),
  ...(fetch !== undefined && { fetch }),
});

/** The hub's refusals in one line. */
async function asked<T>(where: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof HubApiError)) {
      const reason = oneLine(error instanceof Error ? error.message : String(error));
      throw new InputError(`${where}: the hub's answer is not to be had: ${reason}`);
    }
    const { statusCode } = error;
    if (statusCode === 404) throw new InputError(`${where}: the hub has no such repository or revision`);
    if (statusCode === 401 || statusCode === 403) {
      throw new InputError(`${where}: no such repository, or not open to everybody; HF_TOKEN may hold a token for it`);
    }
    throw new InputError(`${where}: the hub answered ${statusCode}: ${oneLine(error.message)}`);
  }
}
