/**
 * A training unit's result as bytes: a frame whose header is the report and whose one tail is what the worker moved
 * (`diloco`, compressed) or its parameters (`solo`). A unit of no steps has no tail. Peers are strangers: decoding checks
 * every length and number, and `checkReport` holds the report against what the seat was lent.
 */

import type { Bytes } from '../core/bytes.ts';
import type { Digest } from '../core/ids.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { digest, finite, parse, v, whole } from '../core/schema.ts';
import { llamaLayout } from '../models/llama-parameters.ts';
import { decodeFrame, encodeFrame } from '../protocol/frame.ts';
import type { TrainPlan } from '../protocol/manifest.ts';
import type { Seat } from '../protocol/messages.ts';
import { compress, decompress, type Compression } from './compress.ts';

export const contributionReportSchema = v.strictObject({
  round: whole(0, 1_000_000),
  seat: whole(0, 255),
  /** Inner steps that were run. */
  steps: whole(0, 100_000),
  /** Tokens that they trained on. */
  tokens: whole(0, Number.MAX_SAFE_INTEGER),
  /** Mean nats per token over the unit's steps; null for a unit of zero steps. */
  trainLoss: v.nullable(finite),
  /** Of the parameters that the unit started from; null where it did not evaluate. */
  validationLoss: v.nullable(finite),
  /** Of the f32 bytes of the parameters that the unit started from, read back from the GPU. */
  parametersSha256: digest,
  /** Euclidean length of what the worker moved. */
  norm: v.pipe(finite, v.minValue(0)),
});
export type ContributionReport = v.InferOutput<typeof contributionReportSchema>;

export interface Contribution {
  readonly report: ContributionReport;
  /** `diloco`: start minus end. `solo`: the end. Undefined for a unit of zero steps. */
  readonly vector: Float32Array<ArrayBuffer> | undefined;
}

/** Solo parameters are the next round's parameters, so they are never rounded. */
const compressionOf = (plan: TrainPlan): Compression => (plan.method.name === 'solo' ? 'none' : plan.method.compress);

export const encodeContribution = (plan: TrainPlan, { report, vector }: Contribution): Bytes =>
  encodeFrame(report, vector === undefined ? [] : [compress(vector, compressionOf(plan))]);

export function decodeContribution(plan: TrainPlan, bytes: Uint8Array): Result<Contribution> {
  const frame = decodeFrame(bytes);
  if (!frame.ok) return frame;
  const report = parse(contributionReportSchema, frame.value.header, 'contribution');
  if (!report.ok) return report;
  const { tails } = frame.value;
  const expected = report.value.steps === 0 ? 0 : 1;
  if (tails.length !== expected) {
    return problem(
      'contribution',
      `contribution: ${tails.length} tails after ${report.value.steps} steps, expected ${expected}`,
    );
  }
  const [tail] = tails;
  if (tail === undefined) return ok({ report: report.value, vector: undefined });
  const vector = decompress(tail, compressionOf(plan), llamaLayout(plan.model).elements);
  return vector.ok ? ok({ report: report.value, vector: vector.value }) : vector;
}

/** The report, if it answers what this seat was lent. `started` is the digest of the seat's parameters as a whole. */
export function checkReport(
  report: ContributionReport,
  plan: TrainPlan,
  seat: Seat,
  started: Digest,
): Result<ContributionReport> {
  const refuse = (text: string) => problem('contribution', `contribution: ${text}`);
  if (report.round !== seat.round || report.seat !== seat.seat) {
    return refuse(`for round ${report.round} seat ${report.seat}, lent was round ${seat.round} seat ${seat.seat}`);
  }
  if (report.steps !== seat.steps) return refuse(`${report.steps} steps, lent were ${seat.steps}`);
  const tokens = seat.steps * plan.batch * plan.model.context;
  if (report.tokens !== tokens) return refuse(`${report.tokens} tokens, ${seat.steps} steps have ${tokens}`);
  if ((report.trainLoss === null) !== (seat.steps === 0))
    return refuse('a training loss goes with steps, and only with steps');
  if ((report.validationLoss === null) === seat.evaluate)
    return refuse('a validation loss goes with `evaluate`, and only with it');
  if (report.parametersSha256 !== started)
    return refuse(`started from ${report.parametersSha256}, lent was ${started}`);
  return ok(report);
}
