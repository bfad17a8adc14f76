/**
 * Where results come in: the receipt must speak of this very result and carry the volunteer's signature, and the bytes
 * must have the digest that was signed. Only what the machine would take is stored, and only what it took stays, so
 * that nobody fills the hub's disk with results that were never lent to them.
 */

import { utf8 } from '../core/bytes.ts';
import type { AccountId, Digest, PeerId } from '../core/ids.ts';
import type { Verify } from '../protocol/identity.ts';
import type { LeaseKey, MessageOf } from '../protocol/messages.ts';
import type { ChunkStore, DigestBytes } from '../protocol/ports.ts';
import { decodeReceipt } from '../protocol/receipt.ts';

export interface ResultDeskParts {
  readonly verify: Verify;
  readonly digestOf: DigestBytes;
  readonly chunks: ChunkStore;
  /** Whether the machine would take this attempt's result from this peer now. */
  readonly wants: (from: PeerId, attempt: LeaseKey) => boolean;
  /** Whether the machine needs these bytes now. */
  readonly needs: (digest: Digest) => boolean;
  /** To the machine; `receipt` is the signed statement: exact text, a line break, the signature. */
  readonly deliver: (from: PeerId, message: MessageOf<'result'>) => void;
}

export interface ResultDesk {
  take(message: MessageOf<'result'>, bytes: Uint8Array, from: { peer: PeerId; account: AccountId }): Promise<void>;
  /** The machine let go of these bytes; they are deleted unless it needs them again, or the same are just coming in. */
  forget(digest: Digest): Promise<void>;
}

export function createResultDesk(parts: ResultDeskParts): ResultDesk {
  const { verify, digestOf, chunks, wants, needs, deliver } = parts;
  /** How many results with these bytes are being stored. */
  const arriving = new Map<Digest, number>();

  const check = async (message: MessageOf<'result'>, bytes: Uint8Array, account: AccountId): Promise<void> => {
    const receipt = decodeReceipt(message.receipt);
    if (!receipt.ok) throw new Error(receipt.error.text);
    const { job, unit, attempt, result, volunteer } = receipt.value;
    const isSame =
      job === message.job && unit === message.unit && attempt === message.attempt && result === message.digest;
    if (!isSame || volunteer !== account)
      throw new Error('receipt: speaks of another result than the one it came with');
    if (!(await verify(account, 'receipt', utf8(message.receipt), message.signature))) {
      throw new Error('receipt: its signature is not the volunteer’s');
    }
    if ((await digestOf(bytes)) !== message.digest) {
      throw new Error('result: its bytes do not have the digest that was signed');
    }
  };

  const forget = async (digest: Digest): Promise<void> => {
    if (!needs(digest) && !arriving.has(digest)) await chunks.delete(digest);
  };

  return {
    take: async (message, bytes, { peer, account }) => {
      // Nothing to keep; the machine tells the volunteer what became of it.
      if (!wants(peer, message)) return deliver(peer, message);
      await check(message, bytes, account);
      const receipt = `${message.receipt}\n${message.signature}`;
      const receiptDigest = await digestOf(utf8(receipt));
      const { digest } = message;
      arriving.set(digest, (arriving.get(digest) ?? 0) + 1);
      let taken = false;
      try {
        await chunks.put(digest, bytes);
        await chunks.put(receiptDigest, utf8(receipt));
        taken = wants(peer, message);
        deliver(peer, { ...message, receipt });
      } finally {
        const others = (arriving.get(digest) ?? 1) - 1;
        if (others > 0) arriving.set(digest, others);
        else arriving.delete(digest);
        if (!taken) await Promise.all([forget(digest), chunks.delete(receiptDigest)]);
      }
    },
    forget,
  };
}
