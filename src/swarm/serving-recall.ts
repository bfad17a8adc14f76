/**
 * A stage that nobody has stops its whole pipeline. When nobody comes for it, somebody who only stands by elsewhere is called to
 * it, or who waits in a later pipeline that is not whole either. Here it is decided for which stage and who; `serving.ts` moves
 * them.
 */

import { reconnectMsMax } from '../core/limits.ts';
import type { Place } from './serving-places.ts';

/** A tab whose link broke is back within this. */
const emptyMsMax = reconnectMsMax + 1_000;

export interface RecallPort {
  isHeld(place: Place): boolean;
  /** Whether this place computes its stage now. */
  isActive(place: Place): boolean;
  /** Whether every stage of the pipeline is computed by somebody. */
  isUp(pipeline: number): boolean;
  /** Whether the volunteer of the one place could hold the other. */
  couldMove(from: Place, to: Place): boolean;
}

export class Recall {
  private readonly order: readonly Place[];
  private readonly port: RecallPort;
  /** The places of each stage. */
  private readonly stages = new Map<string, Place[]>();
  /** Stages that nobody has, since when. */
  private readonly emptySince = new Map<string, number>();

  /** `order` is that in which places are filled; who came last is called first. */
  constructor(order: readonly Place[], port: RecallPort) {
    this.order = order;
    this.port = port;
    for (const place of order) this.stages.set(stageKey(place), [...this.stageOf(place), place]);
  }

  /** All places of this one's stage, itself among them. */
  stageOf(place: Place): readonly Place[] {
    return this.stages.get(stageKey(place)) ?? [];
  }

  /** One volunteer to move, if somebody should: each move leaves fewer stages empty, or an earlier pipeline fuller. */
  next(now: number): { readonly from: Place; readonly to: Place } | undefined {
    for (const [key, places] of this.stages) {
      const [to] = places;
      const since = this.emptySince.get(key) ?? now;
      if (to === undefined || places.some((place) => this.port.isHeld(place))) this.emptySince.delete(key);
      else this.emptySince.set(key, since);
      if (to === undefined || !this.emptySince.has(key) || now - since < emptyMsMax) continue;
      const from = this.order.findLast((place) => this.isSpare(place, to));
      if (from !== undefined) return { from, to };
    }
    return undefined;
  }

  private isSpare(place: Place, to: Place): boolean {
    const { isHeld, isActive, isUp, couldMove } = this.port;
    if (!isHeld(place) || !couldMove(place, to)) return false;
    const stands = !isActive(place) && this.stageOf(place).filter((one) => isHeld(one)).length > 1;
    return stands || (place.pipeline > to.pipeline && !isUp(place.pipeline));
  }
}

export const stageKey = ({ pipeline, stage }: Place): string => `${pipeline}/${stage}`;
