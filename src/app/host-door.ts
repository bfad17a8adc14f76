/** `#/host`: makes this tab the hub. `?signal=` names the signalling server; one that served the page is the default. */

import { render } from 'lit';
import { expectInput } from '../core/result.ts';
import { parseHubAddress, parseSignalUrl, type SignalPlace } from '../protocol/hub-address.ts';
import { fetchBootstrap } from '../assembly/hub-bootstrap.ts';
import { openBrowserHub, type BrowserHub } from '../assembly/browser-hub.ts';
import { takeTurn } from '../adapters/browser/turn.ts';
import { hostPage, type HostState } from './host-page.ts';
import { plural } from './page-parts.ts';

export async function openHostDoor(root: HTMLElement): Promise<void> {
  let state: HostState = { invite: undefined, hub: undefined, problem: undefined };
  const show = (change: Partial<HostState>): void => {
    state = { ...state, ...change };
    render(hostPage(state), root);
  };
  const fail = (error: unknown): void => {
    document.title = 'Problem · tabswarm';
    show({ problem: error instanceof Error ? error.message : String(error) });
  };
  document.title = 'Opening a hub · tabswarm';
  show({});
  try {
    if ((await takeTurn('tabswarm-host')) === undefined) {
      throw new Error('A tab of this browser is already hosting. Use that one, or close it first.');
    }
    let opened: BrowserHub | undefined;
    // A hub speaks of changes, such as what it restored, before it has been returned.
    const showHub = (): void => {
      if (opened === undefined) return;
      const view = opened.hub.view();
      document.title = `Hub · ${plural(view.volunteers.length, 'volunteer')} · tabswarm`;
      show({ hub: view });
    };
    opened = await openBrowserHub({
      ...(await signalOfPage()),
      report: (line) => show({ problem: line }),
      changed: () => queueMicrotask(showHub),
    });
    opened.hub.broken.catch((error: Error) =>
      fail(`The log cannot be written: ${error.message}. Reload this tab; what was written before is kept`),
    );
    show({ invite: inviteOf(opened.address) });
    showHub();
  } catch (error) {
    fail(error);
  }
}

function inviteOf(address: string): NonNullable<HostState['invite']> {
  const page = new URL('.', location.href);
  // Colons, slashes and the at-sign may stand in a query as they are, and people can read them then.
  page.search = `?hub=${address}`;
  const onlyHere = /^(localhost|127\.|\[::1\])/.test(location.hostname);
  return { address, volunteer: page.href, submit: `${page.href}#/submit`, onlyHere };
}

async function signalOfPage(): Promise<{ signal: SignalPlace; iceServers: readonly RTCIceServer[] }> {
  const given = new URLSearchParams(location.search).get('signal');
  if (given !== null) return { signal: expectInput(parseSignalUrl(given)), iceServers: [] };
  const address = expectInput(parseHubAddress(new URL('.', location.href).href));
  if (address.kind !== 'url') throw new Error('a page has an http address');
  try {
    const { signal } = await fetchBootstrap(address);
    return { signal: expectInput(parseSignalUrl(signal.url)), iceServers: [] };
  } catch {
    throw new Error('No signalling server: add ?signal=wss://… (`tabswarm signal` runs one) before #/host.');
  }
}
