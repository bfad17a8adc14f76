/**
 * The keys of a browser profile, in IndexedDB: the account's, made by the first tab and shared by all, and the session
 * key of a hub that this profile hosts, so that its invitations stay valid. Their private parts cannot be read where
 * the platform has Ed25519. Clearing the site's data ends the account.
 */

import { openDB, type DBSchema } from 'idb';
import { ed25519, openStoredKey, type SigningKey, type StoredKey } from './ed25519.ts';

type KeyName = 'account' | 'host-session';

interface KeySchema extends DBSchema {
  keys: { key: KeyName; value: StoredKey };
}

export const loadAccountKey = (databaseName?: string): Promise<SigningKey> => loadKey('account', databaseName);

export const loadHostSessionKey = (databaseName?: string): Promise<SigningKey> => loadKey('host-session', databaseName);

/** The key in the database of this name, made where there is none. */
async function loadKey(name: KeyName, databaseName = 'tabswarm-keys'): Promise<SigningKey> {
  const database = await openDB<KeySchema>(databaseName, 1, {
    upgrade: (fresh) => {
      fresh.createObjectStore('keys');
    },
  });
  try {
    const stored = await database.get('keys', name);
    if (stored !== undefined) return await openStoredKey(stored);
    const made = await (await ed25519()).generate();
    // Two first tabs may both come here: the transaction lets one of their keys in, and both use that.
    const transaction = database.transaction('keys', 'readwrite');
    const earlier = await transaction.store.get(name);
    if (earlier === undefined) await transaction.store.put(made.stored, name);
    await transaction.done;
    return earlier === undefined ? made : await openStoredKey(earlier);
  } finally {
    database.close();
  }
}
