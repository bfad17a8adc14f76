/**
 * The volunteer's page as a function of its view: what will run and for whom, Start, Pause, Stop, and what this tab's
 * GPU is doing now. It holds no state; `volunteer-door.ts` renders it whenever something changed. The buttons are the
 * same elements in every phase and stand above the text that changes, so that they neither move nor lose the focus.
 */

import { html, nothing, svg, type TemplateResult } from 'lit';
import type { CurrentUnit, VolunteerView } from '../assembly/volunteer-view.ts';
import type { DeviceDescription } from '../protocol/messages.ts';
import type { Announced, AnnouncedJob } from './announced.ts';
import { bytesText, countText, notice, pageFooter, pageHeader, plural, programText, shortKey } from './page-parts.ts';
import { softwareText } from './software-text.ts';
import { barCount, barMs, type WorkedJob } from './volunteer-memory.ts';
import { stageCard } from './stage-card.ts';
import { weightsLine } from './weights-line.ts';

export interface VolunteerActions {
  readonly start: () => void;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly stop: () => void;
}

export interface VolunteerPage {
  readonly view: VolunteerView;
  readonly announced: Announced;
  /** Why this browser cannot start at all. */
  readonly obstacle: string | undefined;
  /** The unit to show: the running one, or for a moment the last. */
  readonly current: CurrentUnit | undefined;
  readonly worked: readonly WorkedJob[];
  /** Whether this tab links to other volunteers, and the address of this page where it is the other way round. */
  readonly peers: { readonly allowed: boolean; readonly otherwise: string };
  /** Results sent per interval, the newest last. */
  readonly bars: readonly number[];
}

export function volunteerPage(page: VolunteerPage, actions: VolunteerActions): TemplateResult {
  const { view, obstacle } = page;
  const isOpen = view.phase !== 'stopped' && view.phase !== 'failed';
  return html`
    <main class="page">
      ${pageHeader(view.hub.state, hubText[view.hub.state], view.hub.address)}
      <section class="card">
        <div class="head">
          <h2 aria-live="polite">${isOpen ? title(view) : 'Lend this tab’s GPU'}</h2>
          ${buttons(page, actions)}
        </div>
        ${notice('bad', obstacle ?? view.problem)} ${notice('bad', view.excluded ? excludedText(view) : undefined)}
        ${isOpen ? stage(page) : invitation(page)}
      </section>
      ${isOpen || view.device !== undefined ? session(page) : nothing} ${pageFooter('', aboutText)}
    </main>
  `;
}

const hubText = { offline: 'not connected', connecting: 'connecting', connected: 'connected' } as const;

const aboutText =
  'Nothing is installed; closing the tab ends it. Other computers on this hub may see this one’s IP address. Whatever ' +
  'comes from strangers is checked against its SHA-256 before use and runs inside the browser’s sandbox.';

const excludedText = (view: VolunteerView): string =>
  `The hub gives this account no more work: ${plural(view.wrong, 'result')} disagreed with other volunteers’. ` +
  'Often the GPU or its driver is at fault; update the driver, or try another browser.';

/** One primary button with changing words, and Stop, which is there only while there is something to stop. */
function buttons({ view, obstacle }: VolunteerPage, actions: VolunteerActions): TemplateResult {
  const isBlocked = view.phase === 'starting' || obstacle !== undefined;
  const primary = {
    stopped: { text: 'Start', act: actions.start },
    failed: { text: 'Start', act: actions.start },
    starting: { text: 'Starting…', act: actions.start },
    running: { text: 'Pause', act: actions.pause },
    paused: { text: 'Resume', act: actions.resume },
  }[view.phase];
  const act = isBlocked ? (): void => {} : primary.act;
  const canStop = view.phase === 'running' || view.phase === 'paused';
  // `disabled` would take the focus away while the GPU opens.
  return html`<div class="buttons">
    <button type="button" class="primary" aria-disabled=${isBlocked} @click=${act}>${primary.text}</button>
    <button type="button" class=${canStop ? '' : 'absent'} @click=${actions.stop}>Stop</button>
  </div>`;
}

