/**
 * Links between real ends: the acceptance suite from one Chromium tab to another and from Chromium to Node, over WebRTC
 * with our own signalling server, and over a WebSocket; then a session across each, and how fast they are.
 */

import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, type Browser, type Page } from 'playwright/test';
import { systemClock } from '../src/adapters/clock/system-clock.ts';
import { ed25519 } from '../src/adapters/crypto/ed25519.ts';
import { createIdentity, verifySignature } from '../src/adapters/crypto/identity.ts';
import type { FramedLink } from '../src/adapters/net/framed-link.ts';
import { linkCases } from '../src/adapters/net/link-acceptance.ts';
import { createPartner, type Partner } from '../src/adapters/net/link-partner.ts';
import { openPeerListener, type PeerListener, type SignalAddress } from '../src/adapters/net/peer-link.ts';
import { openSession, type Session } from '../src/assembly/session.ts';
import type { Identity } from '../src/protocol/identity.ts';
import { createSignalToken, signalKey } from '../src/protocol/signal-token.ts';
import type { Link } from '../src/protocol/ports.ts';
import { installRtcGlobals, releaseRtc } from '../src/node/net/rtc-globals.ts';
import { createSignalling } from '../src/node/net/signalling.ts';
import { createSocketListener, type SocketListener } from '../src/node/net/socket-listener.ts';
import { attachUpgrades } from '../src/node/net/upgrades.ts';
import type { PartnerWord } from './pages/links.ts';
import { launch } from './support/browser.ts';
import { serveSources, type ServedSources } from './support/sources.ts';

let pages: ServedSources;
let browser: Browser;
let openPage: () => Promise<Page>;
let near: Page;
let far: Page;
let hub: Server;
let sockets: SocketListener;
let closeSignalling: () => Promise<void>;
let signal: SignalAddress;
let nodeIdentity: Identity;
let nodeListener: PeerListener;
let targets: Record<
  'another tab' | 'Node over WebRTC' | 'Node over a WebSocket',
  { peer: string } | { socket: string }
>;

/** What Node does with links that reach it: the suite wants partners, the story about sessions a handshake. */
let atNode: (link: Link) => void = () => {};
/** Who answers the near page's words to its partner. */
let askPartner: (word: PartnerWord, values: readonly unknown[]) => Promise<unknown> = async () => undefined;
/** Links that the far page has accepted, by count, so that each case speaks with its own. */
let dials = 0;

test.describe.configure({ mode: 'serial' });

test.beforeAll(async () => {
  await installRtcGlobals();
  const signalling = createSignalling();
  closeSignalling = () => signalling.close();
  sockets = createSocketListener();
  hub = createHttpServer(signalling.httpHandler);
  attachUpgrades(hub, [signalling.route, sockets.route]);
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  const { port } = hub.address() as AddressInfo;
  signal = { host: '127.0.0.1', port, path: '/signal', key: signalKey, secure: false };

  nodeIdentity = await createIdentity({ accountKey: await (await ed25519()).generate() });
  const token = (): Promise<string> => createSignalToken(nodeIdentity, Date.now());
  nodeListener = await openPeerListener({ peer: nodeIdentity.peer, token, signal, iceServers: [] });
  nodeListener.onLink((link) => atNode(link));
  sockets.onLink((link) => atNode(link));

  pages = await serveSources('links', { optimizeDeps: { include: ['peerjs'] } });
  browser = await launch();
  openPage = async () => {
    const page = await (await browser.newContext()).newPage();
    page.on('pageerror', (error) => console.error(`page: ${error.message}`));
    await page.goto(pages.page('links'));
    await page.waitForFunction(() => 'links' in window);
    return page;
  };
  near = await openPage();
  far = await openPage();
  await near.exposeFunction('askPartner', (word: PartnerWord, values: unknown[]) => askPartner(word, values));
  await near.evaluate((address) => window.links.listen(address), signal);
  targets = {
    'another tab': { peer: await far.evaluate((address) => window.links.listen(address), signal) },
    'Node over WebRTC': { peer: nodeIdentity.peer },
    'Node over a WebSocket': { socket: `ws://127.0.0.1:${port}/socket` },
  };
});

