/**
 * A process that appends to a PGlite store until somebody kills it, and prints the number of each fact that the store
 * has acknowledged. Only the tests start it: `node append-until-killed.js FOLDER`.
 */

import { writeSync } from 'node:fs';
import { createSqlStore } from '../adapters/store/sql-store.ts';
import { openPglite } from './pglite.ts';

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: append-until-killed FOLDER');
const store = await createSqlStore(await openPglite(folder));
const epoch = await store.claim('until killed');
let next = 0;

/** Eight writers keep group commits of several appends in flight. */
async function write(): Promise<never> {
  for (;;) {
    const n = next++;
    await store.append([{ stream: 'until killed', epoch, fact: n, unique: `until killed ${n}` }]);
    writeSync(1, `${n}\n`);
  }
}
await Promise.all(Array.from({ length: 8 }, write));
