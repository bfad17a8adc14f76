/** Which hub this page speaks to: `?hub=`, else the server that the page came from. */

import { expectInput } from '../core/result.ts';
import { parseHubAddress, type HubAddress } from '../protocol/hub-address.ts';
import { shortKey } from './page-parts.ts';

export interface PageHub {
  /** For people: short enough to stand in a line. */
  readonly text: string;
  readonly address: HubAddress;
}

export function hubOfPage(location: Location): PageHub {
  const given = new URLSearchParams(location.search).get('hub');
  const address = expectInput(parseHubAddress(given ?? new URL('.', location.href).href));
  return { text: hubText(address), address };
}

function hubText(address: HubAddress): string {
  if (address.kind === 'url') return address.url.replace(/^https?:\/\//, '');
  const { host, port } = address.signal;
  return `the hub in tab ${shortKey(address.peer)}, found through ${host}:${port}`;
}
