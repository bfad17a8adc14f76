/** The JSON body of a request, within bounds. */

import type { IncomingMessage } from 'node:http';
import { ApiError, badRequest } from './api-error.ts';

/** The longest context in tokens of many characters each, with room for field names. */
export const bodyBytesMax = 4 * 1024 * 1024;

export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > bodyBytesMax) throw tooLarge();
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
    throw badRequest('content-encoding: the body must not be compressed');
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.byteLength;
    if (bytes > bodyBytesMax) throw tooLarge();
    parts.push(part);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw badRequest('the body is not UTF-8', undefined, 'invalid_json');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw badRequest(`the body is not JSON: ${why.slice(0, 200)}`, undefined, 'invalid_json');
  }
}

const tooLarge = (): ApiError =>
  new ApiError(`the body is larger than ${bodyBytesMax} bytes`, {
    status: 413,
    type: 'invalid_request_error',
    code: 'request_too_large',
  });
