/**
 * `#/chat` as a function of its state: which served model, what was said, the answer as it comes, how fast, and who computed
 * it. Buttons and fields are the same elements in every state, so that neither focus nor text is lost. The state is
 * `chat-door.ts`'s.
 */

import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import type { ServedModel } from '../assembly/answering.ts';
import type { ComputedBy } from '../protocol/serving-messages.ts';
import { countText, notice, pageFooter, pageHeader, plural, shortKey, type HubState } from './page-parts.ts';

/** How what is written becomes a prompt: turns of a chat, or the beginning of a text. */
export type ChatMode = 'chat' | 'text';

export interface Said {
  readonly role: 'user' | 'assistant';
  readonly content: string;
  /** Of an answer, as far as it is known. */
  readonly told?: AnswerFacts;
}

export interface AnswerFacts {
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number | undefined;
  readonly end: 'coming' | 'stop' | 'length' | 'stopped' | 'failed';
  readonly by: readonly ComputedBy[];
}

export interface ChatState {
  readonly hub: string;
  readonly link: HubState;
  readonly models: readonly ServedModel[];
  /** The job of the chosen model. */
  readonly chosen: string | undefined;
  readonly mode: ChatMode;
  /** Whether the model brought a template for chats. */
  readonly hasTemplate: boolean | undefined;
  readonly said: readonly Said[];
  readonly draft: string;
  readonly temperature: number;
  readonly maxTokens: number;
  readonly busy: boolean;
  readonly problem: string | undefined;
}

export interface ChatActions {
  readonly choose: (job: string) => void;
  readonly change: (change: Partial<Pick<ChatState, 'mode' | 'draft' | 'temperature' | 'maxTokens'>>) => void;
  readonly send: () => void;
  readonly stop: () => void;
  readonly clear: () => void;
}

export function chatPage(state: ChatState, actions: ChatActions): TemplateResult {
  return html`
    <main class="page chat">
      ${pageHeader(state.link, linkText[state.link], state.hub)} ${notice('bad', state.problem)}
      <section class="card">
        <h2>Talk to a model in tabs</h2>
        ${modelChoice(state, actions)}
      </section>
      <section class="card talk">
        <div class="said" role="log" aria-label="what was said" aria-busy=${state.busy} tabindex="0">
          ${state.said.length === 0 ? html`<p class="soft">${emptyText(state)}</p>` : state.said.map((one) => turn(one, state))}
        </div>
        ${writing(state, actions)}
      </section>
      ${pageFooter('#/chat', 'The tabs that hold the model see what passes through it: write nothing private.')}
    </main>
  `;
}

const linkText = { offline: 'not connected', connecting: 'connecting', connected: 'connected' } as const;

const chosenModel = ({ models, chosen }: ChatState): ServedModel | undefined =>
  models.find(({ job }) => job === chosen);

function modelChoice(state: ChatState, actions: ChatActions): TemplateResult {
  if (state.models.length === 0) {
    return html`<p class="soft" data-models="none">
      ${
        state.link === 'connected'
          ? html`This hub serves no model. Offer one with <code>npx tabswarm serve --model FILE --name NAME</code>.`
          : 'Asking the hub which models it serves…'
      }
    </p>`;
  }
  const model = chosenModel(state);
  const choose = (event: Event): void => {
    if (event.target instanceof HTMLSelectElement) actions.choose(event.target.value);
  };
  return html`
    <div class="choices">
      <label>
        <span>Model</span>
        <select name="model" ?disabled=${state.busy} @change=${choose}>
          ${state.models.map(({ job, name, isUp }) => html`<option value=${job} ?selected=${job === state.chosen}>${name}${isUp ? '' : ' (waits for tabs)'}</option>`)}
        </select>
      </label>
      <label>
        <span>What you write is</span>
        <select
          name="mode"
          ?disabled=${state.busy}
          @change=${(event: Event) => actions.change({ mode: valueOf(event) === 'chat' ? 'chat' : 'text' })}
        >
          <option value="chat" ?selected=${state.mode === 'chat'}>a message</option>
          <option value="text" ?selected=${state.mode === 'text'}>a beginning</option>
        </select>
      </label>
      ${numberField('Temperature', 'temperature', state.temperature, 0, 2, 0.1, (temperature) => actions.change({ temperature }))}
      ${numberField('Tokens at most', 'maxTokens', state.maxTokens, 1, 8192, 1, (maxTokens) => actions.change({ maxTokens }))}
    </div>
    ${model === undefined ? nothing : modelFacts(model, state)}
  `;
}

