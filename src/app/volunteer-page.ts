/**
 * The volunteer's page as a function of its view: what will run and for whom, Start, Pause, Stop, and what this tab's
 * GPU is doing now. It holds no state of its own; `main.ts` renders it whenever the volunteer publishes a new view.
 */

import { html, nothing, type TemplateResult } from 'lit';
import type { CurrentUnit, VolunteerView } from '../assembly/volunteer-view.ts';

export interface VolunteerActions {
  readonly start: () => void;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly stop: () => void;
}

/** A job as the hub announces it to people who have not started yet. */
export interface AnnouncedJob {
  readonly name: string;
  readonly program: string;
  readonly submitter: string;
  readonly state: string;
}

export function volunteerPage(
  view: VolunteerView,
  announced: readonly AnnouncedJob[] | undefined,
  actions: VolunteerActions,
): TemplateResult {
  return html`
    <main class="page">
      ${header(view)}
      ${view.problem === undefined ? nothing : html`<p class="problem" role="alert">${view.problem}</p>`}
      <section class="card lead">
        ${view.phase === 'stopped' || view.phase === 'failed' ? invitation(view, announced) : working(view)}
        ${buttons(view, actions)}
      </section>
      ${view.phase === 'stopped' ? nothing : html`${numbers(view)} ${deviceCard(view)} ${history(view)}`}
      <footer>
        <p>
          Other peers of the hub may see this computer's IP address. Nothing is installed; closing the tab ends it.
          Bytes from strangers are checked by their SHA-256 before use and run inside the browser's GPU sandbox.
        </p>
      </footer>
    </main>
  `;
}

const header = (view: VolunteerView): TemplateResult => html`
  <header>
    <img src="./icon.svg" alt="" width="36" height="36" />
    <h1>tabswarm</h1>
    <span class="hub ${view.hub.state}" title=${view.hub.address}>
      <i></i>${{ offline: 'not connected', connecting: 'connecting', connected: 'connected' }[view.hub.state]}
    </span>
  </header>
`;

const invitation = (view: VolunteerView, announced: readonly AnnouncedJob[] | undefined): TemplateResult => html`
  <h2>Lend this tab's GPU</h2>
  <p>
    After you press Start, this tab computes small pieces of other people's jobs: image tiles, searches, training of
    small models, generated text. Every result is checked against other volunteers'. It uses electricity like a game
    does, and some data to fetch inputs.
  </p>
  <dl class="facts">
    <dt>Hub</dt>
    <dd>${view.hub.address}</dd>
    <dt>Will run now</dt>
    <dd>
      ${announced === undefined ? 'whatever this hub has waiting; shown here while it runs' : announcedJobs(announced)}
    </dd>
    <dt>Stays here</dt>
    <dd>a key that names you to the hub, and a cache of inputs (IndexedDB)</dd>
  </dl>
`;

const announcedJobs = (jobs: readonly AnnouncedJob[]): TemplateResult =>
  jobs.length === 0
    ? html`nothing is waiting; this tab will be ready`
    : html`<ul>
        ${jobs.slice(0, 5).map((job) => html`<li>${job.name} <small>${job.program}, for ${shortKey(job.submitter)}</small></li>`)}
      </ul>`;

const working = (view: VolunteerView): TemplateResult => html`
  <h2>${title(view)}</h2>
  ${view.current === undefined ? html`<p class="soft">${idleText(view)}</p>` : currentUnit(view.current)}
`;

function title(view: VolunteerView): string {
  if (view.phase === 'starting') return 'Starting';
  if (view.phase === 'paused') return 'Paused';
  return view.current === undefined ? 'Ready' : 'Computing';
}

function idleText(view: VolunteerView): string {
  if (view.phase === 'paused') return 'Nothing runs. Units that were held went back to the hub.';
  if (view.phase === 'starting') return 'Opening the GPU and the link to the hub.';
  if (view.excluded) return 'This account’s results disagreed with others’ too often; the hub sends it no more work.';
  if (view.hub.state !== 'connected') return 'The hub cannot be reached just now; this tab keeps trying.';
  return 'Waiting for work.';
}

const currentUnit = (current: CurrentUnit): TemplateResult => html`
  <p class="job">
    <b>${current.jobName}</b>
    <span class="soft">${current.program} · unit ${current.unit} · for ${shortKey(current.submitter)}</span>
  </p>
  <progress max="1" .value=${current.done} aria-label="progress of this unit"></progress>
`;

function buttons(view: VolunteerView, actions: VolunteerActions): TemplateResult {
  switch (view.phase) {
    case 'stopped':
    case 'failed':
      return html`<div class="buttons"><button class="primary" @click=${actions.start}>Start</button></div>`;
    case 'paused':
      return html`<div class="buttons">
        <button class="primary" @click=${actions.resume}>Resume</button><button @click=${actions.stop}>Stop</button>
      </div>`;
    default:
      return html`<div class="buttons">
        <button class="primary" @click=${actions.pause}>Pause</button><button @click=${actions.stop}>Stop</button>
      </div>`;
  }
}

const numbers = (view: VolunteerView): TemplateResult => html`
  <section class="numbers" aria-label="what this tab has done">
    ${number('verified', view.verified, 'units verified')}
    ${number('speed', view.unitsPerMinute.toFixed(1), 'units a minute')} ${number('credit', view.credit, 'credit')}
    ${number('sent', view.sent, 'results sent')} ${number('fetched', bytesText(view.fetchedBytes), 'fetched')}
    ${view.wrong === 0 ? nothing : number('wrong', view.wrong, 'found wrong')}
  </section>
`;

const number = (name: string, value: string | number, label: string): TemplateResult =>
  html`<div class="number ${name}"><b data-number=${name}>${value}</b><span>${label}</span></div>`;

const deviceCard = (view: VolunteerView): TemplateResult => html`
  <section class="card">
    <h3>This tab's GPU</h3>
    ${
      view.device === undefined
        ? html`<p class="soft">opening</p>`
        : html`
            <p class="device" data-device>${view.device.deviceClass}</p>
            ${
              view.device.fallback
                ? html`<p class="warn">
                    This is a software adapter: it works, but slower than the processor could without it.
                  </p>`
                : nothing
            }
            <p class="soft">
              buffers up to ${bytesText(view.device.bufferBytesMax)} ·
              ${view.device.features.join(', ') || 'no optional features'}
            </p>
          `
    }
  </section>
`;

const history = (view: VolunteerView): TemplateResult => html`
  <section class="card">
    <h3>What happened</h3>
    <ol class="log">
      ${view.log.map((line) => html`<li><time>${new Date(line.at).toLocaleTimeString()}</time> ${line.text}</li>`)}
    </ol>
  </section>
`;

const shortKey = (key: string): string => key.slice(0, 8);

export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ''}`;
}
