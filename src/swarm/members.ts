/** Who is connected now, by peer and by account: an account may have several tabs open. Nothing here is durable. */

import type { AccountId, PeerId } from '../core/ids.ts';
import type { Member } from './pool.ts';
import type { HubInput } from './step.ts';

export class Members {
  private readonly byPeer = new Map<PeerId, Member>();
  private readonly byAccount = new Map<AccountId, Set<Member>>();

  get(peer: PeerId): Member | undefined {
    return this.byPeer.get(peer);
  }

  all(): Member[] {
    return [...this.byPeer.values()];
  }

  ofAccount(account: AccountId): Iterable<Member> {
    return this.byAccount.get(account) ?? [];
  }

  add(member: Member): void {
    this.byPeer.set(member.peer, member);
    const tabs = this.byAccount.get(member.account) ?? new Set();
    this.byAccount.set(member.account, tabs.add(member));
  }

  remove(member: Member): void {
    this.byPeer.delete(member.peer);
    const tabs = this.byAccount.get(member.account);
    tabs?.delete(member);
    if (tabs?.size === 0) this.byAccount.delete(member.account);
  }
}

/** Somebody who has just connected and has said nothing yet. */
export const newMember = (
  { peer, account, role, addressBlock }: Extract<HubInput, { type: 'connected' }>,
  now: number,
): Member => ({
  peer,
  account,
  role,
  block: addressBlock,
  since: now,
  device: undefined,
  speeds: {},
  slots: 0,
  leases: new Set(),
  seatOf: undefined,
  lastJob: undefined,
  lastReturn: now,
  recentMs: Infinity,
  failuresInARow: 0,
  backoffUntil: 0,
});
