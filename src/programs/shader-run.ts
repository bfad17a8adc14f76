/**
 * Runs the steps of a shader job's unit in pieces that a volunteer does not feel: grids are dispatched in slices whose
 * size follows what earlier slices took, and between pieces the unit can be aborted, its time is held against the job's
 * limit, and it is seen whether a loop spent its budget. A kernel is learned on the job's own first slices, each of which
 * counts, so that nothing runs twice unless a budget was spent; then the whole unit starts again on zeroed buffers.
 */

import type { Binding, Device, DeviceBuffer, Dispatch, Pipeline } from '../kernels/device.ts';
import type { Grid } from '../kernels/grid.ts';
import { createLoopBudget, type LoopBudget } from './loop-budget.ts';
import { groupsOf, slicesOf, type Slice } from './slices.ts';
import type { RewrittenShader } from './shader-rewrite.ts';

/** Work handed to the GPU at once: short of the 100 ms that a submit may take, as estimates err. */
export const pieceMs = 50;
/** Workgroups of the first slice of a grid of which nothing is known, and how fast slices grow from there. */
const firstGroups = 16;
const growth = 8;
/** Dispatches of a piece however short they are; between pieces a unit can be aborted. */
const dispatchesAtOnce = 64;
const unknownAtOnce = 4;
/** Below this an estimate says nothing. */
const groupMsMin = 1e-6;

/** The unit took longer than its job allows. */
export class UnitTimeError extends Error {
  override readonly name = 'UnitTimeError';
}

/** Thrown by `run` when its signal was aborted. */
export class UnitAbortedError extends Error {
  override readonly name = 'UnitAbortedError';
}

export interface ShaderStepPlan {
  readonly pipeline: Pipeline;
  readonly grid: Grid;
  readonly repeat: number;
}

export interface ShaderPlan {
  readonly rewritten: RewrittenShader;
  readonly steps: readonly ShaderStepPlan[];
  readonly loop: number;
  readonly unitSeconds: number;
  /** What a unit reads its spent budgets from; absent where no loop has one. */
  readonly spent: DeviceBuffer | undefined;
}

export interface UnitRun {
  readonly unit: number;
  readonly bindings: readonly Binding[];
  readonly signal: AbortSignal;
  readonly progress: (done: number) => void;
  /** Milliseconds of GPU time used so far. */
  readonly gpuMs: () => number;
  /** Puts each buffer as the unit must find it: before the first try and before every other. */
  readonly fill: () => Promise<void>;
}

export interface ShaderRunner {
  /** Runs all steps; the outputs are in their buffers then. Rejects with a named error. */
  run(unit: UnitRun): Promise<void>;
}

/** What is known of a step's cost: the mean of its last piece. */
interface Cost {
  msPerGroup: number;
  /** The largest slice that was timed. */
  groups: number;
}

/** One runner per open job: what units teach, later ones use. */
export function createShaderRunner(plan: ShaderPlan, device: Device): ShaderRunner {
  const costs: (Cost | undefined)[] = plan.steps.map(() => undefined);
  const budget = createLoopBudget(plan.rewritten, plan.unitSeconds, device.limits.loopIterationsMax);
  return {
    async run(unit) {
      const startedMs = unit.gpuMs();
      const usedMs = (): number => unit.gpuMs() - startedMs;
      for (;;) {
        await unit.fill();
        const spent = await new Attempt(plan, device, costs, budget, unit, usedMs).run();
        if (spent === undefined) return;
        budget.spent({ ...spent, usedMs: usedMs() });
        costs.fill(undefined);
      }
    },
  };
}

interface Spent {
  /** One more than the loop's index. */
  readonly loop: number;
  /** The piece in which it happened: its time and its largest slice. */
  readonly ms: number;
  readonly groups: number;
}

/** One try at a unit with one budget. */
class Attempt {
  private readonly plan: ShaderPlan;
  private readonly device: Device;
  private readonly costs: (Cost | undefined)[];
  private readonly budget: LoopBudget;
  private readonly unit: UnitRun;
  private readonly usedMs: () => number;
  private piece: { readonly dispatch: Dispatch; readonly step: number; readonly groups: number }[] = [];
  private expectedMs = 0;
  /** What was handed over since the last wait: by step, all its workgroups and those of its largest slice. */
  private handed = new Map<number, { all: number; largest: number }>();
  private handedMs = 0;
  private isUnknown = false;
  private timed = 0;
  private done = 0;
  private readonly total: number;

  constructor(
    plan: ShaderPlan,
    device: Device,
    costs: (Cost | undefined)[],
    budget: LoopBudget,
    unit: UnitRun,
    usedMs: () => number,
  ) {
    this.plan = plan;
    this.device = device;
    this.costs = costs;
    this.budget = budget;
    this.unit = unit;
    this.usedMs = usedMs;
    this.timed = usedMs();
    this.total = plan.loop * plan.steps.reduce((sum, { grid, repeat }) => sum + groupsOf(grid) * repeat, 0);
  }

