/** One line of the volunteer's page: where the bytes of weights and data came from, and what other volunteers got from here. */

import { html, type TemplateResult } from 'lit';
import type { ChunkCounts } from '../assembly/chunk-exchange.ts';
import { bytesText, plural } from './page-parts.ts';

export const weightsLine = (counts: ChunkCounts): TemplateResult => html`
  <p
    class="soft weights"
    data-hub=${counts.hub}
    data-peers=${counts.peers}
    data-cached=${counts.cached}
    data-passed-on=${counts.passedOn}
    data-wasted=${counts.wasted}
  >
    ${weightsText(counts)}
  </p>
`;

/** Without what is nothing; `nothing yet` before any bytes were needed. */
export function weightsText({ hub, peers, givers, cached, passedOn }: ChunkCounts): string {
  const from = [
    ...(peers > 0 ? [`${bytesText(peers)} from ${plural(givers, 'peer')}`] : []),
    ...(hub > 0 ? [`${bytesText(hub)} from the hub`] : []),
    ...(cached > 0 ? [`${bytesText(cached)} cached`] : []),
  ];
  const passed = passedOn > 0 ? `; ${bytesText(passedOn)} passed on to others` : '';
  return `Weights and data: ${from.length === 0 ? 'nothing yet' : from.join(', ')}${passed}`;
}
