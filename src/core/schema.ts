/**
 * One schema gives type and parser (valibot). Everything that comes from outside is parsed at the border into a fresh
 * value, or refused with the first wrong field named. Objects are strict: an unknown field is an error.
 */

import * as v from 'valibot';
import { problem, ok, type Result } from './result.ts';
import {
  isAccountId,
  isDigest,
  isJobId,
  isPeerId,
  type AccountId,
  type Digest,
  type JobId,
  type PeerId,
} from './ids.ts';

export { v };

export const digest = v.custom<Digest>((x) => typeof x === 'string' && isDigest(x), 'expected 64 hex digits');
export const jobId = v.custom<JobId>((x) => typeof x === 'string' && isJobId(x), 'expected 64 hex digits');
export const accountId = v.custom<AccountId>((x) => typeof x === 'string' && isAccountId(x), 'expected 64 hex digits');
export const peerId = v.custom<PeerId>((x) => typeof x === 'string' && isPeerId(x), 'expected 32 hex digits');

export const whole = (minimum: number, maximum: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(minimum), v.maxValue(maximum));
export const finite = v.pipe(v.number(), v.finite());
export const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
export const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
export const shortText = v.pipe(v.string(), v.maxLength(1000));
/** Base64 of a signature or a small value. */
export const base64Text = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]*={0,2}$/, 'expected base64'));

/** A value of the schema's type, or the first wrong field, as `where: path: what`. */
export function parse<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  where: string,
): Result<v.InferOutput<Schema>> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return ok(parsed.output);
  const issue = parsed.issues[0];
  const path = v.getDotPath(issue);
  const unknownField = issue.type === 'strict_object' && issue.expected === 'never';
  const missingField = issue.type === 'strict_object' && issue.received === 'undefined';
  const what = unknownField ? 'unknown field, remove it' : missingField ? 'missing field' : issue.message;
  return problem('schema', `${where}: ${path === null ? '' : `${path}: `}${what}`);
}

/** The same for a JSON text. */
export function parseJson<const Schema extends v.GenericSchema>(
  schema: Schema,
  text: string,
  where: string,
): Result<v.InferOutput<Schema>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return problem('json', `${where}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return parse(schema, value, where);
}
