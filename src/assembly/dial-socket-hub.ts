/** Reaches a hub over its WebSocket: for submitters in Node, who then need nothing but a socket. */

import { InputError } from '../core/result.ts';
import type { HubAddress } from '../protocol/hub-address.ts';
import type { Link } from '../protocol/ports.ts';
import { fetchBootstrap } from './hub-bootstrap.ts';
import type { Dialled } from './reconnect.ts';

export async function dialSocketHub(address: HubAddress, dialSocket: (url: string) => Promise<Link>): Promise<Dialled> {
  if (address.kind === 'peer') {
    throw new InputError(
      'this hub lives in a tab and has no socket: submit from a page, or use a hub with an http(s) address',
    );
  }
  const { socket, peer } = await fetchBootstrap(address);
  return { link: await dialSocket(socket), expect: { peer } };
}
