/** `#/host`: makes this tab the hub. `?signal=` names the signalling server; one that served the page is the default. */

import { render } from 'lit';
import { expectInput } from '../core/result.ts';
import { parseHubAddress, parseSignalUrl, type SignalPlace } from '../protocol/hub-address.ts';
import { fetchBootstrap } from '../assembly/hub-bootstrap.ts';
import { openBrowserHub } from '../assembly/browser-hub.ts';
import { takeTurn } from '../adapters/browser/turn.ts';
import { hostPage, type HostState } from './host-page.ts';

export async function openHostDoor(root: HTMLElement): Promise<void> {
  let state: HostState = { invite: undefined, hub: undefined, problem: undefined };
  const show = (change: Partial<HostState>): void => {
    state = { ...state, ...change };
    render(hostPage(state), root);
  };
  document.title = 'Hub · tabswarm';
  show({});
  try {
    if ((await takeTurn('tabswarm-host')) === undefined) {
      throw new Error('A tab of this browser is already hosting. Use that one, or close it first.');
    }
    const { hub, address } = await openBrowserHub({
      ...(await signalOfPage()),
      report: (line) => show({ problem: line }),
      changed: () => queueMicrotask(() => show({ hub: hub.view() })),
    });
    hub.broken.catch((error: Error) =>
      show({ problem: `The log cannot be written: ${error.message}. Reload this tab.` }),
    );
    show({ hub: hub.view(), invite: inviteOf(address) });
  } catch (error) {
    show({ problem: error instanceof Error ? error.message : String(error) });
  }
}

function inviteOf(address: string): NonNullable<HostState['invite']> {
  const page = new URL('.', location.href);
  page.searchParams.set('hub', address);
  return { address, volunteer: page.href, submit: `${page.href}#/submit` };
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
