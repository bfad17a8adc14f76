/** A tab under test: it listens and dials through PeerJS, runs the links' acceptance suite and plays a partner for others. */

import { createIdentity } from '../../src/adapters/crypto/identity.ts';
import { ed25519 } from '../../src/adapters/crypto/ed25519.ts';
import type { FramedLink } from '../../src/adapters/net/framed-link.ts';
import { linkCases, measureLink } from '../../src/adapters/net/link-acceptance.ts';
import { createPartner, type Partner } from '../../src/adapters/net/link-partner.ts';
import { openPeerListener, type PeerListener, type SignalAddress } from '../../src/adapters/net/peer-link.ts';
import { dialBrowserSocketLink } from '../../src/adapters/net/socket-link.ts';
import { systemClock } from '../../src/adapters/clock/system-clock.ts';
import { verifySignature } from '../../src/adapters/crypto/identity.ts';
import { openSession } from '../../src/assembly/session.ts';
import type { PeerId } from '../../src/core/ids.ts';
import type { Identity } from '../../src/protocol/identity.ts';
import { createSignalToken } from '../../src/protocol/signal-token.ts';

export type PartnerWord = keyof Partner;

/** How this page reaches the partner at the far end: the test passes each word on. */
declare global {
  interface Window {
    askPartner(word: PartnerWord, values: readonly unknown[]): Promise<unknown>;
    links: typeof links;
  }
}

const remotePartner: Partner = {
  arrivals: async () => (await window.askPartner('arrivals', [])) as Awaited<ReturnType<Partner['arrivals']>>,
  send: async (...values) => void (await window.askPartner('send', values)),
  sendRaw: async (...values) => void (await window.askPartner('sendRaw', values)),
  close: async (...values) => void (await window.askPartner('close', values)),
  closed: async () => ((await window.askPartner('closed', [])) as string | null) ?? undefined,
  counted: async () => (await window.askPartner('counted', [])) as { sent: number; received: number },
  binding: async () => (await window.askPartner('binding', [])) as string,
};

let identity: Identity | undefined;
let listener: PeerListener | undefined;
let accepted: Partner[] = [];

/** Where a case's link leads: a peer by PeerJS, or a socket by its URL. */
type Target = { readonly peer: string } | { readonly socket: string };

async function dial(target: Target): Promise<FramedLink> {
  if ('socket' in target) return dialBrowserSocketLink(target.socket);
  if (listener === undefined) throw new Error('not listening');
  return listener.dial(target.peer as PeerId);
}

const links = {
  async listen(signal: SignalAddress): Promise<string> {
    identity = await createIdentity({ accountKey: await (await ed25519()).generate() });
    const own = identity;
    listener = await openPeerListener({
      peer: own.peer,
      token: () => createSignalToken(own, Date.now()),
      signal,
      iceServers: [],
    });
    listener.onLink((link) => accepted.push(createPartner(link as FramedLink)));
    return own.peer;
  },
  /** The newest accepted link's partner answers. */
  async answer(count: number, word: PartnerWord, values: readonly unknown[]): Promise<unknown> {
    while (accepted.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    const partner = accepted[count - 1];
    const answer: unknown = partner && Reflect.get(partner, word);
    if (typeof answer !== 'function') throw new Error(`the partner has no word ${word}`);
    return Reflect.apply(answer, partner, values);
  },
  async runCase(name: string, target: Target): Promise<void> {
    const found = linkCases.find((linkCase) => linkCase.name === name);
    if (found === undefined) throw new Error(`no case "${name}"`);
    const near = await dial(target);
    try {
      await found.run({ near, far: remotePartner });
    } finally {
      near.close('the case is over');
    }
  },
  async binding(target: Target): Promise<{ near: string; far: string; addressBlock: string }> {
    const near = await dial(target);
    const far = await remotePartner.binding();
    near.close('seen');
    return { near: near.binding, far, addressBlock: near.addressBlock };
  },
  async measure(target: Target, megabytes: number): Promise<{ out: number; back: number }> {
    const near = await dial(target);
    try {
      return await measureLink({ near, far: remotePartner }, megabytes);
    } finally {
      near.close('measured');
    }
  },
  /** Opens a session with whoever is there, and says who it was. */
  async greet(target: Target, stay = false): Promise<string> {
    if (identity === undefined) throw new Error('not listening');
    const options = { identity, role: 'volunteer', verify: verifySignature, clock: systemClock } as const;
    const session = await openSession(await dial(target), options);
    const { peer, role } = session;
    if (!stay) session.close('greeted');
    return `${role} ${peer}`;
  },
};

window.links = links;
