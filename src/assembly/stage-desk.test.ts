/** The stage's desk with hands that write down what goes where: over the hub, over a link, or nowhere. */

import { describe, expect, test } from 'vitest';
import type { AccountId, JobId, PeerId } from '../core/ids.ts';
import type { StageWord } from '../programs/program.ts';
import type { Lease, Message } from '../protocol/messages.ts';
import { createStageDesk, type StageDeskParts } from './stage-desk.ts';

const job = 'ab'.repeat(32) as JobId;
const peer = (name: string): PeerId => name.repeat(16) as PeerId;
const [before, behind, stranger] = [peer('1a'), peer('2b'), peer('3c')] as const;
const key = { job, unit: 4, attempt: 2 };
const lease: Lease = {
  ...key,
  seconds: 60,
  program: 'serve',
  programVersion: 1,
  submitter: '0'.repeat(64) as AccountId,
  signature: '',
  stage: { pipeline: 0, stage: 1, stages: 3, firstLayer: 2, layers: 2 },
};
const row = new Uint8Array(8);
const token = { stream: 2, position: 3, token: 5, logprob: -1, top: [] };

function openDesk(hasLinks = true) {
  const hub: Message[] = [];
  const direct: [PeerId, Message][] = [];
  const linked = new Set<PeerId>();
  const held: PeerId[] = [];
  const peers: StageDeskParts['peers'] = {
    send: async (to, message) => void direct.push([to, message]),
    linked: (to) => (linked.has(to) ? { relayed: false } : undefined),
    roundTripMs: () => undefined,
    hold: (to) => {
      held.push(to);
      return () => void held.splice(held.indexOf(to), 1);
    },
  };
  const desk = createStageDesk({
    toHub: (message) => hub.push(message),
    peers: hasLinks ? peers : undefined,
    changed: () => undefined,
  });
  const heard: StageWord[] = [];
  const traffic = desk.open(lease);
  const begin = (): void => traffic?.begin((words) => heard.push(...words));
  const wire = (changes: { previous?: PeerId; next?: PeerId } = { previous: before, next: behind }): boolean =>
    desk.receive('hub', { type: 'stage-wire', ...key, ...changes }, []);
  return { desk, hub, direct, linked, held, heard, traffic, begin, wire };
}

const types = (words: readonly StageWord[]): string[] => words.map(({ type }) => type);

describe('what a stage says', () => {
  test('goes through the hub until a link stands, and over the link from then on', () => {
    const { hub, direct, linked, traffic, begin, wire } = openDesk();
    begin();
    wire();
    // A first word asks for the links.
    expect(direct).toEqual([
      [before, { type: 'peer-ready' }],
      [behind, { type: 'peer-ready' }],
    ]);
    traffic?.said([{ type: 'rows', rows: [[1, 0]], bytes: row }]);
    traffic?.said([{ type: 'want', wants: [[1, 1]] }]);
    expect(hub).toEqual([
      { type: 'stage-rows', job, rows: [[1, 0]], to: behind },
      { type: 'stage-want', job, wants: [[1, 1]], to: before },
    ]);
    linked.add(behind);
    traffic?.said([{ type: 'rows', rows: [[1, 1]], bytes: row }]);
    traffic?.said([{ type: 'tokens', to: 'next', tokens: [token] }]);
    expect(hub).toHaveLength(2);
    expect(direct.slice(2)).toEqual([
      [behind, { type: 'stage-rows', job, rows: [[1, 1]] }],
      [behind, { type: 'stage-tokens', ...key, tokens: [token] }],
    ]);
  });

  test('to the hub goes there, though links stand; to a neighbour that it has not goes nowhere', () => {
    const { hub, direct, linked, traffic, begin, wire } = openDesk();
    begin();
    wire({ previous: before });
    linked.add(before).add(behind);
    traffic?.said([
      { type: 'ready', bytes: 7 },
      { type: 'tokens', to: 'hub', tokens: [token] },
      { type: 'rows', rows: [[1, 0]], bytes: row },
    ]);
    expect(hub).toEqual([
      { type: 'stage-ready', ...key, bytes: 7 },
      { type: 'stage-tokens', ...key, tokens: [token] },
    ]);
    expect(direct).toHaveLength(1);
  });

  test('all goes through the hub where its owner wants no links', () => {
    const { desk, hub, traffic, begin, wire } = openDesk(false);
    begin();
    wire();
    traffic?.said([{ type: 'rows', rows: [[1, 0]], bytes: row }]);
    expect(hub).toEqual([{ type: 'stage-rows', job, rows: [[1, 0]], to: behind }]);
    expect(desk.view()).toMatchObject({ firstLayer: 2, layers: 2, isActive: true });
  });

  test('after it gave back its place goes nowhere, and its links are let go', () => {
    const { desk, hub, held, heard, traffic, begin, wire } = openDesk();
    begin();
    wire();
    expect(held).toEqual([before, behind]);
    desk.close({ ...key, attempt: 1 });
    expect(held).toHaveLength(2);
    desk.close(key);
    expect(held).toEqual([]);
    traffic?.said([{ type: 'tokens', to: 'hub', tokens: [token] }]);
    desk.receive(before, { type: 'stage-rows', job, rows: [[1, 0]] }, [row]);
    expect(hub).toEqual([]);
    expect(types(heard)).toEqual(['wired']);
    expect(desk.view()).toBeUndefined();
  });
});