const modelFacts = ({ plan, isUp }: ServedModel, { mode, hasTemplate }: ChatState): TemplateResult => html`
  <p class="soft small" data-up=${isUp}>
    ${plural(plan.model.layers, 'layer')} over
    ${plural(plan.stages, 'tab')}${plan.pipelines > 1 ? `, ${plan.pipelines} copies` : ''}, context of
    ${countText(plan.context)} tokens${isUp ? '' : '; it answers when enough tabs are open'}.
    ${mode === 'chat' && hasTemplate === false ? 'It was not made for chats: messages are put to it in a common form (ChatML).' : nothing}
  </p>
`;

const numberField = (
  label: string,
  name: string,
  value: number,
  min: number,
  max: number,
  step: number,
  change: (value: number) => void,
): TemplateResult => html`
  <label>
    <span>${label}</span>
    <input
      type="number"
      name=${name}
      min=${min}
      max=${max}
      step=${step}
      .value=${String(value)}
      @change=${(event: Event) => {
        const given = Number(valueOf(event));
        if (Number.isFinite(given)) change(Math.min(max, Math.max(min, given)));
      }}
    />
  </label>
`;

const emptyText = ({ mode }: ChatState): string =>
  mode === 'chat' ? 'Say something; the answer comes from other people’s tabs.' : 'Begin a text; tabs go on with it.';

function turn({ role, content, told }: Said, { mode }: ChatState): TemplateResult {
  const caret = told?.end === 'coming' ? html`<span class="caret" aria-hidden="true"></span>` : nothing;
  // Spaces of the template would show: text keeps its own.
  const words = html`<p class="words">${content}${caret}</p>`;
  return html`
    <article class="turn ${role}" data-role=${role} data-end=${told?.end ?? nothing}>
      <h3>${role === 'user' ? 'You' : mode === 'chat' ? 'Model' : 'It goes on'}</h3>
      ${words} ${told === undefined ? nothing : facts(told)}
    </article>
  `;
}

function facts({ tokens, tokensPerSecond, firstTokenMs, end, by }: AnswerFacts): TemplateResult {
  const parts = [
    plural(tokens, 'token'),
    ...(tokensPerSecond > 0 ? [`${countText(tokensPerSecond)} tokens/s`] : []),
    ...(firstTokenMs === undefined ? ['waiting for the first'] : [`the first after ${countText(firstTokenMs)} ms`]),
    ...endText[end],
  ];
  return html`
    <p class="soft small" data-tokens=${tokens}>${parts.join(' · ')}</p>
    ${
      by.length === 0
        ? nothing
        : html`<ul class="plain rows small soft" data-computed-by=${by.length}>
            ${by.map(computedBy)}
          </ul>`
    }
  `;
}

const endText = {
  coming: [],
  stop: [],
  length: ['cut at its length'],
  stopped: ['stopped'],
  failed: ['broken off'],
} as const;

const computedBy = ({ firstLayer, layers, account, deviceClass }: ComputedBy): TemplateResult => html`
  <li>
    <span>
      ${layers === 1 ? `layer ${firstLayer + 1}` : `layers ${firstLayer + 1} to ${firstLayer + layers}`} by
      <span title="account ${account}">${shortKey(account)}</span>
    </span>
    <span class="device">${deviceClass}</span>
  </li>
`;

function writing(state: ChatState, actions: ChatActions): TemplateResult {
  const isReady = chosenModel(state) !== undefined && state.draft.trim() !== '' && !state.busy;
  const send = (event: Event): void => {
    event.preventDefault();
    // What was just typed may not be drawn yet; whether there is something to send is known where it is sent.
    actions.send();
  };
  const press = (event: KeyboardEvent): void => {
    // Enter also ends the choice of a character in many scripts.
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
  };
  return html`
    <form class="write" @submit=${send}>
      <label>
        <span class="soft small">${state.mode === 'chat' ? 'Your message' : 'The beginning'}</span>
        <textarea
          name="draft"
          rows="3"
          .value=${live(state.draft)}
          @input=${(event: Event) => actions.change({ draft: valueOf(event) })}
          @keydown=${press}
        ></textarea>
      </label>
      <div class="buttons">
        <button type="submit" class="primary" aria-disabled=${!isReady}>Send</button>
        <button type="button" class=${state.busy ? '' : 'absent'} @click=${actions.stop}>Stop</button>
        <button type="button" class=${state.said.length > 0 && !state.busy ? '' : 'absent'} @click=${actions.clear}>
          Start anew
        </button>
      </div>
    </form>
  `;
}

function valueOf({ target }: Event): string {
  const hasValue =
    target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
  return hasValue ? target.value : '';
}
