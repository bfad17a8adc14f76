/**
 * Where results come in: the receipt must speak of this very result and carry the volunteer's signature, and the bytes
 * must have the digest that was signed, before they are stored and the machine hears of them.
 */

import { utf8 } from '../core/bytes.ts';
import type { AccountId, PeerId } from '../core/ids.ts';
import type { Verify } from '../protocol/identity.ts';
import type { LeaseKey, MessageOf } from '../protocol/messages.ts';
import type { ChunkStore, DigestBytes } from '../protocol/ports.ts';
import { decodeReceipt } from '../protocol/receipt.ts';

export interface ResultDeskParts {
  readonly verify: Verify;
  readonly digestOf: DigestBytes;
  readonly chunks: ChunkStore;
}

export interface ResultDesk {
  /** The message as the machine takes it: `receipt` is the signed statement, exact text, a line break, the signature. */
  take(
    message: MessageOf<'result'>,
    bytes: Uint8Array,
    from: { peer: PeerId; account: AccountId },
  ): Promise<MessageOf<'result'>>;
  /** Who delivered this attempt; known until it is asked for. */
  delivererOf(attempt: LeaseKey): PeerId | undefined;
}

export function createResultDesk({ verify, digestOf, chunks }: ResultDeskParts): ResultDesk {
  const deliveredBy = new Map<string, PeerId>();

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

  return {
    take: async (message, bytes, { peer, account }) => {
      await check(message, bytes, account);
      await chunks.put(message.digest, bytes);
      const signed = `${message.receipt}\n${message.signature}`;
      await chunks.put(await digestOf(utf8(signed)), utf8(signed));
      deliveredBy.set(attemptKey(message), peer);
      return { ...message, receipt: signed };
    },
    delivererOf: (attempt) => {
      const peer = deliveredBy.get(attemptKey(attempt));
      deliveredBy.delete(attemptKey(attempt));
      return peer;
    },
  };
}

const attemptKey = ({ job, unit, attempt }: LeaseKey): string => `${job}/${unit}/${attempt}`;