describe('what a stage hears', () => {
  test('of the hub before its program runs waits for it', () => {
    const { desk, heard, begin, wire } = openDesk();
    wire();
    desk.receive('hub', { type: 'stage-close', ...key, streams: [1] }, []);
    expect(heard).toEqual([]);
    begin();
    expect(types(heard)).toEqual(['wired', 'close']);
  });

  test('of its neighbours is the same over a link and through the hub; bytes are its own', () => {
    const { desk, heard, begin, wire } = openDesk();
    begin();
    wire();
    const shared = new Uint8Array(64);
    desk.receive(before, { type: 'stage-rows', job, rows: [[1, 0]] }, [shared.subarray(8, 16)]);
    desk.receive('hub', { type: 'stage-rows', job, from: before, rows: [[1, 1]] }, [row]);
    desk.receive('hub', { type: 'stage-want', job, from: behind, wants: [[1, 0]] }, []);
    desk.receive(before, { type: 'stage-tokens', ...key, tokens: [token] }, []);
    expect(types(heard)).toEqual(['wired', 'rows', 'rows', 'want', 'tokens']);
    const rows = heard.find(({ type }) => type === 'rows');
    expect(rows?.type === 'rows' && rows.bytes.buffer.byteLength).toBe(8);
    expect(heard[3]).toMatchObject({ from: behind });
  });

  test('of strangers is nothing: rows and tokens of who does not stand before it, the hub’s words in another’s mouth', () => {
    const { desk, heard, begin, wire } = openDesk();
    begin();
    wire();
    for (const from of [behind, stranger]) {
      expect(desk.receive(from, { type: 'stage-rows', job, rows: [[1, 0]] }, [row])).toBe(true);
      desk.receive(from, { type: 'stage-tokens', ...key, tokens: [token] }, []);
      // Who claims to be relayed is who its link says.
      desk.receive(from, { type: 'stage-rows', job, from: before, rows: [[1, 0]] }, [row]);
      desk.receive(from, { type: 'stage-wire', ...key, previous: stranger }, []);
      desk.receive(from, { type: 'stage-close', ...key, streams: [1] }, []);
    }
    desk.receive(before, { type: 'stage-rows', job: 'cd'.repeat(32) as JobId, rows: [[1, 0]] }, [row]);
    desk.receive(before, { type: 'stage-rows', job, rows: [[1, 0]] }, []);
    expect(types(heard)).toEqual(['wired']);
    expect(desk.receive('hub', { type: 'revoke', leases: [key] }, [])).toBe(false);
  });

  test('of a lease that it no longer has is nothing', () => {
    const { desk, heard, begin } = openDesk();
    begin();
    expect(desk.receive('hub', { type: 'stage-wire', ...key, attempt: 1, previous: before }, [])).toBe(true);
    desk.receive('hub', { type: 'stage-close', ...key, unit: 5, streams: [1] }, []);
    expect(heard).toEqual([]);
    expect(desk.view()).toMatchObject({ isActive: false });
  });

  test('when a link to a neighbour breaks is its wiring again, so that it asks for what was lost; other links are not its matter', () => {
    const { desk, heard, held, begin, wire } = openDesk();
    begin();
    wire();
    desk.lost(stranger);
    expect(types(heard)).toEqual(['wired']);
    desk.lost(before);
    expect(heard[1]).toEqual({ type: 'wired', previous: before, next: behind });
    expect(held.toSorted()).toEqual([before, behind]);
  });
});
