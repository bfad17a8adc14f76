/**
 * The store on SQL: PGlite on a directory by default, PostgreSQL with the same statements when a hub grows. Rows are
 * locked in one order (streams by name), so that two hubs on one database neither deadlock nor interleave a stream.
 * Which database, and how it is opened, is its caller's business.
 */

import type { Json } from '../../core/json.ts';
import { DuplicateKeyError, type Store } from '../../protocol/ports.ts';
import { createGroupCommit } from './group-commit.ts';
import { judgeAppends, keysOf, staleEpoch, streamsOf, type Append } from './judge-appends.ts';

export type SqlRow = Readonly<Record<string, unknown>>;

export interface SqlConnection {
  /** Runs one statement; parameters stand as `$1`, `$2`, and an array of texts as `text[]`. */
  query(statement: string, parameters?: readonly SqlValue[]): Promise<readonly SqlRow[]>;
}
export type SqlValue = string | number | null | readonly string[];

export interface SqlDatabase extends SqlConnection {
  /** Commits when `work` resolves, rolls back when it rejects. */
  transaction<T>(work: (connection: SqlConnection) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const schema = [
  `CREATE TABLE IF NOT EXISTS tabswarm_streams (
     stream text PRIMARY KEY, epoch integer NOT NULL, snapshot text)`,
  `CREATE TABLE IF NOT EXISTS tabswarm_facts (
     position bigserial PRIMARY KEY, stream text NOT NULL, fact text NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS tabswarm_facts_by_stream ON tabswarm_facts (stream, position)`,
  `CREATE TABLE IF NOT EXISTS tabswarm_keys (key text PRIMARY KEY)`,
];

/** The store in this database, which it closes when it is closed itself. */
export async function createSqlStore(database: SqlDatabase): Promise<Store> {
  for (const statement of schema) await database.query(statement);
  const commits = createGroupCommit((appends) => commitAppends(database, appends));
  return {
    claim: (stream) => commits.alone(() => claim(database, stream)),
    append: commits.append,
    load: (stream) => commits.alone(() => database.transaction((connection) => load(connection, stream))),
    snapshot: (stream, epoch, state) =>
      commits.alone(() => database.transaction((connection) => snapshot(connection, stream, epoch, state))),
    streams: () =>
      commits.alone(async () => {
        const rows = await database.query('SELECT stream FROM tabswarm_streams ORDER BY stream COLLATE "C"');
        return rows.map((row) => String(row['stream']));
      }),
    close: () => commits.alone(() => database.close()),
  };
}

async function claim(database: SqlDatabase, stream: string): Promise<number> {
  const rows = await database.query(
    `INSERT INTO tabswarm_streams (stream, epoch) VALUES ($1, 1)
     ON CONFLICT (stream) DO UPDATE SET epoch = tabswarm_streams.epoch + 1
     RETURNING epoch`,
    [stream],
  );
  return Number(rows[0]?.['epoch']);
}

async function load(
  connection: SqlConnection,
  stream: string,
): Promise<{ readonly snapshot: Json | undefined; readonly facts: readonly Json[] }> {
  // The lock keeps another hub's snapshot from falling between the two reads.
  const [held] = await connection.query('SELECT snapshot FROM tabswarm_streams WHERE stream = $1 FOR SHARE', [stream]);
  const facts = await connection.query('SELECT fact FROM tabswarm_facts WHERE stream = $1 ORDER BY position', [stream]);
  const text = held?.['snapshot'];
  return {
    snapshot: typeof text === 'string' ? (JSON.parse(text) as Json) : undefined,
    facts: facts.map((row) => JSON.parse(String(row['fact'])) as Json),
  };
}

async function snapshot(connection: SqlConnection, stream: string, epoch: number, state: Json): Promise<void> {
  const [held] = await connection.query('SELECT epoch FROM tabswarm_streams WHERE stream = $1 FOR UPDATE', [stream]);
  const stale = staleEpoch(stream, epoch, held === undefined ? undefined : Number(held['epoch']));
  if (stale !== undefined) throw stale;
  await connection.query('UPDATE tabswarm_streams SET snapshot = $2 WHERE stream = $1', [
    stream,
    JSON.stringify(state),
  ]);
  await connection.query('DELETE FROM tabswarm_facts WHERE stream = $1', [stream]);
}

async function commitAppends(
  database: SqlDatabase,
  appends: readonly Append[],
): Promise<readonly (Error | undefined)[]> {
  try {
    return await database.transaction((connection) => insertAppends(connection, appends));
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    // Another hub took one of the keys between our look and our insert: each append is tried for itself.
    if (appends.length === 1) return [new DuplicateKeyError('a record with one of these keys exists already')];
    const refusals: (Error | undefined)[] = [];
    for (const append of appends) refusals.push(...(await commitAppends(database, [append])));
    return refusals;
  }
}

async function insertAppends(
  connection: SqlConnection,
  appends: readonly Append[],
): Promise<readonly (Error | undefined)[]> {
  const held = await connection.query(
    'SELECT stream, epoch FROM tabswarm_streams WHERE stream = ANY($1::text[]) ORDER BY stream FOR UPDATE',
    [streamsOf(appends)],
  );
  const epochs = new Map(held.map((row) => [String(row['stream']), Number(row['epoch'])]));
  const asked = keysOf(appends);
  const known =
    asked.length === 0
      ? []
      : await connection.query('SELECT key FROM tabswarm_keys WHERE key = ANY($1::text[])', [asked]);
  const taken = new Set(known.map((row) => String(row['key'])));
  const { refusals, records, keys } = judgeAppends(appends, {
    epochOf: (stream) => epochs.get(stream),
    hasKey: (key) => taken.has(key),
  });
  if (keys.length > 0) await connection.query('INSERT INTO tabswarm_keys (key) SELECT unnest($1::text[])', [keys]);
  if (records.length > 0) {
    await connection.query(
      `INSERT INTO tabswarm_facts (stream, fact)
       SELECT stream, fact FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS rows (stream, fact, place)
       ORDER BY place`,
      [records.map((record) => record.stream), records.map((record) => JSON.stringify(record.fact))],
    );
  }
  return refusals;
}

/** SQLSTATE 23505, as both PGlite and node-postgres report it. */
const isUniqueViolation = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === '23505';
