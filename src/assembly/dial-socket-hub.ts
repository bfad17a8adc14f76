/** Reaches a hub over its WebSocket: for submitters in Node, who then need nothing but a socket. */

import { InputError } from '../core/result.ts';
import type { HubAddress } from '../protocol/hub-address.ts';
import type { Link } from '../protocol/ports.ts';
import { fetchBootstrap } from './hub-bootstrap.ts';

export async function dialSocketHub(address: HubAddress, dialSocket: (url: string) => Promise<Link>): Promise<Link> {
  if (address.kind === 'peer') {
    throw new InputError(
      'this hub lives in a tab and has no socket: submit from a page, or use a hub with an http(s) address',
    );
  }
  return dialSocket((await fetchBootstrap(address)).socket);
}
