/**
 * Where jobs are offered to a hub: gathers the manifest and the chunks it names, checks the submitter's signature, and
 * tells the machine what is still missing. Only chunks that the hub asked for are taken, and no manifest that it refused
 * stays; chunks of an offer that was broken off do, for its submitter to come back.
 */

import type { Digest, JobId, PeerId } from '../core/ids.ts';
import { manifestOfJob } from '../core/ids.ts';
import { chunkBytesMax } from '../core/limits.ts';
import { artifactsOf, decodeManifest, type Manifest } from '../protocol/manifest.ts';
import type { Verify } from '../protocol/identity.ts';
import { problem, ok, type Result } from '../core/result.ts';
import type { ChunkStore } from '../protocol/ports.ts';
import type { HubInput } from '../swarm/step.ts';

export interface SubmitDeskOptions {
  readonly chunks: ChunkStore;
  readonly verify: Verify;
  readonly unixSeconds: () => number;
  readonly submitted: (input: Extract<HubInput, { type: 'submitted' }>) => void;
  /** Whether a job that the hub has needs these bytes. */
  readonly needs: (digest: Digest) => boolean;
  readonly refuse: (peer: PeerId, what: string, reason: string) => void;
}

export interface SubmitDesk {
  offer(from: PeerId, account: string, job: JobId, signature: string): Promise<void>;
  /** The hub's machine asks this peer for these chunks. */
  asked(peer: PeerId, job: JobId, digests: readonly Digest[]): void;
  /** A chunk came in; stored where it was asked for. */
  chunk(from: PeerId, digest: Digest, bytes: Uint8Array): Promise<void>;
  lost(peer: PeerId): void;
}

interface Offer {
  readonly account: string;
  readonly job: JobId;
  readonly signature: string;
  readonly expected: Set<Digest>;
}

/** Jobs that a peer may be offering at once: each waits for chunks. */
const offersPerPeerMax = 256;

export function createSubmitDesk(options: SubmitDeskOptions): SubmitDesk {
  const offers = new Map<PeerId, Map<JobId, Offer>>();

  const evaluate = async (from: PeerId, offer: Offer): Promise<void> => {
    const { job, signature } = offer;
    const common = { type: 'submitted' as const, from, job, signature, unixSeconds: options.unixSeconds() };
    const bytes = await options.chunks.get(manifestOfJob(job));
    if (bytes === undefined) {
      options.submitted({ ...common, missing: [manifestOfJob(job)] });
      return;
    }
    const checked = await checkOffer(bytes, offer, options.verify);
    if (!checked.ok) {
      offers.get(from)?.delete(job);
      if (!options.needs(manifestOfJob(job))) await options.chunks.delete(manifestOfJob(job));
      options.refuse(from, 'submit', checked.error.text);
      return;
    }
    const missing = await missingChunks(checked.value, options.chunks);
    if (missing.length === 0) offers.get(from)?.delete(job);
    options.submitted({ ...common, manifest: checked.value, missing });
  };

  return {
    offer: async (from, account, job, signature) => {
      const offer: Offer = { account, job, signature, expected: new Set() };
      const ofPeer = offers.get(from) ?? new Map<JobId, Offer>();
      if (ofPeer.size >= offersPerPeerMax && !ofPeer.has(job)) {
        return options.refuse(from, `submit ${job}`, `a peer may have ${offersPerPeerMax} open offers, not more`);
      }
      offers.set(from, ofPeer.set(job, offer));
      await evaluate(from, offer);
    },
    asked: (peer, job, digests) => {
      const offer = offers.get(peer)?.get(job);
      for (const digest of digests) offer?.expected.add(digest);
    },
    chunk: async (from, digest, bytes) => {
      if (bytes.byteLength > chunkBytesMax) {
        return options.refuse(from, `chunk ${digest}`, `${bytes.byteLength} bytes, the most is ${chunkBytesMax}`);
      }
      for (const offer of offers.get(from)?.values() ?? []) {
        if (!offer.expected.has(digest)) continue;
        await options.chunks.put(digest, bytes);
        offer.expected.delete(digest);
        if (offer.expected.size === 0) await evaluate(from, offer);
        return;
      }
      options.refuse(from, `chunk ${digest}`, 'this chunk was not asked for');
    },
    lost: (peer) => {
      offers.delete(peer);
    },
  };
}

async function checkOffer(bytes: Uint8Array, offer: Offer, verify: Verify): Promise<Result<Manifest>> {
  const manifest = decodeManifest(bytes);
  if (!manifest.ok) return manifest;
  if (manifest.value.submitter !== offer.account) {
    return problem('manifest', 'manifest: names another submitter than the one who sends it');
  }
  const valid = await verify(manifest.value.submitter, 'manifest', bytes, offer.signature);
  return valid
    ? ok(manifest.value)
    : problem('signature', 'manifest: its signature is not the submitter’s; sign the exact bytes');
}

async function missingChunks(manifest: Manifest, chunks: ChunkStore): Promise<Digest[]> {
  const missing = new Set<Digest>();
  for (const [, artifact] of artifactsOf(manifest)) {
    for (const digest of artifact.chunks) if (!missing.has(digest) && !(await chunks.has(digest))) missing.add(digest);
  }
  return [...missing];
}
