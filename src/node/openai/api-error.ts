/** Errors as OpenAI's API says them: a status, and `{error: {message, type, param, code}}` that its clients understand. */

import type { ServerResponse } from 'node:http';

export interface ApiErrorOptions {
  readonly status: number;
  /** What kind of failure: `invalid_request_error` is the caller's. */
  readonly type: string;
  /** For programs, e.g. `model_not_found`. */
  readonly code?: string;
  /** The field of the request that is wrong. */
  readonly param?: string;
  /** Seconds after which to ask again. */
  readonly retrySeconds?: number;
}

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly options: ApiErrorOptions;

  constructor(message: string, options: ApiErrorOptions) {
    super(message);
    this.options = options;
  }

  body(): object {
    const { type, param = null, code = null } = this.options;
    return { error: { message: this.message, type, param, code } };
  }
}

/** The caller's mistake in a field, or in the request as a whole. */
export const badRequest = (message: string, param?: string, code?: string): ApiError =>
  new ApiError(message, {
    status: 400,
    type: 'invalid_request_error',
    ...(param === undefined ? {} : { param }),
    ...(code === undefined ? {} : { code }),
  });

export const serverError = (message: string, status = 500): ApiError =>
  new ApiError(message, { status, type: 'server_error' });

export function sendError(response: ServerResponse, error: ApiError): void {
  const { status, retrySeconds } = error.options;
  // What is left of the body would be read to no end.
  if (status === 413) response.setHeader('connection', 'close');
  if (retrySeconds !== undefined) response.setHeader('retry-after', String(retrySeconds));
  sendJson(response, status, error.body());
}

export function sendJson(response: ServerResponse, status: number, value: object): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}
