/**
 * What a hub shows of itself: to a dashboard, the CLI and metrics as a view, to whoever asks for jobs as a list that fits
 * one message. It only reads; what it reads is kept by `hub.ts` and its parts.
 */

import { utf8 } from '../core/bytes.ts';
import type { AccountId, JobId, PeerId } from '../core/ids.ts';
import { headerBytesMax } from '../core/limits.ts';
import type { DeviceDescription, JobState, MessageOf, Role } from '../protocol/messages.ts';
import type { Coordinator } from './coordinator.ts';
import type { LedgerEntry } from './credit.ts';
import type { Member, PoolState } from './pool.ts';

export interface HubView {
  readonly volunteers: readonly VolunteerView[];
  readonly jobs: readonly JobState[];
  readonly accounts: readonly AccountView[];
  readonly ledger: readonly LedgerEntry[];
  readonly draining: boolean;
}

export interface VolunteerView {
  readonly peer: PeerId;
  readonly account: AccountId;
  readonly role: Role;
  readonly addressBlock: string;
  readonly device: DeviceDescription | undefined;
  readonly leases: number;
  readonly job: JobId | undefined;
}

export interface AccountView {
  readonly account: AccountId;
  readonly agreed: number;
  readonly disagreed: number;
  readonly excluded: boolean;
  readonly units: number;
  readonly credit: number;
}

export function viewHub(
  members: readonly Member[],
  coordinators: readonly Coordinator[],
  pool: PoolState,
  draining: boolean,
): HubView {
  return {
    volunteers: members.filter(({ role }) => role === 'volunteer').map(viewVolunteer),
    jobs: coordinators.map((coordinator) => coordinator.state()),
    accounts: [...pool.accounts].map(([account, record]) => ({ account, ...record })),
    ledger: pool.ledger,
    draining,
  };
}

const viewVolunteer = ({ peer, account, role, block, device, leases, lastJob }: Member): VolunteerView => ({
  peer,
  account,
  role,
  addressBlock: block,
  device,
  leases: leases.size,
  job: leases.size > 0 ? lastJob : undefined,
});

/** Jobs in one answer to `list-jobs`, and the bytes of a header that they may take. */
const jobsListedMax = 100;
const jobsListedBytesMax = headerBytesMax - 1024;

/** The newest jobs, as many as fit one message, the newest last. */
export function listJobs(coordinators: readonly Coordinator[]): MessageOf<'jobs'>['jobs'] {
  const jobs: MessageOf<'jobs'>['jobs'] = [];
  let bytes = 0;
  for (const coordinator of coordinators.slice(-jobsListedMax).toReversed()) {
    const { type: _type, round: _round, report: _report, ...state } = coordinator.state();
    bytes += utf8(JSON.stringify(state)).byteLength + 1;
    if (bytes > jobsListedBytesMax) break;
    jobs.push(state);
  }
  return jobs.toReversed();
}
