/** `#/submit`: a job file and the files that it names, submitted from this tab; results arrive as they are accepted. */

import { html, nothing, type TemplateResult } from 'lit';
import type { JobState } from '../protocol/messages.ts';
import { jobProgress } from './host-page.ts';
import { notice, pageFooter, pageHeader, plural } from './page-parts.ts';

export interface SubmitState {
  readonly hub: string;
  readonly files: readonly string[];
  readonly job: JobState | undefined;
  readonly received: number;
  readonly download: string | undefined;
  readonly problem: string | undefined;
  readonly busy: boolean;
}

export interface SubmitActions {
  readonly choose: (files: FileList) => void;
  readonly submit: () => void;
  readonly cancel: () => void;
}

export function submitPage(state: SubmitState, actions: SubmitActions): TemplateResult {
  const isBlocked = state.files.length === 0 || state.busy;
  return html`
    <main class="page">
      ${pageHeader(...connectionOf(state), state.hub)} ${notice('bad', state.problem)}
      <section class="card">
        <div class="head">
          <h2>Submit a shader job</h2>
          <div class="buttons">
            <button type="button" class="primary" ?disabled=${isBlocked} @click=${actions.submit}>Submit</button>
            <button type="button" class=${state.busy ? '' : 'absent'} @click=${actions.cancel}>Cancel</button>
          </div>
        </div>
        <p>Choose the job file (JSON) together with the files that it names: the shader and its data.</p>
        <label class="files">
          <span>Files</span>
          <input type="file" multiple @change=${(event: Event) => chosen(event, actions)} />
        </label>
        <p class="soft small">
          ${state.files.length === 0 ? 'Nothing leaves this computer before you press Submit.' : state.files.join(' · ')}
        </p>
        <dl class="facts">
          <dt>Hub</dt>
          <dd>${state.hub}</dd>
        </dl>
      </section>
      ${state.job === undefined ? nothing : progress(state.job, state)}
      ${pageFooter('#/submit', 'Volunteers see the job’s shader, its inputs and its results: submit nothing private.')}
    </main>
  `;
}

function connectionOf({ busy, job }: SubmitState): ['offline' | 'connecting' | 'connected', string] {
  if (job !== undefined) return ['connected', 'connected'];
  return busy ? ['connecting', 'connecting'] : ['offline', 'not connected'];
}

const progress = (job: JobState, state: SubmitState): TemplateResult => html`
  <section class="card" data-job=${job.job} data-state=${job.state} data-received=${state.received}>
    ${jobProgress(job)}
    <p class="soft small">${plural(state.received, 'result')} received by this tab</p>
    ${
      state.download === undefined
        ? nothing
        : html`<p>
            <a href=${state.download} download="${job.name}.bin" data-download
              >Download all outputs, joined in unit order</a
            >
          </p>`
    }
  </section>
`;

function chosen(event: Event, actions: SubmitActions): void {
  const input = event.target;
  if (input instanceof HTMLInputElement && input.files !== null) actions.choose(input.files);
}
