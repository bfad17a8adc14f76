import { expect, test } from 'vitest';
import { addressBlockOf } from './address-block.ts';
import { bindingOf } from './peer-link.ts';

test.each([
  ['127.0.0.1', '127.0.0.0/8'],
  ['127.9.8.7', '127.0.0.0/8'],
  ['::1', '127.0.0.0/8'],
  ['::ffff:127.0.0.1', '127.0.0.0/8'],
  ['203.0.113.77', '203.0.113.0/24'],
  ['::ffff:203.0.113.77', '203.0.113.0/24'],
  ['192.168.1.7', '192.168.1.7/32'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['172.31.0.9', '172.31.0.9/32'],
  ['172.32.0.9', '172.32.0.0/24'],
  ['2001:db8:5:6::9', '2001:db8:5::/48'],
  ['2001:DB8:0:0:0:0:0:9', '2001:db8:0::/48'],
  ['fe80::1%eth0', 'fe80:0:0::/48'],
  ['3f1c.local', 'unknown'],
  ['300.1.2.3', 'unknown'],
  ['1::2::3', 'unknown'],
  ['', 'unknown'],
  [undefined, 'unknown'],
])('the address block of %s is %s', (address, block) => {
  expect(addressBlockOf(address)).toBe(block);
});

test('a binding names both fingerprints in one order, whichever end asks', () => {
  const one = 'v=0\r\na=fingerprint:sha-256 ab:cd\r\n';
  const other = 'v=0\r\nm=x\r\na=fingerprint:SHA-256 01:02\r\na=fingerprint:sha-256 01:02\r\n';
  expect(bindingOf(one, other)).toBe('sha-256 01:02\nsha-256 AB:CD');
  expect(bindingOf(other, one)).toBe(bindingOf(one, other));
  expect(bindingOf('v=0', '')).toBe('');
});
