/**
 * What the hub does between two rounds: contributions in, next parameters out. Pure, and the same bits wherever it runs;
 * the outer optimiser's state is bytes that the hub stores beside the parameters.
 */

import { assert } from '../core/assert.ts';
import { copyBytes, viewBytes, type Bytes } from '../core/bytes.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import type { TrainPlan } from '../protocol/manifest.ts';
import type { Contribution } from './contribution.ts';
import { meanDelta, outerStep } from './diloco.ts';

export interface Aggregated {
  readonly parameters: Float32Array<ArrayBuffer>;
  /** Outer momentum, f32 little endian; empty is zero. */
  readonly outerState: Bytes;
}

/**
 * `parameters` are those that the round started from. Contributions of zero steps and absent seats count for nothing; a
 * round without any leaves everything as it is. For `solo` there is one contribution, whose parameters go on as they are.
 */
export function aggregate(
  plan: TrainPlan,
  parameters: Float32Array,
  outerState: Uint8Array,
  contributions: readonly Contribution[],
): Aggregated {
  const { elements } = llamaLayout(plan.model);
  assert(parameters.length === elements, `${parameters.length} parameters, the network has ${elements}`);
  const vectors = contributions
    .toSorted((a, b) => a.report.seat - b.report.seat)
    .flatMap(({ vector }) => (vector === undefined ? [] : [vector]));
  const [first] = vectors;
  if (first === undefined) return { parameters: Float32Array.from(parameters), outerState: copyBytes(outerState) };
  if (plan.method.name === 'solo') {
    assert(vectors.length === 1, `solo: ${vectors.length} contributions to one seat's parameters`);
    return { parameters: first, outerState: copyBytes(outerState) };
  }
  const { outerLearningRate: learningRate, outerMomentum: momentum } = plan.method;
  const kept =
    outerState.byteLength === 0 ? new Float32Array(elements) : new Float32Array(copyBytes(outerState).buffer);
  const next = outerStep(parameters, meanDelta(vectors), kept, { learningRate, momentum });
  return { parameters: next.parameters, outerState: copyBytes(viewBytes(next.momentum)) };
}

/** What f32 data-parallel training through a hub would have sent: each worker its gradient, every step. */
export const denseBytes = (plan: TrainPlan): number =>
  4 * llamaLayout(plan.model).elements * plan.method.workers * plan.steps;
