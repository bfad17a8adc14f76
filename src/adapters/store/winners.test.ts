/** Every store of tuned variants that a browser has against the one suite. */

import 'fake-indexeddb/auto';
import { testWinnerStore } from './winners-acceptance.ts';
import { createIndexedDbWinners } from './indexeddb-winners.ts';
import { createMemoryWinners } from './memory-winners.ts';

let databases = 0;

testWinnerStore('memory', async () => {
  const held = new Map();
  return () => createMemoryWinners(held);
});

testWinnerStore('IndexedDB', async () => {
  const name = `winners-${databases++}`;
  return () => createIndexedDbWinners(name);
});
