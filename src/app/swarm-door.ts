/** `#/swarm`: what the hub that served this page is doing, asked for once a second; looking lends nothing. */

import { html, render, type TemplateResult } from 'lit';
import { parseJson, v } from '../core/schema.ts';
import { jobStates } from '../protocol/messages.ts';
import type { HubAddress } from '../protocol/hub-address.ts';
import { hubOfPage } from './hub-of-page.ts';
import { jobsCard, volunteersCard } from './host-page.ts';
import { notice, pageFooter, pageHeader } from './page-parts.ts';

const pollMs = 1_000;

const count = v.number();
/** Only what the page shows; a newer hub may say more. */
const swarmSchema = v.object({
  volunteers: v.array(
    v.object({
      peer: v.string(),
      account: v.string(),
      leases: count,
      device: v.optional(v.object({ deviceClass: v.string() })),
    }),
  ),
  accounts: v.array(v.object({ account: v.string(), agreed: count, excluded: v.boolean() })),
  jobs: v.array(
    v.object({
      job: v.string(),
      name: v.string(),
      program: v.picklist(['shader', 'train', 'generate', 'serve']),
      state: v.picklist(jobStates),
      units: count,
      accepted: count,
      attempts: count,
      disagreements: count,
      reason: v.nullable(v.string()),
    }),
  ),
});
type SwarmState = v.InferOutput<typeof swarmSchema>;

export async function openSwarmDoor(root: HTMLElement): Promise<void> {
  document.title = 'Swarm · tabswarm';
  const { address, text } = hubOfPage(location);
  for (;;) {
    let swarm: SwarmState | string;
    try {
      swarm = await askHub(address);
    } catch (error) {
      swarm = error instanceof Error ? error.message : String(error);
    }
    render(swarmPage(swarm, text), root);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function askHub(address: HubAddress): Promise<SwarmState> {
  if (address.kind === 'peer') throw new Error('This hub lives in a tab; its own page shows what it does.');
  const response = await fetch(`${address.url}/swarm.json`).catch(() => undefined);
  if (response?.ok !== true) throw new Error('The hub does not answer just now; this page keeps asking.');
  const parsed = parseJson(swarmSchema, await response.text(), 'swarm.json');
  if (!parsed.ok) throw new Error(parsed.error.text);
  return parsed.value;
}

function swarmPage(swarm: SwarmState | string, hub: string): TemplateResult {
  const isOpen = typeof swarm !== 'string';
  return html`
    <main class="page">
      ${pageHeader(isOpen ? 'connected' : 'offline', isOpen ? 'open' : 'no answer', hub)}
      ${isOpen ? html`${jobsCard(swarm.jobs)} ${volunteersCard(swarm)}` : notice('warn', swarm)}
      ${pageFooter('', undefined)}
    </main>
  `;
}
