/** `#/submit`: a job file and the files that it names, submitted from this tab; results arrive as they are accepted. */

import { html, nothing, type TemplateResult } from 'lit';
import type { JobState } from '../protocol/messages.ts';

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

export const submitPage = (state: SubmitState, actions: SubmitActions): TemplateResult => html`
  <main class="page">
    <header>
      <img src="./icon.svg" alt="" width="36" height="36" />
      <h1>tabswarm</h1>
      <span class="hub"><i></i>${state.hub}</span>
    </header>
    ${state.problem === undefined ? nothing : html`<p class="problem" role="alert">${state.problem}</p>`}
    <section class="card">
      <h2>Submit a shader job</h2>
      <p class="soft">Choose the job file together with the files that it names (shader and data).</p>
      <label>Files <input type="file" multiple @change=${(event: Event) => chosen(event, actions)} /></label>
      <p class="soft">${state.files.join(' · ')}</p>
      <div class="buttons">
        <button class="primary" ?disabled=${state.files.length === 0 || state.busy} @click=${actions.submit}>
          Submit
        </button>
        ${state.busy ? html`<button @click=${actions.cancel}>Cancel</button>` : nothing}
      </div>
    </section>
    ${state.job === undefined ? nothing : progress(state.job, state)}
  </main>
`;

const progress = (job: JobState, state: SubmitState): TemplateResult => html`
  <section class="card" data-job=${job.job} data-state=${job.state} data-received=${state.received}>
    <h3>${job.name}</h3>
    <p>${job.state}${job.reason === null ? '' : `: ${job.reason}`}</p>
    <progress max=${job.units} .value=${job.accepted} aria-label="accepted units"></progress>
    <p class="soft">
      ${job.accepted} of ${job.units} units accepted · ${state.received} received · ${job.attempts} attempts ·
      ${job.disagreements} disagreements
    </p>
    ${
      state.download === undefined
        ? nothing
        : html`<a href=${state.download} download="${job.name}.bin" data-download
            >Download all outputs, joined in unit order</a
          >`
    }
  </section>
`;

function chosen(event: Event, actions: SubmitActions): void {
  const input = event.target;
  if (input instanceof HTMLInputElement && input.files !== null) actions.choose(input.files);
}
