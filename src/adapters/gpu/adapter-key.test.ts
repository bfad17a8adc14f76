import { expect, test } from 'vitest';
import { adapterKeyOf, browserOf } from './adapter-key.ts';

test.each([
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36',
    'chrome 156',
  ],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0', 'firefox 153'],
  ['Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15', 'safari 26'],
  ['Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0', 'edge 156'],
  ['curl/8', 'unknown'],
])('%s is %s', (agent, browser) => {
  expect(browserOf(agent)).toBe(browser);
});

test('adapters differ by driver and by browser, and one that tells nothing still has a name', () => {
  const adapter = { vendor: 'mesa', architecture: 'software', description: 'llvmpipe 25' };
  const keys = [
    adapterKeyOf(adapter, 'chrome 156'),
    adapterKeyOf(adapter, 'chrome 157'),
    adapterKeyOf({ ...adapter, description: 'llvmpipe 26' }, 'chrome 156'),
    adapterKeyOf({ vendor: '', architecture: '', description: '' }, 'firefox 153'),
  ];
  expect(new Set(keys).size).toBe(4);
  expect(keys[3]).toBe('- | - | - | firefox 153');
});