const invitation = ({ view, announced, peers }: VolunteerPage): TemplateResult => html`
  <p>
    After you press Start, this tab computes small pieces of other people’s jobs, and other volunteers’ results check
    each of them. It uses electricity as a game does, and some data to fetch inputs.
  </p>
  <dl class="facts">
    <dt>Will run now</dt>
    <dd data-announced=${announced.state}>${announcedText(announced)}</dd>
    <dt>Hub</dt>
    <dd>${view.hub.address}</dd>
    <dt>Sees your IP address</dt>
    <dd data-peers=${peers.allowed ? 'on' : 'off'}>
      ${
        peers.allowed
          ? html`the hub, and other volunteers where weights go from tab to tab;
              <a href=${peers.otherwise}>let only the hub see it</a>`
          : html`the hub alone: all weights come from there; <a href=${peers.otherwise}>share with other volunteers</a>`
      }
    </dd>
    <dt>Stays here</dt>
    <dd>a key that names you to the hub, and fetched inputs (in this browser’s IndexedDB)</dd>
  </dl>
`;

function announcedText(announced: Announced): TemplateResult {
  switch (announced.state) {
    case 'asking':
      return html`<span class="soft">asking the hub…</span>`;
    case 'unreachable':
      return html`unknown: the hub does not answer. Is it running, and is its address right?`;
    case 'untold':
      return html`what this hub has waiting; it is named here while it runs`;
    case 'told':
      return announced.jobs.length === 0
        ? html`nothing is waiting; this tab will be ready`
        : announcedJobs(announced.jobs);
  }
}

const announcedMax = 5;

const announcedJobs = (jobs: readonly AnnouncedJob[]): TemplateResult => html`
  <ul class="plain">
    ${jobs.slice(0, announcedMax).map(({ name, program, submitter }) => html`<li>${jobLine(name, program, submitter)}</li>`)}
    ${jobs.length > announcedMax ? html`<li class="soft">and ${plural(jobs.length - announcedMax, 'more job', 'more jobs')}</li>` : nothing}
  </ul>
`;

const jobLine = (name: string, program: string, submitter: string | null): TemplateResult =>
  html`<b class="name">${name}</b> <span class="soft">${whatFor(program, submitter)}</span>`;

/** A job's kind and whom it is for. */
const whatFor = (program: string, submitter: string | null): TemplateResult =>
  html`${programName(program)}${submitter === null ? nothing : html` for <span title="account ${submitter}">${shortKey(submitter)}</span>`}`;

const programName = (program: string): string =>
  program === 'shader' || program === 'train' || program === 'generate' || program === 'serve'
    ? programText[program]
    : program;

function title(view: VolunteerView): string {
  if (view.phase === 'starting') return 'Starting';
  if (view.phase === 'paused') return 'Paused';
  if (view.excluded) return 'Excluded';
  return view.hub.state === 'connected' ? 'Running' : 'Connecting';
}

/** Always a line, a softer line and a bar, so that nothing below moves as units come and go. */
function stage({ view, current }: VolunteerPage): TemplateResult {
  const idle = idleText(view);
  return html`<div class="stage" data-state=${current === undefined ? 'idle' : 'computing'}>
    <p class="job" title=${current?.jobName ?? nothing}>${current?.jobName ?? idle.what}</p>
    <p class="soft">
      ${current === undefined ? idle.why : html`${whatFor(current.program, current.submitter)} · ${unitText(current)}`}
    </p>
    <progress max="1" .value=${current?.done ?? 0} aria-label="progress of this unit"></progress>
  </div>`;
}

/** A place in a served model is held for as long as the tab is open; other units end. */
const unitText = ({ program, unit }: CurrentUnit): string =>
  program === 'serve' ? 'answers requests' : `unit ${unit}`;

function idleText(view: VolunteerView): { readonly what: string; readonly why: string } {
  if (view.phase === 'paused') return { what: 'Nothing runs', why: 'What this tab held went back to the hub at once.' };
  if (view.phase === 'starting') return { what: 'Getting ready', why: 'Opening the GPU and this browser’s storage.' };
  if (view.excluded) return { what: 'No work', why: 'The hub sends this account nothing more.' };
  if (view.hub.state !== 'connected') {
    return { what: 'Reaching the hub', why: `This tab keeps trying until ${view.hub.address} answers.` };
  }
  return { what: 'Waiting for work', why: 'The hub has nothing for this tab just now.' };
}

