/**
 * Which appends of a batch are taken. Every store asks this one function inside its transaction, so that all of them
 * refuse the same things: a record of an epoch that is no longer the stream's, and a unique key that exists already.
 * An append is refused whole; the others of its batch stand.
 */

import { DuplicateKeyError, StaleEpochError, type StoreRecord } from '../../protocol/ports.ts';

export type Append = readonly StoreRecord[];

/** What the store holds, as far as the batch touches it. */
export interface Held {
  /** The stream's epoch, or undefined where nobody has claimed it. */
  epochOf(stream: string): number | undefined;
  hasKey(key: string): boolean;
}

export interface Judgement {
  /** For each append, why it is refused, or undefined. */
  readonly refusals: readonly (Error | undefined)[];
  /** The records of the appends that stand, in order. */
  readonly records: readonly StoreRecord[];
  readonly keys: readonly string[];
}

export function judgeAppends(appends: readonly Append[], held: Held): Judgement {
  const keys = new Set<string>();
  const records: StoreRecord[] = [];
  const refusals = appends.map((append) => {
    const refusal = refuse(append, held, keys);
    if (refusal !== undefined) return refusal;
    for (const { unique } of append) if (unique !== undefined) keys.add(unique);
    records.push(...append);
    return undefined;
  });
  return { refusals, records, keys: [...keys] };
}

function refuse(append: Append, held: Held, earlierKeys: ReadonlySet<string>): Error | undefined {
  const ownKeys = new Set<string>();
  for (const { stream, epoch, unique } of append) {
    const stale = staleEpoch(stream, epoch, held.epochOf(stream));
    if (stale !== undefined) return stale;
    if (unique === undefined) continue;
    if (held.hasKey(unique) || earlierKeys.has(unique) || ownKeys.has(unique)) {
      return new DuplicateKeyError(`stream ${stream}: a record with the key ${unique} exists already`);
    }
    ownKeys.add(unique);
  }
  return undefined;
}

/** Why a holder with this epoch may not write to the stream, or undefined when it may. */
export function staleEpoch(stream: string, epoch: number, current: number | undefined): StaleEpochError | undefined {
  if (epoch === current) return undefined;
  const now = current === undefined ? 'was never claimed' : `is at epoch ${current}`;
  return new StaleEpochError(`stream ${stream}: written with epoch ${epoch}, but it ${now}`);
}

export const streamsOf = (appends: readonly Append[]): string[] =>
  [...new Set(appends.flatMap((append) => append.map((record) => record.stream)))].toSorted();

export const keysOf = (appends: readonly Append[]): string[] => [
  ...new Set(appends.flatMap((append) => append.flatMap(({ unique }) => (unique === undefined ? [] : [unique])))),
];
