/**
 * How many rounds the loops of one invocation may make. The budget begins small, so that an endless loop costs the
 * volunteer milliseconds; a unit that spends it runs again with eight times as much, and the job's later units begin
 * there. It ends where the job's time ends, where one dispatch would take so long that the system resets the GPU, or
 * where the device would end the loop by itself without telling anybody.
 */

import { deviceCannot } from '../protocol/failures.ts';
import type { RewrittenShader } from './shader-rewrite.ts';

/** Rounds at first, which take a processor about a millisecond. */
const firstRounds = 65_536;
const growth = 8;
/** The budget is one u32. */
const roundsMax = 0xffff_ffff;
/** One dispatch may not last longer: Windows resets a GPU after two seconds. */
const dispatchMsMax = 1000;
/**
 * Devices that end loops count for a whole vector of up to eight invocations, whose loops take turns where they differ;
 * so an invocation by itself may count on an eighth only. A single loop that is entered once is counted exactly.
 */
const vectorWidth = 8;

/** A loop of the unit did not end within any budget that it may have. */
export class LoopBudgetError extends Error {
  override readonly name = 'LoopBudgetError';
}

export interface SpentBudget {
  /** One more than the loop's index. */
  readonly loop: number;
  /** Time and workgroups of the dispatches in which it happened. */
  readonly ms: number;
  readonly groups: number;
  /** GPU time of the unit so far. */
  readonly usedMs: number;
}

export interface LoopBudget {
  readonly rounds: number;
  /** The next try begins with single workgroups. */
  readonly isCareful: boolean;
  /** Sets the next budget, or throws `LoopBudgetError`. */
  spent(spent: SpentBudget): void;
}

export function createLoopBudget(
  { loops, counters, isOneLoop }: RewrittenShader,
  unitSeconds: number,
  deviceRoundsMax: number | undefined,
): LoopBudget {
  const deviceRounds = deviceRoundsMax === undefined ? roundsMax : deviceBudget(deviceRoundsMax, isOneLoop, counters);
  let rounds = Math.min(firstRounds, deviceRounds);
  let isCareful = false;
  return {
    get rounds() {
      return rounds;
    },
    get isCareful() {
      return isCareful;
    },
    spent({ loop, ms, groups, usedMs }) {
      const where = `${loops[loop - 1] ?? 'a loop'}: this loop did not end within ${rounds} rounds`;
      if (rounds >= deviceRounds && deviceRounds < roundsMax) {
        throw new LoopBudgetError(
          `${deviceCannot}${where}, and beyond that it may end loops without an error (its limit is ${deviceRoundsMax}); cut the work into more steps`,
        );
      }
      if (usedMs >= unitSeconds * 1000 || rounds >= roundsMax) {
        throw new LoopBudgetError(
          `${where} and ${(usedMs / 1000).toFixed(1)} s; its job allows ${unitSeconds} s (limits.unitSeconds): see that it ends, or raise the limit`,
        );
      }
      const factor = Math.min(growth, dispatchMsMax / Math.max(ms, 1e-3));
      if (factor < 2 && (groups === 1 || isCareful)) {
        throw new LoopBudgetError(
          `${where}, which took this device ${(ms / 1000).toFixed(1)} s in one dispatch; see that it ends, or cut the work into more steps`,
        );
      }
      isCareful = factor < growth;
      rounds = Math.min(deviceRounds, Math.floor(rounds * (factor < 2 ? 1 : factor)));
    },
  };
}

/** The rounds that an invocation may count on where the device ends loops after `most`. */
const deviceBudget = (most: number, isOneLoop: boolean, counters: number): number =>
  Math.max(1, isOneLoop ? most - 1 : Math.floor(most / vectorWidth / Math.max(1, counters)));
