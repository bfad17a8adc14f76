/** `#/host`: this tab is the hub while it is open. Shows the invitation, who helps, and the jobs. */

import { html, nothing, type TemplateResult } from 'lit';
import type { AccountView, HubView } from '../swarm/hub.ts';
import type { JobState } from '../protocol/messages.ts';
import { countText, notice, pageFooter, pageHeader, plural, programText, shortKey } from './page-parts.ts';

export interface HostState {
  readonly invite:
    | {
        readonly volunteer: string;
        readonly submit: string;
        readonly address: string;
        /** The links name this computer as `localhost`, which means another one elsewhere. */
        readonly onlyHere: boolean;
      }
    | undefined;
  readonly hub: HubView | undefined;
  readonly problem: string | undefined;
}

export function hostPage(state: HostState): TemplateResult {
  const isOpen = state.hub !== undefined;
  const isFailed = !isOpen && state.problem !== undefined;
  const text = isOpen ? 'open' : isFailed ? 'not open' : 'opening';
  return html`
    <main class="page">
      ${pageHeader(isOpen ? 'connected' : isFailed ? 'offline' : 'connecting', text, 'the hub in this tab')}
      ${notice('bad', state.problem)}
      <section class="card">
        <h2>This tab ${isOpen ? 'is' : isFailed ? 'is not' : 'becomes'} a hub</h2>
        <p class="soft">
          A hub in a tab hands out work and keeps results in this browser, only while it is open. Close it and open it
          again, and it goes on where it was.
        </p>
        ${state.invite === undefined ? nothing : invitation(state.invite)}
      </section>
      ${state.hub === undefined ? nothing : html`${volunteersCard(state.hub)} ${jobsCard(state.hub.jobs)}`}
      ${pageFooter('#/host', undefined)}
    </main>
  `;
}

const invitation = (invite: NonNullable<HostState['invite']>): TemplateResult => html`
  <dl class="facts">
    <dt>Volunteers open</dt>
    <dd>
      <a class="link" data-invite="volunteer" target="_blank" rel="noopener" href=${invite.volunteer}
        >${invite.volunteer}</a
      >
    </dd>
    <dt>Submitters open</dt>
    <dd>
      <a class="link" data-invite="submit" target="_blank" rel="noopener" href=${invite.submit}>${invite.submit}</a>
    </dd>
    <dt>Hub address</dt>
    <dd class="link" data-invite="address">${invite.address}</dd>
  </dl>
  ${
    invite.onlyHere
      ? html`<p class="soft small">
          These links work on this computer only, as they name it “localhost”. For others, open this page at an address
          that they can reach.
        </p>`
      : nothing
  }
`;

/** What the cards show of a hub; `#/swarm` gets it over HTTP. */
export interface ShownHub {
  readonly volunteers: readonly {
    readonly peer: string;
    readonly account: string;
    readonly leases: number;
    readonly device?: { readonly deviceClass: string } | undefined;
  }[];
  readonly accounts: readonly ShownAccount[];
}
type ShownAccount = Pick<AccountView, 'agreed' | 'excluded'> & { readonly account: string };
type ShownJob = Pick<
  JobState,
  'name' | 'program' | 'state' | 'units' | 'accepted' | 'attempts' | 'disagreements' | 'reason'
> & {
  readonly job: string;
};

export function volunteersCard(hub: ShownHub): TemplateResult {
  const accounts = new Map(hub.accounts.map((account) => [account.account, account]));
  return html`<section class="card">
    <h3>Volunteers <span class="more">${countText(hub.volunteers.length)}</span></h3>
    ${hub.volunteers.length === 0 ? html`<p class="soft">None yet: send somebody the first link.</p>` : nothing}
    <ul class="plain rows">
      ${hub.volunteers.map(
        (one) =>
          html`<li data-volunteer=${one.peer}>
            <span>
              <b title="account ${one.account}">${shortKey(one.account)}</b>
              <span class="soft">${one.device?.deviceClass ?? 'opening its GPU'}</span>
            </span>
            <span class="count">${standing(one.leases, accounts.get(one.account))}</span>
          </li>`,
      )}
    </ul>
  </section>`;
}

const standing = (leases: number, account: ShownAccount | undefined): TemplateResult =>
  html`${plural(leases, 'unit')} held · ${countText(account?.agreed ?? 0)} verified
  ${account?.excluded === true ? html` · <span class="bad">excluded</span>` : nothing}`;

export const jobsCard = (list: readonly ShownJob[]): TemplateResult => html`
  <section class="card">
    <h3>Jobs <span class="more">${countText(list.length)}</span></h3>
    ${list.length === 0 ? html`<p class="soft">None yet: open the second link and submit one.</p>` : nothing}
    <ul class="plain">
      ${list.toReversed().map((job) => html`<li data-job=${job.job} data-state=${job.state}>${jobProgress(job)}</li>`)}
    </ul>
  </section>
`;

/** A job's name, state, bar and counts. */
export const jobProgress = (job: ShownJob): TemplateResult => html`
  <p class="job-head">
    <b class="name">${job.name}</b> <span class="soft">${programText[job.program]}</span>
    <span class="state ${job.state}">${job.state}</span>
  </p>
  ${job.reason === null ? nothing : html`<p class="bad small">${job.reason}</p>`}
  <progress max=${Math.max(1, job.units)} .value=${job.accepted} aria-label="accepted units"></progress>
  <p class="soft small">
    ${countText(job.accepted)} of ${plural(job.units, 'unit')} accepted · ${plural(job.attempts, 'attempt')} ·
    ${plural(job.disagreements, 'disagreement')}
  </p>
`;
