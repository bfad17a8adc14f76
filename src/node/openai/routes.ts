/**
 * OpenAI's API as routes of the hub: who is let in, which path it is, and every failure in that API's shape. Requests are
 * `requests.ts`, answers `reply.ts`. Without keys only programs of this machine are let in: pages of other sites could
 * otherwise ask through the browser of whoever runs a hub.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { AskRefusedError, type Answering, type ServedModel } from '../../assembly/answering.ts';
import type { Bytes } from '../../core/bytes.ts';
import { InputError } from '../../core/result.ts';
import type { Artifact } from '../../protocol/artifact.ts';
import { LinkClosedError } from '../../protocol/ports.ts';
import { refuseStranger } from './admission.ts';
import { ApiError, badRequest, sendError, sendJson, serverError } from './api-error.ts';
import type { KeyRing } from './api-keys.ts';
import { readJsonBody } from './read-body.ts';
import type { ReceiptShelf } from './receipts.ts';
import { BrokenStreamError, newRequestId, replyToChat, replyToCompletion, type Asking } from './reply.ts';
import { parseChat, parseCompletion } from './requests.ts';
import { createServedModels, type ServedModels } from './served-models.ts';

export interface OpenAiParts {
  readonly answering: Answering;
  /** Fetches what models bring with them. */
  readonly read: (artifact: Artifact) => Promise<Bytes>;
  readonly keys: KeyRing;
  readonly receipts: ReceiptShelf;
  readonly unixSeconds: () => number;
  readonly report: (line: string) => void;
  /** How long a request waits for its first token, in milliseconds; two minutes when left out. */
  readonly firstTokenMsMax?: number;
  /** Requests that may be under way at once. */
  readonly requestsMax?: number;
}

/** Above what a hub lets wait for all of its models together. */
const requestsMaxDefault = 256;
/** A model whose stages wait for volunteers answers late; clients commonly wait for ten minutes. */
const firstTokenMsMaxDefault = 120_000;

/** Everything at and below `/v1`. */
export function createOpenAiHandler(parts: OpenAiParts): RequestListener {
  const models = createServedModels(parts.answering, parts.read, parts.unixSeconds);
  const open = { requests: 0 };
  return (request, response) => {
    response.setHeader('x-request-id', newRequestId());
    handle({ parts, models, open }, request, response).catch((error: unknown) => {
      answerFailure(response, error, parts.report);
    });
  };
}

interface Api {
  readonly parts: OpenAiParts;
  readonly models: ServedModels;
  readonly open: { requests: number };
}

async function handle(api: Api, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { parts, models } = api;
  const isPreflight = await refuseStranger(parts.keys, request, response);
  if (isPreflight) return void response.writeHead(204).end();
  const path = pathOf(request);
  if (path === '/v1/models') {
    requireMethod(request, response, 'GET');
    const data = (await models.list()).map((model) => modelObject(models, model));
    return sendJson(response, 200, { object: 'list', data });
  }
  const name = /^\/v1\/models\/(.+)$/.exec(path)?.[1];
  if (name !== undefined) {
    requireMethod(request, response, 'GET');
    return sendJson(response, 200, modelObject(models, await models.find(name)));
  }
  const receipt = /^\/v1\/receipts\/([^/]+)$/.exec(path)?.[1];
  if (receipt !== undefined) {
    requireMethod(request, response, 'GET');
    return sendReceipt(parts, response, receipt);
  }
  if (path === '/v1/completions') {
    return answering(api, request, response, async (asking, body) => {
      const asked = parseCompletion(body);
      return replyToCompletion(await asking(asked.model), asked);
    });
  }
  if (path === '/v1/chat/completions') {
    return answering(api, request, response, async (asking, body) => {
      const asked = parseChat(body);
      return replyToChat(await asking(asked.model), asked);
    });
  }
  throw new ApiError(`There is no ${path.slice(0, 200)} here`, {
    status: 404,
    type: 'invalid_request_error',
    code: 'unknown_url',
  });
}

type Answer = (asking: (model: string) => Promise<Asking>, body: unknown) => Promise<void>;