  /** Undefined once all is done; else which loop was cut short. */
  async run(): Promise<Spent | undefined> {
    const { spent } = this.plan;
    if (spent !== undefined) this.device.clear(spent);
    for (const { slice, step } of this.slices()) {
      const { pipeline, grid } = this.step(step);
      const cost = this.costs[step];
      const groups = groupsOf(slice.size);
      const uniform = sliceBytes(slice, grid, this.budget.rounds);
      const bindings = [...this.unit.bindings, { binding: this.plan.rewritten.sliceBinding, uniform }];
      this.piece.push({ dispatch: { pipeline, bindings, grid: slice.size }, step, groups });
      if (cost === undefined) this.isUnknown = true;
      else this.expectedMs += cost.msPerGroup * groups;
      const isFull =
        this.expectedMs >= pieceMs / 2 || this.piece.length >= (this.isUnknown ? unknownAtOnce : dispatchesAtOnce);
      // A slice that was cut must be timed before the next one is: its size depends on it.
      if (!isFull && !(this.isUnknown && groups < groupsOf(grid))) continue;
      const cut = await this.handOver();
      if (cut !== undefined) return cut;
    }
    return this.handOver(true);
  }

  private step(index: number): ShaderStepPlan {
    const step = this.plan.steps[index];
    if (step === undefined) throw new RangeError(`there is no step ${index}`);
    return step;
  }

  /** Every slice of every step, repeated as the job says; its size is settled when it is asked for. */
  private *slices(): Generator<{ readonly slice: Slice; readonly step: number }> {
    const { steps, loop } = this.plan;
    for (let round = 0; round < loop; round++) {
      for (const [step, { grid, repeat }] of steps.entries()) {
        for (let time = 0; time < repeat; time++) {
          for (const slice of slicesOf(grid, () => this.groupsMax(step))) yield { slice, step };
        }
      }
    }
  }

  private groupsMax(step: number): number {
    const cost = this.costs[step];
    if (cost === undefined) return this.budget.isCareful ? 1 : firstGroups;
    return Math.min(pieceMs / cost.msPerGroup, cost.groups * growth);
  }

  private async handOver(isLast = false): Promise<Spent | undefined> {
    const { unit, progress, signal } = this.unit;
    if (signal.aborted) {
      // What was handed over already ends, and its errors with it: the next unit starts on a clean device.
      await this.device.flush().catch(() => undefined);
      throw new UnitAbortedError(`unit ${unit} was aborted`);
    }
    const piece = this.piece.splice(0);
    if (piece.length > 0) await this.device.run(piece.map(({ dispatch }) => dispatch));
    for (const { step, groups } of piece) {
      const handed = this.handed.get(step) ?? { all: 0, largest: 0 };
      this.handed.set(step, { all: handed.all + groups, largest: Math.max(handed.largest, groups) });
      this.done += groups;
    }
    this.handedMs += this.expectedMs;
    this.expectedMs = 0;
    const mustWait = isLast || this.isUnknown || this.handedMs >= pieceMs;
    const spent = mustWait ? await this.wait(isLast) : undefined;
    progress(Math.min(0.99, this.done / this.total));
    return spent;
  }

  /** Waits for everything handed over, and learns from its time. */
  private async wait(isLast: boolean): Promise<Spent | undefined> {
    const { spent, unitSeconds } = this.plan;
    let loop = 0;
    if (spent === undefined) await this.device.flush();
    else loop = new DataView((await this.device.read(spent, 0, 4)).buffer).getUint32(0, true);
    const now = this.usedMs();
    const ms = now - this.timed;
    const groups = Math.max(1, ...[...this.handed.values()].map(({ largest }) => largest));
    this.learn(ms);
    this.timed = now;
    this.handed.clear();
    this.handedMs = 0;
    this.isUnknown = false;
    if (loop > 0) return { loop, ms, groups };
    if (now > unitSeconds * 1000 && !isLast) {
      const ran = (now / 1000).toFixed(1);
      throw new UnitTimeError(
        `unit ${this.unit.unit} has computed for ${ran} s and is not done, its job allows ${unitSeconds} s (limits.unitSeconds): make units smaller or raise the limit`,
      );
    }
    return undefined;
  }

  private learn(ms: number): void {
    const ratio = ms / Math.max(1e-6, this.handedMs);
    let unknownGroups = 0;
    for (const [step, { all }] of this.handed) if (this.costs[step] === undefined) unknownGroups += all;
    for (const [step, { largest }] of this.handed) {
      const cost = this.costs[step];
      if (cost === undefined) {
        const msPerGroup = Math.max(groupMsMin, (ms - this.handedMs) / unknownGroups);
        this.costs[step] = { msPerGroup, groups: largest };
      } else if (unknownGroups === 0) {
        // Up at once, down by halves, unless the slice has grown: a larger one tells more of a GPU's parallel work.
        const hasGrown = largest > cost.groups;
        const factor = ratio > 1 || hasGrown ? ratio : Math.sqrt(ratio);
        cost.msPerGroup = Math.max(groupMsMin, cost.msPerGroup * factor);
        cost.groups = Math.max(cost.groups, largest);
      }
    }
  }
}

/** What the rewritten shader reads as its slice. */
function sliceBytes({ offset, size }: Slice, grid: Grid, budget: number): Uint8Array {
  return new Uint8Array(new Uint32Array([...offset, budget, ...grid, 0, ...size, 0]).buffer);
}
