/**
 * A volunteer's hand on the stage that it holds: what the hub and the neighbours say goes to the stage's program, and what the
 * program says goes out: rows to the next stage, wishes to the one before it, tokens to the first or to the hub. Neighbours
 * are spoken to over a link of our own to them; until one stands, and where none can, the hub carries the words. A link that
 * breaks may have lost some: then the stage is wired anew, and asks for what it lacks.
 */

import type { PeerId } from '../core/ids.ts';
import type { StageTraffic } from '../adapters/worker/compute-client.ts';
import type { StageReply, StageWord } from '../programs/program.ts';
import type { Lease, LeaseKey, Message, MessageOf } from '../protocol/messages.ts';
import type { PeerLinks } from './peer-links.ts';

export interface StageDeskParts {
  /** Over the session with the hub. */
  readonly toHub: (message: Message, tails?: readonly Uint8Array[]) => void;
  /** Absent for a volunteer that wants no links to others: then the hub carries everything. */
  readonly peers?: Pick<PeerLinks, 'send' | 'linked' | 'hold' | 'roundTripMs'> | undefined;
  readonly changed: () => void;
}

/** What a volunteer's page shows of its stage. */
export interface StageView {
  readonly firstLayer: number;
  readonly layers: number;
  readonly stage: number;
  readonly stages: number;
  /** Weights on the device, once they lie there. */
  readonly bytes: number | undefined;
  /** Whether it stands in a pipeline, or waits to take over. */
  readonly isActive: boolean;
  /** Rows that went through its layers, in so many batches and milliseconds of GPU time. */
  readonly rows: number;
  readonly batches: number;
  readonly gpuMs: number;
  /** Tokens that were chosen or passed on. */
  readonly tokens: number;
  /** Bytes of activations that were sent on. */
  readonly sent: number;
  /** The link to the next stage; undefined where the hub carries what is said. */
  readonly nextRoundTripMs: number | undefined;
}

export interface StageDesk {
  /** The traffic of this lease's unit, until `close`. */
  open(lease: Lease): StageTraffic | undefined;
  close(lease: LeaseKey): void;
  /** True where the message was for the stage. */
  receive(from: 'hub' | PeerId, message: Message, tails: readonly Uint8Array[]): boolean;
  /** A link to another volunteer is gone. */
  lost(peer: PeerId): void;
  view(): StageView | undefined;
}

interface Open {
  readonly lease: Lease;
  tell: ((words: readonly StageWord[]) => void) | undefined;
  /** Words for a program that does not run yet. */
  early: StageWord[];
  previous: PeerId | undefined;
  next: PeerId | undefined;
  releases: (() => void)[];
  bytes: number | undefined;
  isActive: boolean;
  worked: Pick<StageView, 'rows' | 'batches' | 'gpuMs'>;
  tokens: number;
  sent: number;
}