const session = (page: VolunteerPage): TemplateResult => html`
  ${stageCard(page.view.stage, page.view.device)} ${numbers(page.view)} ${weightsLine(page.view.weights)}
  ${activity(page.bars)} ${deviceCard(page.view.device)} ${workedJobs(page.worked)} ${history(page.view)}
`;

const numbers = (view: VolunteerView): TemplateResult => html`
  <section class="numbers" aria-label="what this account and this tab have done">
    ${number('verified', countText(view.verified), 'units verified', wrongText(view))}
    ${number('credit', countText(view.credit), 'credit', 'earned in all')}
    ${number('speed', countText(view.unitsPerMinute), 'units a minute', sentText(view))}
    ${number('fetched', bytesText(view.fetchedBytes), 'fetched', 'since Start')}
  </section>
`;

const number = (name: string, value: string, label: string, more: unknown): TemplateResult =>
  html`<div class="number"><b data-number=${name}>${value}</b><span>${label}</span><small>${more}</small></div>`;

const wrongText = (view: VolunteerView): unknown =>
  view.wrong === 0
    ? 'by others, in all'
    : html`<span class="bad"><span data-number="wrong">${view.wrong}</span> found wrong</span>`;

const sentText = (view: VolunteerView): TemplateResult =>
  html`<span data-number="sent">${view.sent}</span> sent since Start`;

/** One bar for each ten seconds; the highest fills the height. */
function activity(bars: readonly number[]): TemplateResult {
  const highest = Math.max(1, ...bars);
  const all = bars.reduce((sum, count) => sum + count, 0);
  const minutes = (barCount * barMs) / 60_000;
  return html`<section class="card">
    <h3>Last ${minutes} minutes <span class="more">${plural(all, 'result')} sent</span></h3>
    <svg
      class="bars"
      viewBox="0 0 ${barCount * 4} 24"
      preserveAspectRatio="none"
      role="img"
      aria-label="${plural(all, 'result')} sent in the last ${minutes} minutes"
    >
      ${bars.map((count, index) => {
        const height = count === 0 ? 0.75 : Math.max(1.5, (count / highest) * 24);
        return svg`<rect class=${count === 0 ? 'none' : ''} x=${index * 4 + 0.5} y=${24 - height} width="3" height=${height} />`;
      })}
    </svg>
  </section>`;
}

const deviceCard = (device: DeviceDescription | undefined): TemplateResult => html`
  <section class="card">
    <h3>This tab’s GPU</h3>
    ${
      device === undefined
        ? html`<p class="soft">opening…</p>`
        : html`
            <p>
              <span class="device" data-device>${device.deviceClass}</span>
              <span class="soft small">${deviceText(device)}</span>
            </p>
            ${device.fallback ? notice('warn', softwareText) : nothing}
            <p class="small"><a target="_blank" rel="noopener" href="#/device">Test and measure it</a></p>
          `
    }
  </section>
`;

const deviceText = (device: DeviceDescription): string =>
  [
    `buffers up to ${bytesText(device.bufferBytesMax)}`,
    ...device.features.filter((feature) => feature !== 'core-features-and-limits'),
  ].join(' · ');

const workedJobs = (worked: readonly WorkedJob[]): TemplateResult | typeof nothing =>
  worked.length === 0
    ? nothing
    : html`<section class="card">
        <h3>Worked on since Start</h3>
        <ul class="plain rows">
          ${worked.map(
            ({ job, name, program, submitter, units }) =>
              html`<li data-worked=${job}>
                <span>${jobLine(name, program, submitter)}</span><span class="count">${plural(units, 'unit')}</span>
              </li>`,
          )}
        </ul>
      </section>`;

const history = (view: VolunteerView): TemplateResult => html`
  <section class="card">
    <h3>What happened</h3>
    ${view.log.length === 0 ? html`<p class="soft">nothing yet</p>` : nothing}
    <ol class="log" role="log" aria-label="what happened, the newest first" tabindex="0">
      ${view.log.map((line) => html`<li><time>${new Date(line.at).toLocaleTimeString()}</time><span>${line.text}</span></li>`)}
    </ol>
  </section>
`;
