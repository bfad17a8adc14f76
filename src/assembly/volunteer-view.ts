/** What a volunteer's page shows: one plain value that the volunteer publishes whenever something changed. */

import type { DeviceDescription } from '../protocol/messages.ts';
import type { ChunkCounts } from './chunk-exchange.ts';
import type { StageView } from './stage-desk.ts';

export type VolunteerPhase = 'stopped' | 'starting' | 'running' | 'paused' | 'failed';

export interface CurrentUnit {
  readonly job: string;
  readonly jobName: string;
  readonly program: string;
  readonly submitter: string;
  readonly unit: number;
  /** From 0 to 1. */
  readonly done: number;
}

export interface VolunteerView {
  readonly phase: VolunteerPhase;
  readonly hub: { readonly address: string; readonly state: 'offline' | 'connecting' | 'connected' };
  readonly account: string | undefined;
  readonly device: DeviceDescription | undefined;
  readonly current: CurrentUnit | undefined;
  /** Leases held, the current one included. */
  readonly held: number;
  /** Results sent; of these, found right by others; found wrong. */
  readonly sent: number;
  readonly verified: number;
  readonly wrong: number;
  readonly credit: number;
  readonly excluded: boolean;
  /** Units finished per minute, over the last minutes of work. */
  readonly unitsPerMinute: number;
  /** Bytes of chunks that had to be fetched. */
  readonly fetchedBytes: number;
  /** Where the bytes of chunks came from, and what was passed on to other volunteers. */
  readonly weights: ChunkCounts;
  /** The stage of a served model that this volunteer holds. */
  readonly stage: StageView | undefined;
  /** The newest lines first: what happened, in plain words. */
  readonly log: readonly { readonly at: number; readonly text: string }[];
  /** Why it failed, with the mend. */
  readonly problem: string | undefined;
}

export const stoppedView = (address: string): VolunteerView => ({
  phase: 'stopped',
  hub: { address, state: 'offline' },
  account: undefined,
  device: undefined,
  current: undefined,
  held: 0,
  sent: 0,
  verified: 0,
  wrong: 0,
  credit: 0,
  excluded: false,
  unitsPerMinute: 0,
  fetchedBytes: 0,
  weights: { cached: 0, hub: 0, peers: 0, givers: 0, passedOn: 0, wasted: 0 },
  stage: undefined,
  log: [],
  problem: undefined,
});