export function createStageDesk({ toHub, peers, changed }: StageDeskParts): StageDesk {
  let open: Open | undefined;

  const tell = (stage: Open, word: StageWord): void => {
    if (stage.tell === undefined) stage.early.push(word);
    else stage.tell([word]);
  };

  const wire = (stage: Open, { previous, next }: Pick<MessageOf<'stage-wire'>, 'previous' | 'next'>): void => {
    for (const release of stage.releases) release();
    stage.previous = previous;
    stage.next = next;
    stage.isActive = true;
    const near = [...new Set([previous, next])].filter((peer) => peer !== undefined);
    stage.releases = near.map((peer) => peers?.hold(peer) ?? (() => {}));
    // Links take their time; the hub carries what is said until they stand.
    for (const peer of near) peers?.send(peer, { type: 'peer-ready' }).catch(() => {});
    tell(stage, { type: 'wired', previous, next });
    changed();
  };

  const send = (
    to: PeerId | undefined,
    message: MessageOf<'stage-rows' | 'stage-want' | 'stage-tokens'>,
    tail?: Uint8Array,
  ): void => {
    if (to === undefined) return;
    const tails = tail === undefined ? [] : [tail];
    if (peers?.linked(to) === undefined) return toHub({ ...message, to }, tails);
    // A link that breaks under the message is told by `lost`.
    peers.send(to, message, tails).catch(() => {});
  };

  const say = (stage: Open, reply: StageReply): void => {
    const { job, unit, attempt } = stage.lease;
    switch (reply.type) {
      case 'ready':
        stage.bytes = reply.bytes;
        toHub({ type: 'stage-ready', job, unit, attempt, bytes: reply.bytes });
        return changed();
      case 'rows':
        stage.sent += reply.bytes.byteLength;
        return send(stage.next, { type: 'stage-rows', job, rows: reply.rows.map(([a, b]) => [a, b]) }, reply.bytes);
      case 'worked':
        stage.worked = { rows: reply.rows, batches: reply.batches, gpuMs: reply.gpuMs };
        return changed();
      case 'want':
        return send(stage.previous, { type: 'stage-want', job, wants: reply.wants.map(([a, b]) => [a, b]) });
      case 'tokens': {
        stage.tokens += reply.tokens.length;
        const tokens = reply.tokens.map((token) => ({ ...token, top: [...token.top] }));
        const message = { type: 'stage-tokens', job, unit, attempt, tokens } as const;
        if (reply.to === 'hub') toHub(message);
        else send(stage.next, message);
      }
    }
  };

  const fromHub = (stage: Open, message: Message): boolean => {
    // What was said of a lease before this one.
    if ('attempt' in message && !isSame(stage.lease, message)) return true;
    switch (message.type) {
      case 'stage-wire':
        wire(stage, message);
        return true;
      case 'stage-open': {
        const { type: _type, job: _job, unit: _unit, attempt: _attempt, ...request } = message;
        tell(stage, { type: 'open', request });
        return true;
      }
      case 'stage-close':
        tell(stage, { type: 'close', streams: message.streams });
        return true;
      default:
        return false;
    }
  };

  const fromPeer = (stage: Open, from: PeerId, message: Message, tails: readonly Uint8Array[]): boolean => {
    switch (message.type) {
      case 'stage-want':
        tell(stage, { type: 'want', from, wants: message.wants });
        return true;
      case 'stage-rows': {
        // Nobody but the stage before may say what it gave.
        const bytes = tails[0]?.slice();
        if (from === stage.previous && bytes !== undefined) tell(stage, { type: 'rows', rows: message.rows, bytes });
        return true;
      }
      case 'stage-tokens':
        if (from === stage.previous) tell(stage, { type: 'tokens', tokens: message.tokens });
        return true;
      default:
        return false;
    }
  };

  return {
    open: (lease) => {
      if (lease.stage === undefined) return undefined;
      const stage: Open = {
        lease,
        tell: undefined,
        early: [],
        previous: undefined,
        next: undefined,
        releases: [],
        bytes: undefined,
        isActive: false,
        worked: { rows: 0, batches: 0, gpuMs: 0 },
        tokens: 0,
        sent: 0,
      };
      open = stage;
      return {
        begin: (words) => {
          stage.tell = words;
          if (stage.early.length > 0) words(stage.early.splice(0));
        },
        said: (replies) => {
          if (open === stage) for (const reply of replies) say(stage, reply);
        },
      };
    },
    close: (lease) => {
      const stage = open;
      if (stage === undefined || !isSame(stage.lease, lease)) return;
      for (const release of stage.releases) release();
      open = undefined;
      changed();
    },
    receive: (from, message, tails) => {
      if (!('job' in message) || !message.type.startsWith('stage-')) return false;
      if (open === undefined || message.job !== open.lease.job) return true;
      if (from !== 'hub') return fromPeer(open, from, message, tails);
      const relayedFrom = 'from' in message ? message.from : undefined;
      return relayedFrom === undefined ? fromHub(open, message) : fromPeer(open, relayedFrom, message, tails);
    },
    lost: (peer) => {
      const stage = open;
      if (stage === undefined || (peer !== stage.previous && peer !== stage.next)) return;
      wire(stage, { previous: stage.previous, next: stage.next });
    },
    view: () => {
      if (open?.lease.stage === undefined) return undefined;
      const { firstLayer, layers, stage, stages } = open.lease.stage;
      const { bytes, isActive, worked, tokens, sent, next } = open;
      const nextRoundTripMs = next === undefined ? undefined : peers?.roundTripMs(next);
      return { firstLayer, layers, stage, stages, bytes, isActive, ...worked, tokens, sent, nextRoundTripMs };
    },
  };
}

const isSame = (a: LeaseKey, b: LeaseKey): boolean => a.job === b.job && a.unit === b.unit && a.attempt === b.attempt;
