/**
 * A receipt: the signed statement of who computed what from what. The volunteer signs the exact bytes of this JSON
 * text; each names the hash of the volunteer's previous one, so that a history cannot be rewritten in the middle.
 */

import { accountId, digest, finite, jobId, parseJson, shortText, v, whole } from '../core/schema.ts';
import { unitsPerJobMax } from '../core/limits.ts';
import type { Result } from '../core/result.ts';

export const receiptSchema = v.strictObject({
  job: jobId,
  unit: whole(0, unitsPerJobMax),
  attempt: whole(1, Number.MAX_SAFE_INTEGER),
  /** What the result was computed from: the manifest's digest first, then the lease's own inputs. */
  inputs: v.array(digest),
  /** SHA-256 of the result's bytes. */
  result: digest,
  volunteer: accountId,
  deviceClass: shortText,
  /** Seconds of computing that the volunteer measured. */
  seconds: v.pipe(finite, v.minValue(0)),
  /** SHA-256 of the previous receipt's text, or null for a volunteer's first. */
  previous: v.nullable(digest),
});
export type Receipt = v.InferOutput<typeof receiptSchema>;

export const encodeReceipt = (receipt: Receipt): string => JSON.stringify(receipt);

export const decodeReceipt = (text: string): Result<Receipt> => parseJson(receiptSchema, text, 'receipt');
