/** The volunteer's page: connects the view's buttons to a volunteer, and renders what it publishes. */

import { render } from 'lit';
import { openBrowserVolunteer } from '../assembly/browser-volunteer.ts';
import { stoppedView, type VolunteerView } from '../assembly/volunteer-view.ts';
import { announcedBy, type Announced } from './announced.ts';
import { hubOfPage, type PageHub } from './hub-of-page.ts';
import { obstacleHere } from './obstacle.ts';
import { countText } from './page-parts.ts';
import { createVolunteerMemory } from './volunteer-memory.ts';
import { volunteerPage, type VolunteerPage } from './volunteer-page.ts';

/** How often the page asks what is waiting, while nobody has started. */
const askMs = 10_000;
/** Small units change the view hundreds of times a second, which nobody sees; drawing it would take their time. */
const drawMs = 50;
/** Speed, bars and the unit that just ended change with time alone. */
const redrawMs = 1_000;

export async function openVolunteerDoor(root: HTMLElement): Promise<void> {
  let hub: PageHub;
  try {
    hub = hubOfPage(location);
  } catch (error) {
    showWrongAddress(root, error instanceof Error ? error.message : String(error));
    return;
  }
  const memory = createVolunteerMemory();
  const obstacle = obstacleHere({ isSecureContext, gpu: navigator.gpu });
  const peers = peersChoice(location);
  let announced: Announced = { state: 'asking' };
  const volunteer = openBrowserVolunteer({
    address: hub.address,
    addressText: hub.text,
    lie: new URLSearchParams(location.search).has('lie'),
    peers: peers.allowed,
    changed: (view) => {
      memory.remember(view, performance.now());
      showSoon();
    },
    outdated: () => location.reload(),
  });
  const actions = {
    start: () => volunteer.start(),
    pause: () => volunteer.pause('paused'),
    resume: () => volunteer.resume(),
    stop: () => {
      // The button that was pressed goes away, and the keyboard should not begin at the top again.
      root.querySelector<HTMLElement>('button.primary')?.focus();
      void volunteer.stop().then(ask);
    },
  };
  let isDue = false;
  const showSoon = (): void => {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      show();
    }, drawMs);
  };
  const show = (): void => {
    const view = volunteer.view();
    const now = performance.now();
    document.title = titleOf(view);
    const current = memory.current(view, now);
    render(
      volunteerPage(
        { view, announced, obstacle, peers, current, worked: memory.worked(), bars: memory.bars(now) },
        actions,
      ),
      root,
    );
  };
  const ask = async (): Promise<void> => {
    const { phase } = volunteer.view();
    if (document.hidden || (phase !== 'stopped' && phase !== 'failed')) return;
    announced = await announcedBy(hub.address);
    show();
  };
  show();
  await ask();
  setInterval(() => void ask(), askMs);
  setInterval(() => {
    if (!document.hidden && volunteer.view().phase === 'running') show();
  }, redrawMs);
}

/** `?peers=off`: this tab links to its hub alone. */
function peersChoice({ href }: Location): VolunteerPage['peers'] {
  const url = new URL(href);
  const allowed = url.searchParams.get('peers') !== 'off';
  if (allowed) url.searchParams.set('peers', 'off');
  else url.searchParams.delete('peers');
  return { allowed, otherwise: url.href };
}

function titleOf({ phase, excluded, verified, hub }: VolunteerView): string {
  const running = hub.state === 'connected' ? `Running · ${countText(verified)} verified` : 'Connecting';
  const state = {
    stopped: 'Lend a GPU',
    starting: 'Starting',
    running: excluded ? 'Excluded' : running,
    paused: 'Paused',
    failed: 'Problem',
  }[phase];
  return `${state} · tabswarm`;
}

function showWrongAddress(root: HTMLElement, problem: string): void {
  const nothing = (): void => {};
  document.title = 'Problem · tabswarm';
  const page = {
    view: stoppedView('unknown'),
    announced: { state: 'untold' },
    obstacle: problem,
    peers: peersChoice(location),
    current: undefined,
    worked: [],
    bars: [],
  } as const;
  render(volunteerPage(page, { start: nothing, pause: nothing, resume: nothing, stop: nothing }), root);
}
