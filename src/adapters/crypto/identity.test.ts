/** Keys and signatures against RFC 8032, and both implementations against each other. */

import 'fake-indexeddb/auto';
import { Point } from '@noble/ed25519';
import { describe, expect, it } from 'vitest';
import { fromHex, toBase64, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { sha256 } from '../../core/hash.ts';
import { createRandom } from '../../core/prng.ts';
import { peerIdOfSession } from '../../protocol/identity.ts';
import { loadAccountKey } from './browser-keys.ts';
import { detect, type Ed25519 } from './ed25519.ts';
import { accountIdOf, createIdentity, verifySignature, verifyWith } from './identity.ts';
import { nobleEd25519 } from './noble-ed25519.ts';
import { hasSmallOrder } from './small-order.ts';
import { sha256Large } from './sha256-large.ts';
import { createWebEd25519 } from './web-ed25519.ts';

/** RFC 8032, section 7.1, tests 1 to 3: secret seed, public key, message, signature. */
const rfcVectors = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
] as const;

const web = createWebEd25519(crypto.subtle);
const implementations: readonly Ed25519[] = [web, nobleEd25519];

describe.each(implementations)('Ed25519 by $kind', (implementation) => {
  it.each(rfcVectors)(
    'signs and verifies the vector of RFC 8032 with seed %s',
    async (seed, publicKey, message, signature) => {
      const key = await implementation.fromSeed(fromHex(seed));
      expect(toHex(key.publicKey)).toBe(publicKey);
      expect(toHex(await key.sign(fromHex(message)))).toBe(signature);
      expect(await implementation.verify(fromHex(publicKey), fromHex(message), fromHex(signature))).toBe(true);
    },
  );

  it('refuses a tampered message, signature and key', async () => {
    const [seed, , message] = rfcVectors[2];
    const key = await implementation.fromSeed(fromHex(seed));
    const signature = await key.sign(fromHex(message));
    expect(await implementation.verify(key.publicKey, fromHex('af83'), signature)).toBe(false);
    for (const place of [0, 31, 32, 63]) {
      expect(await implementation.verify(key.publicKey, fromHex(message), flipped(signature, place))).toBe(false);
    }
    expect(await implementation.verify(flipped(key.publicKey, 5), fromHex(message), signature)).toBe(false);
    expect(await implementation.verify(key.publicKey.slice(1), fromHex(message), signature)).toBe(false);
  });
});

it('both implementations make the same signatures and accept each other', async () => {
  const random = createRandom(11);
  for (const length of [0, 1, 315, 2179]) {
    const seed = randomBytes(random.u32, 32);
    const message = randomBytes(random.u32, length);
    const [a, b] = [await web.fromSeed(seed), await nobleEd25519.fromSeed(seed)];
    expect(toHex(a.publicKey)).toBe(toHex(b.publicKey));
    expect(toHex(await a.sign(message))).toBe(toHex(await b.sign(message)));
    expect(await web.verify(b.publicKey, message, await b.sign(message))).toBe(true);
    expect(await nobleEd25519.verify(a.publicKey, message, await a.sign(message))).toBe(true);
  }
});

it('falls back where the platform has no Ed25519, and only there', async () => {
  expect((await detect(undefined)).kind).toBe('noble');
  const refusing = { generateKey: () => Promise.reject(new DOMException('unknown', 'NotSupportedError')) };
  expect((await detect(refusing as Partial<SubtleCrypto> as SubtleCrypto)).kind).toBe('noble');
  expect((await detect(crypto.subtle)).kind).toBe('webcrypto');
});

it('the account vouches for each session, and a session names its peer', async () => {
  const accountKey = await web.generate();
  const [first, second] = [await createIdentity({ accountKey }), await createIdentity({ accountKey })];
  expect(first.account).toBe(accountIdOf(accountKey));
  expect(second.account).toBe(first.account);
  expect(second.session).not.toBe(first.session);
  expect(first.peer).toBe(peerIdOfSession(first.session));
  expect(await verifySignature(first.account, 'session', fromHex(first.session), first.sessionSignature)).toBe(true);
  expect(await verifySignature(first.account, 'session', fromHex(second.session), first.sessionSignature)).toBe(false);
});

