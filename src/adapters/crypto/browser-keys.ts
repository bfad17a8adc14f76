/**
 * The account key of a browser profile, in IndexedDB: made by the first tab, shared by all. Its private part cannot be
 * read where the platform has Ed25519. Clearing the site's data ends the account.
 */

import { openDB, type DBSchema } from 'idb';
import { ed25519, openStoredKey, type SigningKey, type StoredKey } from './ed25519.ts';

interface KeySchema extends DBSchema {
  keys: { key: 'account'; value: StoredKey };
}

/** The key in the database of this name, made where there is none. */
export async function loadAccountKey(databaseName = 'tabswarm-keys'): Promise<SigningKey> {
  const database = await openDB<KeySchema>(databaseName, 1, {
    upgrade: (fresh) => {
      fresh.createObjectStore('keys');
    },
  });
  try {
    const stored = await database.get('keys', 'account');
    if (stored !== undefined) return await openStoredKey(stored);
    const made = await (await ed25519()).generate();
    // Two first tabs may both come here: the transaction lets one of their keys in, and both use that.
    const transaction = database.transaction('keys', 'readwrite');
    const earlier = await transaction.store.get('account');
    if (earlier === undefined) await transaction.store.put(made.stored, 'account');
    await transaction.done;
    return earlier === undefined ? made : await openStoredKey(earlier);
  } finally {
    database.close();
  }
}
