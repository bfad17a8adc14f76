/** Reads a hub's bootstrap document: who the hub is, where its signalling and its socket are. */

import { InputError, expectInput } from '../core/result.ts';
import { parseBootstrap, type Bootstrap, type HubAddress } from '../protocol/hub-address.ts';
import { LinkClosedError } from '../protocol/ports.ts';

export async function fetchBootstrap(address: Extract<HubAddress, { kind: 'url' }>): Promise<Bootstrap> {
  let response: Response;
  try {
    response = await fetch(address.bootstrap, { cache: 'no-store' });
  } catch {
    throw new LinkClosedError(`no hub answers at ${address.url}; is it running, and is the address right?`);
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
