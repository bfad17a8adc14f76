/** What the pages share: the header with the state of the hub, notices, the footer, and numbers in plain words. */

import { html, nothing, type TemplateResult } from 'lit';

export type HubState = 'offline' | 'connecting' | 'connected';

/** `state` colours the dot; `text` is what people read; `detail` the whole address for those who point at it. */
export const pageHeader = (state: HubState, text: string, detail: string): TemplateResult => html`
  <header>
    <img src="./icon.svg" alt="" width="36" height="36" />
    <h1>tabswarm</h1>
    <span class="hub ${state}" role="status" title=${detail}><i></i>${text}</span>
  </header>
`;

/** `bad`: something is broken and says how to mend it. `warn`: it works, yet people should know. */
export const notice = (kind: 'bad' | 'warn', text: string | undefined): TemplateResult | typeof nothing =>
  text === undefined
    ? nothing
    : html`<p class="notice ${kind}" role=${kind === 'bad' ? 'alert' : 'note'}>${sentence(text)}</p>`;

/** The doors of the site; the query (`?hub=`) stays as it is. They open beside this tab, whose work would end else. */
export const pageFooter = (
  here: '' | '#/chat' | '#/host' | '#/submit' | '#/device',
  about: unknown,
): TemplateResult => html`
  <footer>
    ${about === undefined ? nothing : html`<p>${about}</p>`}
    <nav aria-label="pages">
      ${doors.map(({ hash, text }) =>
        hash === here
          ? html`<span aria-current="page">${text}</span>`
          : html`<a target="_blank" rel="noopener" href=${hash === '' ? '#/' : hash}>${text}</a>`,
      )}
    </nav>
  </footer>
`;

const doors = [
  { hash: '', text: 'Lend a GPU' },
  { hash: '#/chat', text: 'Talk to a model' },
  { hash: '#/submit', text: 'Submit a job' },
  { hash: '#/host', text: 'Host a hub in a tab' },
  { hash: '#/device', text: 'Test this device' },
] as const;

/** Errors are lines without capitals and full stops, as commands print them; here they stand as sentences. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const opened = /^[a-z]+[\s:,]/.test(trimmed) ? trimmed.charAt(0).toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?…]$/.test(opened) ? opened : `${opened}.`;
}

/** Enough of an account or peer to tell it from others. */
export const shortKey = (key: string): string => key.slice(0, 8);

export const programText = {
  shader: 'shader job',
  train: 'training',
  generate: 'text generation',
  serve: 'model',
} as const;

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`;

/** At most one digit after the point, and that only where it matters. */
export const countText = (value: number): string =>
  value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 1 : 0 });

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
