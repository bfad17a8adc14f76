/**
 * PGlite, PostgreSQL in this process, on a directory: the hub's default database. It neither locks its directory nor
 * flushes to the disk: the hub takes a lock file, and what was acknowledged survives the process's death.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite, type Transaction } from '@electric-sql/pglite';
import type { SqlConnection, SqlDatabase, SqlRow, SqlValue } from '../adapters/store/sql-store.ts';

/** The database in this folder, made where it is missing. */
export async function openPglite(folder: string): Promise<SqlDatabase> {
  await mkdir(folder, { recursive: true });
  const database = await PGlite.create({ dataDir: folder, relaxedDurability: false });
  return {
    ...connectionOf(database),
    transaction: (work) => database.transaction((transaction) => work(connectionOf(transaction))),
    close: async () => {
      if (!database.closed) await database.close();
    },
  };
}

const connectionOf = (connection: PGlite | Transaction): SqlConnection => ({
  query: async (statement: string, parameters: readonly SqlValue[] = []) => {
    const { rows } = await connection.query<SqlRow>(statement, [...parameters]);
    return rows;
  },
});

/** Where a hub's data folder holds its log. */
export const logFolder = (dataFolder: string): string => join(dataFolder, 'log');