it('a signature holds for its domain, its bytes and its key only', async () => {
  const identity = await createIdentity({ accountKey: await web.generate() });
  const bytes = utf8('a receipt');
  const bySession = await identity.sign('receipt', bytes);
  const byAccount = await identity.signAsAccount('receipt', bytes);
  for (const implementation of implementations) {
    expect(await verifyWith(implementation, identity.session, 'receipt', bytes, bySession)).toBe(true);
    expect(await verifyWith(implementation, identity.account, 'receipt', bytes, byAccount)).toBe(true);
    expect(await verifyWith(implementation, identity.session, 'manifest', bytes, bySession)).toBe(false);
    expect(await verifyWith(implementation, identity.session, 'receipt', utf8('a receipu'), bySession)).toBe(false);
    expect(await verifyWith(implementation, identity.account, 'receipt', bytes, bySession)).toBe(false);
  }
});

it('verifying never throws, whatever the peer sent', async () => {
  const bytes = utf8('x');
  const signature = toBase64(new Uint8Array(64));
  for (const [key, text] of [
    ['zz', signature],
    ['0'.repeat(64), signature],
    ['f'.repeat(64), signature],
    ['F'.repeat(64), signature],
    ['0'.repeat(64), 'not base64 *'],
    ['0'.repeat(64), ''],
    ['0'.repeat(64), toBase64(new Uint8Array(63))],
  ] as const) {
    expect(await verifySignature(key, 'prove', bytes, text)).toBe(false);
  }
});

it('knows all eight points of small order, and no other', () => {
  // The encoded y of a point of order 8; its multiples are the whole subgroup.
  const order8 = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', true);
  let point = order8;
  for (let multiple = 1; multiple <= 8; multiple++) {
    expect(point.isSmallOrder(), `multiple ${multiple}`).toBe(true);
    expect(hasSmallOrder(point.toBytes()), `multiple ${multiple}`).toBe(true);
    point = point.add(order8);
  }
  expect(hasSmallOrder(Point.BASE.toBytes())).toBe(false);
  expect(hasSmallOrder(Point.BASE.double().toBytes())).toBe(false);
});

it('tabs of one profile share one account key, also when two are the first', async () => {
  const [a, b] = await Promise.all([loadAccountKey('keys-shared'), loadAccountKey('keys-shared')]);
  const later = await loadAccountKey('keys-shared');
  expect(toHex(a.publicKey)).toBe(toHex(b.publicKey));
  expect(toHex(later.publicKey)).toBe(toHex(a.publicKey));
  const identity = await createIdentity({ accountKey: later });
  expect(await verifySignature(accountIdOf(a), 'session', fromHex(identity.session), identity.sessionSignature)).toBe(
    true,
  );
  expect(a.stored.kind === 'webcrypto' && a.stored.privateKey.extractable).toBe(false);
  expect(toHex((await loadAccountKey('keys-of-another-profile')).publicKey)).not.toBe(toHex(a.publicKey));
});

it('the platform digests large bytes as the pure rooms do', async () => {
  const random = createRandom(12);
  for (const length of [0, 1, 315, 1024 * 1024]) {
    const bytes = randomBytes(random.u32, length);
    expect(await sha256Large(bytes)).toBe(sha256(bytes));
  }
  const shared = new Uint8Array(new SharedArrayBuffer(3));
  expect(await sha256Large(shared)).toBe(sha256(new Uint8Array(3)));
});

function flipped(bytes: Bytes, place: number): Bytes {
  const copy = bytes.slice();
  copy[place] = (copy[place] ?? 0) ^ 1;
  return copy;
}

function randomBytes(u32: () => number, length: number): Bytes {
  return Uint8Array.from({ length }, () => u32() & 255);
}
