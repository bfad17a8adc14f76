/** Which hub this page speaks to: `?hub=`, else the server that the page came from. */

import { expectInput } from '../core/result.ts';
import { parseHubAddress, type HubAddress } from '../protocol/hub-address.ts';

export interface PageHub {
  readonly text: string;
  readonly address: HubAddress;
}

export function hubOfPage(location: Location): PageHub {
  const given = new URLSearchParams(location.search).get('hub');
  const text = given ?? new URL('.', location.href).href;
  return { text: given ?? new URL(location.href).host, address: expectInput(parseHubAddress(text)) };
}
