/**
 * Who may use the API. With keys: whoever has one, also from pages of other sites, as a key is sent only by who knows it.
 * Without keys: programs of this machine alone, and no page of another site, which could otherwise use this machine's access
 * (a name that leads to 127.0.0.1, a request that a browser sends without asking).
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { ApiError } from './api-error.ts';
import type { KeyRing } from './api-keys.ts';

/** True for a browser's question what is allowed, which carries no key; throws where the request is refused. */
export async function refuseStranger(
  keys: KeyRing,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  if (!(await keys.hasKeys())) {
    if (!isOfThisMachine(request)) throw refusal(withoutKeys);
    return request.method === 'OPTIONS';
  }
  allowPages(request, response);
  if (request.method === 'OPTIONS') return true;
  const key = /^Bearer\s+(\S+)\s*$/i.exec(request.headers.authorization ?? '')?.[1];
  if (key === undefined)
    throw refusal("You didn't provide an API key; send it in the header Authorization: Bearer YOUR_KEY");
  if (!(await keys.accepts(key))) throw refusal('Incorrect API key provided: this hub does not know it, or revoked it');
  return false;
}

const withoutKeys =
  'This hub has no API keys, so that its API answers programs of its own machine only; make a key there with: tabswarm api-keys --add NAME';

const refusal = (message: string): ApiError =>
  new ApiError(message, { status: 401, type: 'invalid_request_error', code: 'invalid_api_key' });

/** No cookies and nothing else that a browser sends by itself counts here, so that any page may ask who has a key. */
function allowPages(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('access-control-allow-origin', '*');
  response.setHeader('access-control-expose-headers', 'x-request-id, x-tabswarm-receipt, retry-after');
  if (request.method !== 'OPTIONS') return;
  const asked = request.headers['access-control-request-headers'] ?? '';
  // Clients send headers of their own about themselves.
  const names = asked.split(',').map((name) => name.trim().toLowerCase());
  const allowed = names.filter((name) => /^[a-z0-9-]{1,64}$/.test(name)).slice(0, 32);
  response.setHeader('access-control-allow-headers', ['authorization', 'content-type', ...allowed].join(', '));
  response.setHeader('access-control-allow-methods', 'GET, POST, OPTIONS');
  response.setHeader('access-control-max-age', '600');
}

/** What a proxy adds: the caller is then someone else than who connects. */
const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

function isOfThisMachine({ socket, headers }: IncomingMessage): boolean {
  if (!isLoopback(socket.remoteAddress ?? '')) return false;
  if (proxyHeaders.some((name) => headers[name] !== undefined)) return false;
  if (!isOwnName(headers.host)) return false;
  return headers.origin === undefined || headers.origin.replace(/^https?:\/\//, '') === headers.host;
}

const isLoopback = (address: string): boolean => /^(::ffff:)?127\./.test(address) || address === '::1';

/** `localhost`, or an address of it: any other name may belong to a page that lets it lead here. */
function isOwnName(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || (isIP(name) !== 0 && isLoopback(name));
}
