/** Reads a hub's bootstrap document: who the hub is, where its signalling and its socket are. */

import { InputError, expectInput } from '../core/result.ts';
import { parseBootstrap, type Bootstrap, type HubAddress } from '../protocol/hub-address.ts';
import { LinkClosedError } from '../protocol/ports.ts';

export async function fetchBootstrap(address: Extract<HubAddress, { kind: 'url' }>): Promise<Bootstrap> {
  let response: Response;
  try {
    response = await fetch(address.bootstrap, { cache: 'no-store' });
  } catch {
    const mend = address.url.startsWith('https:')
      ? 'is it running, is the address right, and is its certificate trusted here (NODE_EXTRA_CA_CERTS in Node)?'
      : 'is it running, and is the address right?';
    throw new LinkClosedError(`no hub answers at ${address.url}; ${mend}`);
  }
  if (response.status >= 500) throw new LinkClosedError(`the hub at ${address.url} answers with ${response.status}`);
  if (!response.ok)
    throw new InputError(`${address.url} is not a hub: ${address.bootstrap} answers with ${response.status}`);
  let value: unknown;
  try {
    value = await response.json();
  } catch {
    throw new InputError(`${address.url} is not a hub: ${address.bootstrap} is not JSON`);
  }
  return expectInput(parseBootstrap(value, address.bootstrap));
}
