/**
 * The suite `network`: our framed links against plain data channels, from tab to tab and between a tab and Node, over
 * loopback. Both contenders of a case stand at the same time and take turns, so that what the machine does hits both.
 */

import { join } from 'node:path';
import type { Page } from 'playwright/test';
import { ed25519 } from '../src/adapters/crypto/ed25519.ts';
import { createIdentity } from '../src/adapters/crypto/identity.ts';
import type { FramedLink } from '../src/adapters/net/framed-link.ts';
import { openPeerListener, type SignalAddress } from '../src/adapters/net/peer-link.ts';
import { launchBrowser } from '../src/node/browser.ts';
import { installRtcGlobals, releaseRtc } from '../src/node/net/rtc-globals.ts';
import { startSignalling } from '../src/node/net/signalling.ts';
import { root } from '../src/node/prepare.mjs';
import { createSignalToken, signalKey } from '../src/protocol/signal-token.ts';
import { measure, type Case, type MeasuredCase } from './measure.ts';
import { createLinkEnd, createRawPeer, type End } from './network/ends.ts';
import type { NetworkTab } from './network/tab.ts';
import { sentenceOf } from './report.ts';

/** Enough to take a second or more, so that starting and stopping do not count. */
const mebibytes = 16;
const trips = 200;

type Ends = readonly [ours: Pick<End, 'send' | 'roundTrips'>, raw: Pick<End, 'send' | 'roundTrips'>];

export async function measureNetwork(rounds: number, say: (line: string) => void): Promise<readonly MeasuredCase[]> {
  const cleanup: (() => unknown)[] = [];
  try {
    const [tabToTab, tabToHub, hubToTab] = await connectAll((end) => void cleanup.push(end));
    const cases = [
      throughput('bulkTabToTab', tabToTab),
      throughput('bulkTabToHub', tabToHub),
      throughput('bulkHubToTab', hubToTab),
      roundTrip('roundTripTabToTab', tabToTab),
      roundTrip('roundTripTabToHub', tabToHub),
    ];
    const measured: MeasuredCase[] = [];
    for (const one of cases) {
      measured.push(await measure(one, rounds, () => performance.now() / 1000));
      say(sentenceOf(measured.at(-1) as MeasuredCase));
    }
    return measured;
  } finally {
    for (const end of cleanup.toReversed()) await end();
  }
}

const throughput = (name: string, [ours, raw]: Ends): Case => ({
  name,
  unit: 'MB/s',
  better: 'higher',
  scale: 1e6,
  contenders: [
    { name: 'ours', run: () => ours.send(mebibytes).then(() => mebibytes * 2 ** 20) },
    { name: 'data channel', run: () => raw.send(mebibytes).then(() => mebibytes * 2 ** 20) },
  ],
});

const roundTrip = (name: string, [ours, raw]: Ends): Case => ({
  name,
  unit: 'ms',
  better: 'lower',
  scale: 1e-3,
  contenders: [
    { name: 'ours', run: () => ours.roundTrips(trips).then(() => trips) },
    { name: 'data channel', run: () => raw.roundTrips(trips).then(() => trips) },
  ],
});

/** Two tabs and this process, linked in both ways; the near end of each pair is returned. */
async function connectAll(after: (end: () => unknown) => void): Promise<readonly [Ends, Ends, Ends]> {
  await installRtcGlobals();
  after(releaseRtc);
  const signalling = await startSignalling();
  after(() => signalling.close());
  const signal = { host: '127.0.0.1', port: signalling.port, path: '/signal', key: signalKey, secure: false };
  const url = await servePage(after);
  const browser = await launchBrowser();
  after(() => browser.close());
  const openTab = async (): Promise<Tab> => createTab(await (await browser.newContext()).newPage(), url);
  const [near, far] = [await openTab(), await openTab()];
  const node = await openNode(signal, after);
  await near.call('listen', signal);
  const farPeer = await far.call('listen', signal);

  await near.call('dial', 'tab', farPeer);
  await near.call('dial', 'hub', node.peer);
  await far.call('answer', 'raw', await near.call('offer', 'raw')).then((answer) => near.call('accept', 'raw', answer));
  const raw = createRawPeer();
  await near.call('accept', 'rawHub', await raw.answer(await near.call('offer', 'rawHub')));
  await Promise.all([near.call('opened', 'raw'), far.call('opened', 'raw'), near.call('opened', 'rawHub')]);
  const [ours, plain] = [await node.accepted, await raw.end()];
  after(() => plain.close());
  return [
    [near.end('tab'), near.end('raw')],
    [near.end('hub'), near.end('rawHub')],
    [ours, plain],
  ];
}

type Call = <Name extends keyof NetworkTab>(
  name: Name,
  ...parameters: Parameters<NetworkTab[Name]>
) => Promise<Awaited<ReturnType<NetworkTab[Name]>>>;

interface Tab {
  readonly call: Call;
  end(name: string): Pick<End, 'send' | 'roundTrips'>;
}

async function createTab(page: Page, url: string): Promise<Tab> {
  await page.goto(url);
  await page.waitForFunction('globalThis.networkTab !== undefined');
  const call: Call = (name, ...parameters) =>
    answerOf(name, page.evaluate(`globalThis.networkTab.${name}(...${JSON.stringify(parameters)})`));
  return {
    call,
    end: (name) => ({
      send: (count) => call('send', name, count),
      roundTrips: (count) => call('roundTrips', name, count),
    }),
  };
}

/** What the tab returns is what `NetworkTab` says of the function that was called. */
const answerOf = async <Name extends keyof NetworkTab>(
  _name: Name,
  answer: Promise<unknown>,
): Promise<Awaited<ReturnType<NetworkTab[Name]>>> => (await answer) as Awaited<ReturnType<NetworkTab[Name]>>;

/** This process as a hub is one: registered, and answering the link that comes in. */
async function openNode(signal: SignalAddress, after: (end: () => unknown) => void) {
  const identity = await createIdentity({ accountKey: await (await ed25519()).generate() });
  const token = (): Promise<string> => createSignalToken(identity, Date.now());
  const listener = await openPeerListener({ peer: identity.peer, token, signal, iceServers: [] });
  after(() => listener.close());
  const accepted = new Promise<End>((resolve) => {
    listener.onLink((link) => resolve(createLinkEnd(link as FramedLink)));
  });
  return { peer: identity.peer, accepted };
}

async function servePage(after: (end: () => unknown) => void): Promise<string> {
  // Loaded late: the other suites need no bundler.
  const { build, preview } = await import('vite');
  const outDir = join(root, '.tabswarm', 'bench-network');
  const shared = { root: join(root, 'bench', 'network'), configFile: false, logLevel: 'error' } as const;
  await build({ ...shared, build: { outDir, emptyOutDir: true, target: 'es2023' } });
  const server = await preview({ ...shared, build: { outDir }, preview: { host: '127.0.0.1', port: 0 } });
  after(() => server.close());
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('the page of the suite is not served');
  return url;
}
