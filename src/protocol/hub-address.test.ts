import { expect, test } from 'vitest';
import { formatPeerAddress, parseBootstrap, parseHubAddress } from './hub-address.ts';

const peer = '0123456789abcdef0123456789abcdef';

test.each([
  ['http://localhost:8787', 'http://localhost:8787'],
  ['https://hub.example.org/', 'https://hub.example.org'],
  [' https://example.org/swarm/?x=1#y ', 'https://example.org/swarm'],
])('the hub %s has its bootstrap document beside it', (text, url) => {
  expect(parseHubAddress(text)).toEqual({ ok: true, value: { kind: 'url', url, bootstrap: `${url}/bootstrap.json` } });
});

test('a hub in a tab is named by its peer id and signalling server, and shared in the same words', () => {
  const text = `peer:${peer}@wss://signal.example.org/rooms/7`;
  const parsed = parseHubAddress(text);
  const signal = { host: 'signal.example.org', port: 443, path: '/rooms/7', secure: true };
  expect(parsed).toEqual({ ok: true, value: { kind: 'peer', peer, signal } });
  if (!parsed.ok || parsed.value.kind !== 'peer') throw new Error('not a peer');
  expect(parseHubAddress(formatPeerAddress(parsed.value.peer, parsed.value.signal))).toEqual(parsed);
});

test.each([
  ['', 'not an http or https URL'],
  ['localhost:8787', 'not an http or https URL'],
  ['ftp://hub', 'not an http or https URL'],
  ['http://', 'not an http or https URL'],
  ['javascript:alert(1)', 'not an http or https URL'],
  ['peer:xyz@ws://localhost/signal', 'a peer is 32 lower-case hex digits'],
  [`peer:${peer}`, 'is not a ws or wss URL'],
  [`peer:${peer}@ftp://x`, 'is not a ws or wss URL'],
])('the hub address "%s" is refused in one line', (text, expected) => {
  const parsed = parseHubAddress(text);
  if (parsed.ok) throw new Error('accepted');
  expect(parsed.error.text).toContain(expected);
  expect(parsed.error.text).toContain(text);
  expect(parsed.error.text.split('\n')).toHaveLength(1);
});

const document = {
  version: 1,
  peer,
  account: 'a'.repeat(64),
  signal: { url: 'signal' },
  socket: '/socket',
  iceServers: [{ urls: 'stun:stun.example.org' }],
};

test('URLs in a bootstrap document may be relative to it and become WebSocket URLs', () => {
  const parsed = parseBootstrap(document, 'https://hub.example.org/swarm/bootstrap.json');
  expect(parsed).toMatchObject({
    ok: true,
    value: { signal: { url: 'wss://hub.example.org/swarm/signal' }, socket: 'wss://hub.example.org/socket' },
  });
});

test('a bootstrap document with a wrong field is refused with its place', () => {
  const from = 'http://hub/bootstrap.json';
  const text = (value: unknown): string => {
    const parsed = parseBootstrap(value, from);
    return parsed.ok ? 'accepted' : parsed.error.text;
  };
  expect(text({ ...document, peer: 'me' })).toBe(`bootstrap document at ${from}: peer: expected 32 hex digits`);
  expect(text({ ...document, more: 1 })).toBe(`bootstrap document at ${from}: more: unknown field, remove it`);
  expect(text({ ...document, socket: 'ftp://x/y' })).toBe(`bootstrap document at ${from}: socket: not a ws or wss URL`);
  expect(text('<!doctype html>')).toContain(`bootstrap document at ${from}: `);
});
