/**
 * The walls of the house as the rooms see them: links to peers, the durable store, chunks. Each has an adapter for its
 * platform, an in-memory twin, and one acceptance suite for both.
 */

import type { Bytes } from '../core/bytes.ts';
import type { Digest } from '../core/ids.ts';
import type { Json } from '../core/json.ts';
import type { Artifact } from './artifact.ts';

export type Lane = 'control' | 'bulk';

/** A connection to one peer: whole frames in order per lane, back-pressure on sending, bytes counted at the transport. */
export interface Link {
  /** Names this link's far end in messages to people, e.g. `peer 3fa9…` or `socket 127.0.0.1`. */
  readonly remote: string;
  /** The far end's address block (`127.0.0.0/8`, `203.0.113.0/24`), or `unknown`. */
  readonly addressBlock: string;
  /** Both ends' DTLS fingerprints in a fixed order, or empty where the transport has none; the hello signs it. */
  readonly binding: string;
  /** True where a relay (TURN) carries every byte. */
  readonly relayed?: boolean;
  /** Resolves when the frame is queued below the high-water mark; rejects with `LinkClosedError`. */
  send(lane: Lane, frame: Uint8Array): Promise<void>;
  /** Set once; frames that came earlier are held until then. */
  onFrame(receive: (lane: Lane, frame: Uint8Array) => void): void;
  /** Called once, with why; at once where the link is closed already. */
  onClose(closed: (reason: string) => void): void;
  close(reason: string): void;
  /** Payload and framing, counted where bytes enter and leave the transport. */
  readonly counted: { readonly sent: number; readonly received: number };
}

export class LinkClosedError extends Error {
  override readonly name = 'LinkClosedError';
}

/** What a hub listens with: PeerJS, a socket server, or memory. */
export interface Listener {
  onLink(accept: (link: Link) => void): void;
  close(): Promise<void>;
}

/** One fact for the log of one stream (a job's id, or `pool`). */
export interface StoreRecord {
  readonly stream: string;
  /** The epoch that `claim` returned; a record of an older epoch is refused. */
  readonly epoch: number;
  readonly fact: Json;
  /** A second record with the same key is refused: the last guard against double credit. */
  readonly unique?: string;
}

/** The durable log of facts. `append` is one transaction: all records or none. */
export interface Store {
  /** Takes the stream; whoever held it before can no longer append. */
  claim(stream: string): Promise<number>;
  append(records: readonly StoreRecord[]): Promise<void>;
  load(stream: string): Promise<{ readonly snapshot: Json | undefined; readonly facts: readonly Json[] }>;
  /** Replaces the facts so far by a state that equals their fold. Unique keys stay. */
  snapshot(stream: string, epoch: number, state: Json): Promise<void>;
  streams(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export class StaleEpochError extends Error {
  override readonly name = 'StaleEpochError';
}

export class DuplicateKeyError extends Error {
  override readonly name = 'DuplicateKeyError';
}

/** Content-addressed bytes on disk, in IndexedDB or in memory: manifests, chunks, results. */
export interface ChunkStore {
  has(digest: Digest): Promise<boolean>;
  /** Bytes whose digest was checked, or undefined. */
  get(digest: Digest): Promise<Bytes | undefined>;
  /** Refuses bytes whose SHA-256 is not `digest` with `ChunkCorruptError`. */
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  delete(digest: Digest): Promise<void>;
  /** What the store holds in all. */
  usage(): Promise<{ readonly chunks: number; readonly bytes: number }>;
  close(): Promise<void>;
}

export class ChunkCorruptError extends Error {
  override readonly name = 'ChunkCorruptError';
}

/** There is no room for the bytes, and nothing left to evict. */
export class ChunkQuotaError extends Error {
  override readonly name = 'ChunkQuotaError';
}

/** SHA-256 of large bytes by the platform's implementation; chunk stores get it as an argument. */
export type DigestBytes = (bytes: Uint8Array) => Promise<Digest>;

/** What programs read: verified bytes from the cache, a peer or the hub; fetched once. */
export interface Chunks {
  read(artifact: Artifact): Promise<Bytes>;
  /** The bytes from `start` to `end`, fetching only the chunks that hold them. */
  readRange(artifact: Artifact, start: number, end: number): Promise<Bytes>;
}
