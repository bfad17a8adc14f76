/** `#/host`: this tab is the hub while it is open. Shows the invitation, who helps, and the jobs. */

import { html, nothing, type TemplateResult } from 'lit';
import type { AccountView, HubView } from '../swarm/hub.ts';
import type { JobState } from '../protocol/messages.ts';

export interface HostState {
  readonly invite: { readonly volunteer: string; readonly submit: string; readonly address: string } | undefined;
  readonly hub: HubView | undefined;
  readonly problem: string | undefined;
}

export const hostPage = (state: HostState): TemplateResult => html`
  <main class="page">
    <header>
      <img src="./icon.svg" alt="" width="36" height="36" />
      <h1>tabswarm hub</h1>
      <span class="hub ${state.hub === undefined ? 'connecting' : 'connected'}"
        ><i></i>${state.hub === undefined ? 'opening' : 'open'}</span
      >
    </header>
    ${state.problem === undefined ? nothing : html`<p class="problem" role="alert">${state.problem}</p>`}
    <section class="card">
      <h2>This tab hosts</h2>
      <p class="soft">
        It hands out work and keeps results in this browser while it stays open. Closed and opened again, it goes on
        where it was.
      </p>
      ${state.invite === undefined ? nothing : invitation(state.invite)}
    </section>
    ${state.hub === undefined ? nothing : html`${volunteers(state.hub)} ${jobs(state.hub.jobs)}`}
  </main>
`;

const invitation = (invite: NonNullable<HostState['invite']>): TemplateResult => html`
  <dl class="facts">
    <dt>Volunteers open</dt>
    <dd><a class="link" data-invite="volunteer" href=${invite.volunteer}>${invite.volunteer}</a></dd>
    <dt>Submitters open</dt>
    <dd><a class="link" data-invite="submit" href=${invite.submit}>${invite.submit}</a></dd>
    <dt>Hub address</dt>
    <dd class="link" data-invite="address">${invite.address}</dd>
  </dl>
`;

const standing = (account: AccountView | undefined): TemplateResult =>
  account === undefined
    ? html`· new`
    : html`· ${account.agreed} verified ${account.excluded ? html`<span class="warn">excluded</span>` : nothing}`;

function volunteers(hub: HubView): TemplateResult {
  const accounts = new Map(hub.accounts.map((account) => [account.account, account]));
  return html`<section class="card">
    <h3>Volunteers</h3>
    ${hub.volunteers.length === 0 ? html`<p class="soft">none yet: send somebody the first link</p>` : nothing}
    <ul class="plain">
      ${hub.volunteers.map(
        (one) =>
          html`<li data-volunteer=${one.peer}>
            <b>${one.account.slice(0, 8)}</b> ${one.device?.deviceClass ?? one.role} · ${one.leases} held
            ${standing(accounts.get(one.account))}
          </li>`,
      )}
    </ul>
  </section>`;
}

export const jobs = (list: readonly JobState[]): TemplateResult => html`
  <section class="card">
    <h3>Jobs</h3>
    ${list.length === 0 ? html`<p class="soft">none yet</p>` : nothing}
    <ul class="plain">
      ${list.map(
        (job) =>
          html`<li data-job=${job.job} data-state=${job.state}>
            <b>${job.name}</b>
            <span class="soft">${job.program} · ${job.state}${job.reason === null ? '' : `: ${job.reason}`}</span>
            <progress max=${job.units} .value=${job.accepted} aria-label="accepted units"></progress>
            <small class="soft"
              >${job.accepted} of ${job.units} units · ${job.attempts} attempts · ${job.disagreements}
              disagreements</small
            >
          </li>`,
      )}
    </ul>
  </section>
`;