test.afterAll(async () => {
  await browser?.close();
  await pages?.close();
  await nodeListener?.close();
  await sockets?.close();
  await closeSignalling?.();
  hub?.closeAllConnections();
  await new Promise((resolve) => hub.close(resolve));
  await releaseRtc();
});

/** Gets ready for one link from the near page: whoever it reaches becomes its partner. */
function expectLink(target: keyof typeof targets): void {
  if (target === 'another tab') {
    dials += 1;
    const count = dials;
    askPartner = (word, values) =>
      far.evaluate(([at, say, given]) => window.links.answer(at, say, given), [count, word, values] as const);
    return;
  }
  const partner = new Promise<Partner>((resolve) => (atNode = (link) => resolve(createPartner(link as FramedLink))));
  askPartner = async (word, values) => {
    const answer: unknown = Reflect.get(await partner, word);
    if (typeof answer !== 'function') throw new Error(`the partner has no word ${word}`);
    return Reflect.apply(answer, await partner, values);
  };
}

for (const target of ['another tab', 'Node over WebRTC', 'Node over a WebSocket'] as const) {
  test.describe(`from a tab to ${target}`, () => {
    for (const { name } of linkCases) {
      test(name, async () => {
        test.setTimeout(90_000);
        expectLink(target);
        await near.evaluate(([what, where]) => window.links.runCase(what, where), [name, targets[target]] as const);
      });
    }

    test('bytes move at a useful speed', async () => {
      test.setTimeout(180_000);
      expectLink(target);
      const { out, back } = await near.evaluate((where) => window.links.measure(where, 16), targets[target]);
      console.log(`tab to ${target}: ${out.toFixed(1)} MB/s there, ${back.toFixed(1)} MB/s back`);
      // The floor only tells a working link from a broken one: a busy machine may be slow.
      expect(Math.min(out, back)).toBeGreaterThan(0.2);
    });
  });
}

for (const target of ['another tab', 'Node over WebRTC'] as const) {
  test(`from a tab to ${target} both ends see the same two DTLS fingerprints`, async () => {
    expectLink(target);
    const seen = await near.evaluate((where) => window.links.binding(where), targets[target]);
    expect(seen.near.split('\n')).toHaveLength(2);
    expect(seen.far).toBe(seen.near);
  });
}

for (const target of ['Node over WebRTC', 'Node over a WebSocket'] as const) {
  test(`a tab and ${target} prove their keys to each other`, async () => {
    const met = new Promise<string>((resolve, reject) => {
      atNode = (link) => {
        const options = { identity: nodeIdentity, role: 'hub', verify: verifySignature, clock: systemClock } as const;
        openSession(link, options).then(({ role, peer }) => resolve(`${role} ${peer} ${link.addressBlock}`), reject);
      };
    });
    expect(await near.evaluate((where) => window.links.greet(where), targets[target])).toBe(`hub ${nodeIdentity.peer}`);
    expect(await met).toMatch(/^volunteer [0-9a-f]{32} 127\.0\.0\.0\/8$/);
  });
}

for (const target of ['Node over WebRTC', 'Node over a WebSocket'] as const) {
  test(`${target} notices within seconds that a tab was closed`, async () => {
    const met = new Promise<Session>((resolve, reject) => {
      atNode = (link) => {
        const options = { identity: nodeIdentity, role: 'hub', verify: verifySignature, clock: systemClock } as const;
        openSession(link, options).then(resolve, reject);
      };
    });
    const page = await openPage();
    await page.evaluate((address) => window.links.listen(address), signal);
    await page.evaluate((where) => window.links.greet(where, true), targets[target]);
    const session = await met;
    const start = performance.now();
    const lost = new Promise<string>((resolve) => session.onClose(resolve));
    await page.context().close();
    const reason = await lost;
    const seconds = (performance.now() - start) / 1000;
    console.log(`${target}: noticed after ${seconds.toFixed(1)} s: ${reason}`);
    expect(seconds).toBeLessThan(15);
  });
}