/** A request that computes: counted, cancelled as soon as its client is gone, and given up where nobody answers. */
async function answering(
  { parts, models, open }: Api,
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
): Promise<void> {
  requireMethod(request, response, 'POST');
  const body = await readJsonBody(request);
  const { requestsMax = requestsMaxDefault, firstTokenMsMax = firstTokenMsMaxDefault } = parts;
  if (open.requests >= requestsMax) throw busy(`${open.requests} requests are under way here, no more are taken`, 1);
  open.requests += 1;
  const left = new AbortController();
  const leave = (): void => left.abort(new ClientLeftError());
  response.once('close', leave);
  const giveUp = setTimeout(() => left.abort(nobodyAnswers(firstTokenMsMax)), firstTokenMsMax);
  try {
    if (response.destroyed) throw new ClientLeftError();
    const heard = (): void => clearTimeout(giveUp);
    await answer(async (name) => {
      return { parts, model: await models.open(name), response, heard, signal: left.signal };
    }, body);
  } finally {
    clearTimeout(giveUp);
    response.off('close', leave);
    open.requests -= 1;
  }
}

class ClientLeftError extends Error {
  override readonly name = 'ClientLeftError';
}

const nobodyAnswers = (ms: number): ApiError =>
  new ApiError(`No volunteer has answered within ${ms / 1000} s: the model waits for tabs that hold its layers`, {
    status: 503,
    type: 'server_error',
    code: 'model_not_ready',
    retrySeconds: 10,
  });

const busy = (message: string, retrySeconds: number): ApiError =>
  new ApiError(message, { status: 429, type: 'requests', code: 'rate_limit_exceeded', retrySeconds });

const modelObject = (models: ServedModels, { name, job, plan, isUp }: ServedModel): object => ({
  id: name,
  object: 'model',
  created: models.since(job),
  owned_by: 'tabswarm',
  tabswarm: {
    job,
    is_up: isUp,
    context: plan.context,
    architecture: plan.model.architecture,
    layers: plan.model.layers,
    stages: plan.stages,
    spares: plan.spares,
    pipelines: plan.pipelines,
  },
});

/** The very bytes that the id is the digest of. */
async function sendReceipt({ receipts }: OpenAiParts, response: ServerResponse, id: string): Promise<void> {
  const bytes = await receipts.read(id);
  if (bytes === undefined)
    throw new ApiError(`There is no receipt ${id.slice(0, 64)} here; only the newest are kept`, {
      status: 404,
      type: 'invalid_request_error',
      code: 'receipt_not_found',
    });
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.byteLength,
    'cache-control': 'private, max-age=31536000, immutable',
  });
  response.end(bytes);
}

function requireMethod(request: IncomingMessage, response: ServerResponse, method: 'GET' | 'POST'): void {
  if (request.method === method || (method === 'GET' && request.method === 'HEAD')) return;
  response.setHeader('allow', method);
  throw new ApiError(`${request.method ?? ''} is not possible here, only ${method}`, {
    status: 405,
    type: 'invalid_request_error',
    code: 'method_not_allowed',
  });
}

/** Names of models have slashes, which clients write as `%2F` or not. */
function pathOf(request: IncomingMessage): string {
  try {
    return decodeURIComponent(new URL(request.url ?? '', 'http://localhost').pathname);
  } catch {
    throw badRequest('the address is malformed');
  }
}

function answerFailure(response: ServerResponse, error: unknown, report: (line: string) => void): void {
  const cause = error instanceof BrokenStreamError ? error.cause : error;
  if (cause instanceof ClientLeftError || response.destroyed) return void response.destroy();
  const told = asApiError(cause, report);
  if (error instanceof BrokenStreamError) {
    void error.stream.send(told.body()).then(() => response.end());
  } else if (response.headersSent) {
    response.destroy();
  } else {
    sendError(response, told);
  }
}

function asApiError(error: unknown, report: (line: string) => void): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof InputError) return badRequest(error.message);
  if (error instanceof LinkClosedError) return serverError(error.message, 503);
  if (error instanceof AskRefusedError) {
    switch (error.kind) {
      case 'unknown-model':
        return new ApiError(error.message, {
          status: 404,
          type: 'invalid_request_error',
          param: 'model',
          code: 'model_not_found',
        });
      case 'busy':
        return busy(error.message, error.retrySeconds ?? 1);
      case 'invalid':
        return badRequest(error.message);
      case 'failed':
        return serverError(error.message, 503);
    }
  }
  report(`api: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return serverError('The hub failed to answer; its own log says why');
}
